//! Where an instance is, and where its launchers listen.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use tender_package::{Message, ReturnCode};

use crate::error::{CommandError, RuntimeFault};

/// The configuration of an instance.
pub(crate) const CONFIGURATION: &str = "zowe.yaml";
/// Console sockets and locks begin with these, the HA instance id follows.
const PREFIXES: [&str; 2] = [".console-", ".lock-"];

/// Finds the instance directory: the one asked for, that of `TENDER_INSTANCE`, or the nearest upwards from here.
pub(super) fn find(asked: Option<&Path>) -> Result<PathBuf, CommandError> {
    let configured = || env::var_os("TENDER_INSTANCE").filter(|name| !name.is_empty()).map(PathBuf::from);
    if let Some(directory) = asked.map(Path::to_owned).or_else(configured) {
        return named(&directory);
    }
    let here = env::current_dir().map_err(|source| CommandError::File {
        doing: "find",
        path: ".".into(),
        source,
    })?;
    upwards(&here).ok_or_else(|| {
        let text = format!("there is no instance in {} or above", here.display());
        RuntimeFault::new("ZWEL0032E", ReturnCode::Unknown, text)
            .with_hint("name it with --instance or TENDER_INSTANCE, or make one with `tender instance init`")
            .into()
    })
}

fn named(directory: &Path) -> Result<PathBuf, CommandError> {
    let is_instance = directory.join(CONFIGURATION).exists() || directory.join("instance.env").exists();
    if !is_instance {
        let text = format!("{} is no instance directory: it has no {CONFIGURATION}", directory.display());
        return Err(RuntimeFault::new("ZWEL0032E", ReturnCode::Unknown, text)
            .with_hint(format!("make one with `tender instance init {}`", directory.display()))
            .into());
    }
    std::path::absolute(directory).map_err(|source| CommandError::File {
        doing: "find",
        path: directory.to_owned(),
        source,
    })
}

fn upwards(from: &Path) -> Option<PathBuf> {
    from.ancestors().find(|directory| directory.join(CONFIGURATION).is_file()).map(Path::to_owned)
}

/// Returns an HA instance id as files have it.
pub(crate) fn sanitised(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// Warns root of an instance that is another user's: what root makes there, that user cannot replace.
pub(crate) fn foreign(directory: &Path) -> Option<Message> {
    let owner = fs::metadata(directory).ok()?.uid();
    if owner == 0 || !rustix::process::geteuid().is_root() {
        return None;
    }
    let text = format!(
        "{} belongs to user {owner}, who cannot replace what root makes there and may not be able to start it any more",
        directory.display()
    );
    let hint = "give this command as that user, such as with `runuser`; its systemd unit does";
    Some(Message::with_id("ZWEL0832W", text).with_hint(hint))
}

/// Writes a word as one types it in a shell.
pub(crate) fn typed(word: &str) -> String {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-:+@%,".contains(&byte));
    if is_plain { word.to_owned() } else { tender_launcher::script::shell_quoted(word) }
}

/// Lists the HA instances whose launchers run or once ran here.
pub(super) fn ids(directory: &Path) -> Result<Vec<String>, CommandError> {
    let failed =
        |source: io::Error| CommandError::File { doing: "look into", path: directory.to_owned(), source };
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let id = name.to_str().and_then(|name| PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)));
        found.extend(id.map(str::to_owned));
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_is_found_from_a_directory_below_it() {
        let place = tempfile::tempdir().unwrap();
        let below = place.path().join("logs/old");
        fs::create_dir_all(&below).unwrap();
        assert_eq!(upwards(&below), None);
        fs::write(place.path().join(CONFIGURATION), "").unwrap();
        assert_eq!(upwards(&below).as_deref(), Some(place.path()));
    }

    #[test]
    fn directory_without_configuration_is_refused_by_name() {
        let place = tempfile::tempdir().unwrap();
        let fault = named(place.path()).unwrap_err();
        assert_eq!(fault.code(), ReturnCode::Unknown);
        assert!(fault.to_string().contains(&place.path().display().to_string()));
    }

    #[test]
    fn word_is_quoted_only_when_a_shell_would_split_it() {
        assert_eq!(typed("/srv/prod-1"), "/srv/prod-1");
        assert!(typed("/srv/pr od").contains('\''));
    }

    #[test]
    fn id_is_made_as_files_have_it() {
        assert_eq!(sanitised("LPAR-1.a"), "lpar_1_a");
    }
}
