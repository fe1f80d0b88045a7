//! What reading the member again comes to, in words.

use crate::messages;

/// Keys that a running server does not take, or the beginnings of some.
const AT_START: &[&str] =
    &["NAME", "COLD", "DEBUG", "RESET(LOOKUP)", "ZWES.NAME", "ZWES.USER.", "ZWES.AUDIT.", "ZWES.AUXILIARY."];

/// Says whether a key counts from the next start of the server, or of the process that it is about.
pub(super) fn is_for_the_next_start(key: &str) -> bool {
    AT_START.iter().any(|name| if name.ends_with('.') { key.starts_with(name) } else { key == *name })
}

/// Says what becomes of plug-ins that are new, that have another module, or that are not named any more.
pub(super) fn plugins(old: &[(String, String)], new: &[(String, String)]) -> Vec<String> {
    let of = |list: &[(String, String)], id: &str| {
        list.iter().find(|(known, _)| known == id).map(|(_, module)| module.clone())
    };
    let mut lines = Vec::new();
    for (id, module) in new {
        let becomes = match of(old, id) {
            None => format!("module {module} is started"),
            Some(before) if before != *module => {
                format!(
                    "module {module} takes the place of {before} with REPLACE to the plug-in, or at the next start"
                )
            }
            Some(_) => continue,
        };
        lines.push(messages::PLUGIN_RELOADED.with(&[id, &becomes]));
    }
    for (id, module) in old.iter().filter(|(id, _)| of(new, id).is_none()) {
        let becomes = format!("module {module} goes on until the server is started again");
        lines.push(messages::PLUGIN_RELOADED.with(&[id, &becomes]));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_that_are_new_other_or_gone_are_told_of_and_no_others() {
        let list = |text: &str| {
            text.split(' ')
                .map(|word| word.split_once('=').unwrap())
                .map(|(a, b)| (a.into(), b.into()))
                .collect()
        };
        let (old, new): (Vec<_>, Vec<_>) = (list("A=ONE B=TWO C=THREE"), list("A=ONE B=OTHER D=FOUR"));
        let lines = plugins(&old, &new);
        assert_eq!(lines.len(), 3, "{lines:?}");
        for (line, words) in
            lines.iter().zip([["B", "OTHER takes"], ["D", "FOUR is started"], ["C", "THREE goes on"]])
        {
            assert!(line.starts_with("ZWES0284I") && words.iter().all(|word| line.contains(word)), "{line}");
        }
        assert!(plugins(&old, &old).is_empty());
    }

    #[test]
    fn keys_for_the_next_start_are_known_by_name_or_family() {
        assert!(is_for_the_next_start("ZWES.USER.FRONT") && is_for_the_next_start("ZWES.NAME"));
        assert!(!is_for_the_next_start("ZWES.NAMES") && !is_for_the_next_start("ZWES.SPIN_US"));
    }
}
