//! Names of users, groups and classes.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest resource or profile name, in bytes.
pub const RESOURCE_BYTES_MAX: usize = 246;
/// The longest name of a user or group; eight is what RACF allows, thirty-two what Linux allows.
const ID_BYTES_MAX: usize = 32;
/// The longest name of a class.
const CLASS_BYTES_MAX: usize = 8;

/// Says why a name is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a user or group.
    #[error(
        "`{0}` is not a user or group: 1 to 32 of A-Z 0-9 # @ $ _ . -, beginning with a letter or # @ $ _"
    )]
    Id(String),
    /// Not a class.
    #[error("`{0}` is not a class: 1 to 8 of A-Z 0-9 # @ $, beginning with a letter or # @ $")]
    Class(String),
}

/// Names a user or a group; both share one space of names, as in RACF.
///
/// Shape:  upper case; RACF's alphabet, and `_`, `.`, `-` for names that come from Linux.
/// Limits: 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name that a Linux user or group of this name is known by, if there is one.
    ///
    /// Only names without capital letters have one: `bob` and `Bob` are two users on Linux and must not become one here.
    pub fn of_linux(name: &str) -> Option<Self> {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) { None } else { name.parse().ok() }
    }
}

impl FromStr for Id {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = text.to_ascii_uppercase();
        let first = name.bytes().next();
        let is_first = first.is_some_and(|byte| byte.is_ascii_uppercase() || b"#@$_".contains(&byte));
        let is_rest =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"#@$_.-".contains(&byte);
        // A hyphen at the end would read as a continuation.
        let is_last = !name.ends_with('-');
        if is_first && is_last && name.len() <= ID_BYTES_MAX && name.bytes().all(is_rest) {
            Ok(Self(name))
        } else {
            Err(NameError::Id(text.to_owned()))
        }
    }
}

/// Names a class of resources.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClassName(String);

impl ClassName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClassName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = text.to_ascii_uppercase();
        let is_letter = |byte: u8| byte.is_ascii_uppercase() || b"#@$".contains(&byte);
        let is_well_formed = name.bytes().next().is_some_and(is_letter)
            && name.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit());
        if is_well_formed && name.len() <= CLASS_BYTES_MAX {
            Ok(Self(name))
        } else {
            Err(NameError::Class(text.to_owned()))
        }
    }
}

macro_rules! behaves_as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

behaves_as_text!(Id);
behaves_as_text!(ClassName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_in_lower_case_is_folded() {
        assert_eq!("zwesvusr".parse::<Id>().unwrap().as_str(), "ZWESVUSR");
        assert_eq!("facility".parse::<ClassName>().unwrap().as_str(), "FACILITY");
    }

    #[test]
    fn name_that_could_be_read_as_something_else_is_refused() {
        for wrong in ["", "*", "1BOB", "BOB-", "BO B", "BOB(X)", "ÄNNE", &"A".repeat(33)] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
        for wrong in ["", "NINECHARS", "A.B", "1A"] {
            assert!(wrong.parse::<ClassName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn linux_names_that_differ_in_case_do_not_become_one() {
        assert_eq!(Id::of_linux("bob").unwrap().as_str(), "BOB");
        assert_eq!(Id::of_linux("Bob"), None);
        assert_eq!(Id::of_linux("0day"), None);
    }
}
