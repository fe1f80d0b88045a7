//! Access levels, and which uses of them are written down.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How much access; a level contains all lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AccessLevel {
    /// No access.
    None,
    /// May run it, not read it.
    Execute,
    /// May look.
    Read,
    /// May look and change.
    Update,
    /// May do what needs control.
    Control,
    /// May do everything.
    Alter,
}

impl AccessLevel {
    /// Every level, lowest first.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Execute, Self::Read, Self::Update, Self::Control, Self::Alter];

    /// Returns the word of commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Execute => "EXECUTE",
            Self::Read => "READ",
            Self::Update => "UPDATE",
            Self::Control => "CONTROL",
            Self::Alter => "ALTER",
        }
    }
}

impl fmt::Display for AccessLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Says that a word is no access level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an access level: NONE, EXECUTE, READ, UPDATE, CONTROL or ALTER")]
pub struct LevelError(pub(crate) String);

impl FromStr for AccessLevel {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        let found = Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| LevelError(text.to_owned()))
    }
}

/// Which uses of a resource are written to the audit log.
///
/// Each side names the lowest level asked for that is written down; `None` writes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditSettings {
    /// Access that was given.
    pub success: Option<AccessLevel>,
    /// Access that was refused.
    pub failures: Option<AccessLevel>,
}

impl Default for AuditSettings {
    /// What RACF does when nothing is said: failures from READ.
    fn default() -> Self {
        Self { success: None, failures: Some(AccessLevel::Read) }
    }
}

impl AuditSettings {
    /// Nothing is written down.
    pub const NONE: Self = Self { success: None, failures: None };

    /// Returns whether a question for `level` that ended so is written down.
    pub fn wants(self, is_granted: bool, level: AccessLevel) -> bool {
        let from = if is_granted { self.success } else { self.failures };
        from.is_some_and(|from| level >= from)
    }
}

impl fmt::Display for AuditSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.success, self.failures) {
            (None, None) => formatter.write_str("NONE"),
            (Some(success), Some(failures)) if success == failures => write!(formatter, "ALL({success})"),
            (Some(success), Some(failures)) => write!(formatter, "SUCCESS({success}) FAILURES({failures})"),
            (Some(success), None) => write!(formatter, "SUCCESS({success})"),
            (None, Some(failures)) => write!(formatter, "FAILURES({failures})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_distinct_and_in_order() {
        assert!(AccessLevel::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        for level in AccessLevel::ALL {
            assert_eq!(level.as_str().parse::<AccessLevel>().unwrap(), level);
        }
        assert!("USE".parse::<AccessLevel>().is_err());
    }

    #[test]
    fn audit_settings_write_down_from_their_level_on() {
        let settings =
            AuditSettings { success: Some(AccessLevel::Update), failures: Some(AccessLevel::Read) };
        assert!(!settings.wants(true, AccessLevel::Read));
        assert!(settings.wants(true, AccessLevel::Update));
        assert!(settings.wants(false, AccessLevel::Read));
        assert!(!AuditSettings::NONE.wants(false, AccessLevel::Alter));
    }
}
