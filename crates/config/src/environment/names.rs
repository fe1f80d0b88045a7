//! How keys of a configuration become names of variables.

/// Makes a name of a dotted key: everything but letters, digits and `_` becomes `_`.
#[must_use]
pub fn sanitised(key: &str) -> String {
    key.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' }).collect()
}

/// Makes a name of a dotted key as version 2 does: as [`sanitised`], with runs of `_` made one.
#[must_use]
pub fn collapsed(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    for character in sanitised(key).chars() {
        if character != '_' || !name.ends_with('_') {
            name.push(character);
        }
    }
    name
}

/// Returns the names a key has: `ZWE_` before it, and outside of our own sections also its capitals alone.
pub(super) fn names_of(key: &str) -> Vec<String> {
    const OWN: [&str; 5] = ["zowe.", "components.", "haInstances.", "haInstance.", "configs."];
    let mut names = vec![format!("ZWE_{}", sanitised(key)), format!("ZWE_{}", collapsed(key))];
    if !OWN.iter().any(|section| key.starts_with(section)) {
        names.push(collapsed(key).to_ascii_uppercase());
    }
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_follow_the_keys() {
        assert_eq!(names_of("components.api-catalog.port"), ["ZWE_components_api_catalog_port"]);
        assert_eq!(names_of("java.home"), ["ZWE_java_home", "JAVA_HOME"]);
        assert_eq!(names_of("zOSMF.applId"), ["ZWE_zOSMF_applId", "ZOSMF_APPLID"]);
        assert_eq!(names_of("configs.a--b"), ["ZWE_configs_a__b", "ZWE_configs_a_b"]);
    }

    proptest! {
        #[test]
        fn names_of_any_key_can_be_used_by_a_shell(key in ".{0,40}") {
            for name in names_of(&key) {
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
            }
            prop_assert!(!collapsed(&key).contains("__"));
            prop_assert_eq!(sanitised(&key).chars().count(), key.chars().count());
        }
    }
}
