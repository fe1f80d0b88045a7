//! Names of members.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What every member of the cross-memory server begins with.
const PREFIX: &str = "ZWESIP";

/// Names a member: 1 to 8 of `A-Z 0-9 $ # @`, not beginning with a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct MemberName(String);

/// Says why a word names no member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberNameError {
    /// Not a suffix (ZWES0007E).
    #[error("`{0}` is no suffix of a member: exactly 2 of A-Z 0-9 $ # @")]
    Suffix(String),
    /// Not a name.
    #[error("`{0}` is no member: 1 to 8 of A-Z 0-9 $ # @, not beginning with a digit")]
    Name(String),
}

fn is_national(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"$#@".contains(&byte)
}

impl MemberName {
    /// Returns the member of a suffix: `00` names `ZWESIP00`.
    pub fn of_suffix(suffix: &str) -> Result<Self, MemberNameError> {
        if suffix.len() == 2 && suffix.bytes().all(is_national) {
            Ok(Self(format!("{PREFIX}{suffix}")))
        } else {
            Err(MemberNameError::Suffix(suffix.to_owned()))
        }
    }

    /// Returns what follows `ZWESIP`, if it is one of these.
    #[must_use]
    pub fn suffix(&self) -> Option<&str> {
        self.0.strip_prefix(PREFIX)
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MemberName {
    type Err = MemberNameError;

    fn from_str(text: &str) -> Result<Self, MemberNameError> {
        let is_first = text.bytes().next().is_some_and(|byte| is_national(byte) && !byte.is_ascii_digit());
        if is_first && text.len() <= 8 && text.bytes().all(is_national) {
            Ok(Self(text.to_owned()))
        } else {
            Err(MemberNameError::Name(text.to_owned()))
        }
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}
