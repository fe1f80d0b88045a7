//! The name of a part: a relative path that cannot leave its tree.

use std::borrow::Borrow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names one part inside a tree.
///
/// Shape:  UTF-8, `/` between names, no empty name, no `.` or `..`, not absolute, no control characters.
/// Limits: [`PartPath::BYTES_MAX`] bytes in all, 255 bytes a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartPath(String);

/// Says why a text cannot name a part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot name a part: {reason}", path.escape_default())]
pub struct PartPathError {
    path: String,
    reason: &'static str,
}

impl PartPath {
    /// The longest path in bytes; Linux' own limit for a path.
    pub const BYTES_MAX: usize = 4000;

    /// Checks `path` and wraps it.
    pub fn new(path: impl Into<String>) -> Result<Self, PartPathError> {
        let path = path.into();
        match Self::fault(&path) {
            None => Ok(Self(path)),
            Some(reason) => Err(PartPathError { path: path.chars().take(200).collect(), reason }),
        }
    }

    fn fault(path: &str) -> Option<&'static str> {
        if path.is_empty() {
            return Some("it is empty");
        }
        if path.starts_with('/') {
            return Some("it is absolute");
        }
        if path.len() > Self::BYTES_MAX {
            return Some("it is longer than 4000 bytes");
        }
        if path.chars().any(char::is_control) {
            return Some("it has a control character");
        }
        path.split('/').find_map(|name| match name {
            "" => Some("it has an empty name"),
            "." | ".." => Some("it has a `.` or `..`"),
            _ if name.len() > 255 => Some("a name in it is longer than 255 bytes"),
            _ => None,
        })
    }

    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the last name of the path.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Returns the directories above the part, outermost first: `a/b/c` gives `a`, `a/b`.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// Returns where the part lies below `root`.
    #[must_use]
    pub fn below(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
}

impl fmt::Display for PartPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PartPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Borrow<str> for PartPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for PartPath {
    type Err = PartPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl Serialize for PartPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PartPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_that_stays_inside_is_accepted() {
        for path in ["a", "a/b", ".hidden", "a/..b", "späte/ü", "a b/c"] {
            assert!(PartPath::new(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn path_that_escapes_is_refused() {
        for path in ["", "/a", "..", "a/../b", "a//b", "a/", "./a", "a/.", "a\0b", "a\nb"] {
            assert!(PartPath::new(path).is_err(), "{path:?}");
        }
        assert!(PartPath::new("x".repeat(256)).is_err());
        assert!(PartPath::new("x/".repeat(2001)).is_err());
    }

    #[test]
    fn ancestors_of_nested_path_are_outermost_first() {
        let path = PartPath::new("a/b/c").unwrap();
        assert_eq!(path.ancestors().collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(path.file_name(), "c");
    }
}
