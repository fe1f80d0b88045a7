//! Files that tell what a component was given: for people, for the support bundle, and for components that read them.
//!
//! Names are those of the reference (`.env/<component>/.<HA id>.env` and so on). Values that are secret, or look like
//! it, are left out: what is not on the disk cannot be taken from there. The launcher itself reads none of them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::subject::Subject;
use crate::layout::{Layout, LayoutError, create_dir, remove_dir, remove_file, write_generated};
use crate::register::api_definition::entries;
use crate::script::shell_quoted;

/// The lines of variables that all components have alike, made once.
#[derive(Debug, Default)]
pub(crate) struct Shared(OnceLock<String>);

/// Writes the snapshot of one component.
pub(crate) fn write(
    layout: &Layout,
    subject: &Subject,
    exports: &BTreeMap<String, String>,
    shared: &Shared,
) -> Result<(), LayoutError> {
    let directory = layout.component_env(&subject.name);
    create_dir(&directory, 0o700)?;
    let id = &layout.ha_id;
    let secrets: Vec<&str> = subject.secret_values().collect();
    let given = given(subject, &secrets, shared);
    write_generated(&directory.join(format!(".instance-{id}.env")), given.as_bytes(), 0o600)?;
    let exported = lines(exports, |_| false, &secrets);
    write_generated(&directory.join(format!(".{id}.env")), exported.as_bytes(), 0o600)?;
    let settings = format!("{:#}\n", subject.settings);
    write_generated(&directory.join(format!(".configs-{id}.json")), settings.as_bytes(), 0o600)?;
    Ok(())
}

/// Returns the variables of a component as lines: those that all have alike, then its own, which a reader takes last.
fn given(subject: &Subject, secrets: &[&str], shared: &Shared) -> String {
    let is_secret = |name: &str| subject.secrets.contains(name);
    let variables = &subject.environment;
    let own = lines(variables.own(), is_secret, secrets);
    // Secrets of the component itself are not known to the others: then their lines are made for it alone.
    let common = shared.0.get_or_init(|| lines(variables.shared(), is_secret, secrets));
    if secrets.iter().any(|secret| common.contains(secret)) {
        return lines(variables.shared(), is_secret, secrets) + &own;
    }
    format!("{common}{own}")
}

/// Removes the snapshots of this HA instance of components that are not in `here`, and directories of those that are
/// not active `anywhere`: another HA instance may be about to write into the others.
pub(crate) fn remove_stale(layout: &Layout, here: &[&str], anywhere: &[&str]) -> Result<(), LayoutError> {
    let id = &layout.ha_id;
    for directory in entries(&layout.env())? {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !directory.is_dir() || name.starts_with('.') || here.contains(&name.as_str()) {
            continue;
        }
        for file in [format!(".instance-{id}.env"), format!(".{id}.env"), format!(".configs-{id}.json")] {
            remove_file(&directory.join(file))?;
        }
        if anywhere.contains(&name.as_str()) {
            continue;
        }
        let left = entries(&directory)?;
        let is_only_manifest = left
            .iter()
            .all(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("manifest.")));
        if is_only_manifest {
            remove_dir(&directory)?;
        }
    }
    Ok(())
}

/// Writes variables as a shell reads them, one each line or, for values with newlines, several.
fn lines(variables: &BTreeMap<String, String>, is_secret: impl Fn(&str) -> bool, secrets: &[&str]) -> String {
    let mut text = String::new();
    for (name, value) in variables {
        let hides =
            is_secret(name) || looks_secret(name) || secrets.iter().any(|secret| value.contains(secret));
        let line =
            if hides { format!("# {name} is secret\n") } else { format!("{name}={}\n", shell_quoted(value)) };
        text.push_str(&line);
    }
    text
}

/// Says whether a name is one that secrets have; a value is left out rather too often.
#[must_use]
pub(crate) fn looks_secret(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "credential",
        "apikey",
        "api_key",
        "private_key",
        "privatekey",
    ];
    let lower = name.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word)) || lower.ends_with("_pw") || lower.ends_with("_pass")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_values_are_left_out_also_inside_others() {
        let variables = BTreeMap::from(
            [("A", "it's\n1"), ("B", "x-s3cret-y"), ("C_PASSWORD", "1"), ("D", "2")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let text = lines(&variables, |name| name == "D", &["s3cret"]);
        assert_eq!(text, "A='it'\\''s\n1'\n# B is secret\n# C_PASSWORD is secret\n# D is secret\n");
    }
}
