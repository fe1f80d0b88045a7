//! The names people type: releases, levels, systems, components, fixes.
//!
//! Names of the SERVMGR grammar are case-insensitive and kept in upper case (specification 0.3 T6, 11.4 A2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Says why a word cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a {kind}: {rule}", word.escape_default())]
pub struct NameError {
    word: String,
    kind: &'static str,
    rule: &'static str,
}

/// Defines a name type: its kind, its rule for people, its fold and its test.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $rule:literal, $fold:expr, $is_valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// Folds and checks `word`.
            pub fn new(word: &str) -> Result<Self, NameError> {
                let fold: fn(&str) -> String = $fold;
                let is_valid: fn(&str) -> bool = $is_valid;
                let folded = fold(word);
                if is_valid(&folded) {
                    Ok(Self(folded))
                } else {
                    Err(NameError { word: word.chars().take(80).collect(), kind: $kind, rule: $rule })
                }
            }

            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::new(word)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

fn is_word(name: &str, length_max: usize, more: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric();
    (1..=length_max).contains(&name.len())
        && name.starts_with(is_plain)
        && name.chars().all(|c| is_plain(c) || more.contains(c))
}

name!(
    /// A product release: version, release, modification as three digits, such as `720`.
    Vrm,
    "release",
    "three digits are needed, such as 720",
    str::to_owned,
    |name| name.len() == 3 && name.bytes().all(|b| b.is_ascii_digit())
);
name!(
    /// A service level, such as `VM010102_BLD1`; `BASE` names the level every release starts with.
    LevelName,
    "level name",
    "1 to 16 letters, digits or `_`, starting with a letter or digit, and not ALL",
    str::to_ascii_uppercase,
    |name| is_word(name, 16, "_") && name != "ALL"
);
name!(
    /// A managed system or a nickname of several, such as `VM01`.
    SystemName,
    "system name",
    "1 to 16 letters, digits, `_` or `-`, starting with a letter or digit, and not ALL",
    str::to_ascii_uppercase,
    |name| is_word(name, 16, "_-") && name != "ALL"
);
name!(
    /// A component: the name of its directory below the runtime directory.
    ComponentName,
    "component name",
    "1 to 64 letters, digits, `.`, `_` or `-`, starting with a letter or digit",
    str::to_owned,
    |name| is_word(name, 64, "._-")
);
name!(
    /// A fix (PTF) or a local modification, such as `UM35801` or `L0001`.
    FixId,
    "fix id",
    "1 to 32 letters, digits, `.`, `_` or `-`, starting with a letter or digit",
    str::to_ascii_uppercase,
    |name| is_word(name, 32, "._-")
);
name!(
    /// A tag that must be equal on a level and on the systems it goes to; the seed's `ESM` and `NONESM`.
    Variant,
    "variant",
    "1 to 16 letters, digits or `_`, such as NONESM",
    str::to_ascii_uppercase,
    |name| is_word(name, 16, "_")
);

impl LevelName {
    /// Returns the name of the level that holds a release as it was shipped.
    #[must_use]
    pub fn base() -> Self {
        Self("BASE".to_owned())
    }

    /// Tells whether this is `BASE`.
    #[must_use]
    pub fn is_base(&self) -> bool {
        self.0 == "BASE"
    }
}

impl Default for Variant {
    fn default() -> Self {
        Self("NONESM".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_in_lower_case_is_folded() {
        assert_eq!(LevelName::new("vm010102_bld1").unwrap().as_str(), "VM010102_BLD1");
        assert_eq!(SystemName::new("vm01").unwrap(), SystemName::new("VM01").unwrap());
    }

    #[test]
    fn name_against_its_rule_is_refused() {
        assert!(LevelName::new("ALL").is_err());
        assert!(LevelName::new("_X").is_err());
        assert!(LevelName::new("A2345678901234567").is_err());
        assert!(Vrm::new("72").is_err());
        assert!(Vrm::new("7a0").is_err());
        assert!(ComponentName::new("../x").is_err());
        assert!(ComponentName::new("a/b").is_err());
    }
}
