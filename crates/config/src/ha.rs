//! Names of HA instances.

/// Values that stand for "the id of this system" in samples of started tasks and units.
const PLACEHOLDERS: [&str; 3] = ["", "__ha_instance_id__", "{{ha_instance_id}}"];

/// Makes an instance id of a name: lower case, everything but letters and digits becomes `_`.
#[must_use]
pub fn sanitise(name: &str) -> String {
    name.trim()
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '_' })
        .collect()
}

/// Says whether a text stands for the id of this system.
#[must_use]
pub fn is_placeholder(id: &str) -> bool {
    PLACEHOLDERS.contains(&id.trim())
}

/// Returns the name of this system, without its domain.
#[must_use]
pub fn system_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_any_name_is_lower_case_with_underscores() {
        assert_eq!(sanitise("LPAR-1.example"), "lpar_1_example");
        assert_eq!(sanitise("sys1"), "sys1");
        assert_eq!(sanitise(&sanitise("Ä b")), sanitise("Ä b"));
        assert!(is_placeholder("__ha_instance_id__") && is_placeholder("") && !is_placeholder("a"));
    }
}
