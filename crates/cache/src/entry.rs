//! Entries and who they belong to.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::limits::Limits;

/// Who an entry belongs to: nobody sees the entries of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(String);

impl Owner {
    /// Returns an owner of this name; nothing for an empty one and for one with control characters.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        (!name.is_empty() && !name.chars().any(char::is_control)).then_some(Self(name))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key with its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// When it was written last, in milliseconds since 1970.
    pub created_ms: u64,
}

// A value may be a secret of its owner: it never shows.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key)
            .field("created_ms", &self.created_ms)
            .finish_non_exhaustive()
    }
}

/// Says why an entry is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntry {
    /// A key must say something.
    #[error("the key is empty")]
    NoKey,
    /// Control characters have no place in a key: it is part of addresses and of messages.
    #[error("the key holds a control character")]
    ControlInKey,
    /// The key is too long.
    #[error("the key is {bytes} bytes long, more than {bytes_max}")]
    LongKey {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// The value is too long.
    #[error("the value of `{key}` is {bytes} bytes long, more than {bytes_max}")]
    LongValue {
        /// Whose.
        key: String,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
}

impl Entry {
    /// Makes an entry of now.
    pub fn new(
        key: impl Into<String>,
        value: impl Into<String>,
        limits: &Limits,
    ) -> Result<Self, InvalidEntry> {
        let (key, value) = (key.into(), value.into());
        if key.is_empty() {
            return Err(InvalidEntry::NoKey);
        }
        if key.len() > limits.key_bytes_max {
            return Err(InvalidEntry::LongKey { bytes: key.len(), bytes_max: limits.key_bytes_max });
        }
        if key.chars().any(char::is_control) {
            return Err(InvalidEntry::ControlInKey);
        }
        if value.len() > limits.value_bytes_max {
            let bytes = value.len();
            return Err(InvalidEntry::LongValue { key, bytes, bytes_max: limits.value_bytes_max });
        }
        Ok(Self { key, value, created_ms: now_ms() })
    }

    /// Returns what shared stores keep under the key: the time, a line feed, the value.
    pub(crate) fn held(&self) -> String {
        format!("{}\n{}", self.created_ms, self.value)
    }

    /// Reads what a shared store keeps; nothing when it is no entry of ours.
    pub(crate) fn of_held(key: &str, held: &str) -> Option<Self> {
        let (created_ms, value) = held.split_once('\n')?;
        Some(Self { key: key.to_owned(), value: value.to_owned(), created_ms: created_ms.parse().ok()? })
    }
}

/// Returns the milliseconds since 1970.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_beyond_its_limits_says_which() {
        let limits = Limits { key_bytes_max: 4, value_bytes_max: 3, ..Limits::default() };
        let refused = |key: &str, value: &str| Entry::new(key, value, &limits).unwrap_err().to_string();
        assert_eq!(refused("", "v"), "the key is empty");
        assert_eq!(refused("a\nb", "v"), "the key holds a control character");
        assert_eq!(refused("abcde", "v"), "the key is 5 bytes long, more than 4");
        assert_eq!(refused("a", "abcd"), "the value of `a` is 4 bytes long, more than 3");
        assert!(Entry::new("abcd", "", &limits).is_ok());
    }

    #[test]
    fn value_does_not_show() {
        let entry = Entry::new("key", "secret", &Limits::default()).unwrap();
        assert!(!format!("{entry:?}").contains("secret"));
    }
}
