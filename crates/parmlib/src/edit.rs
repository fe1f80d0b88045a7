//! Changing members without losing what an administrator wrote: setting keys, and merging a newly shipped member.
//!
//! Lines that need no change stay as they are to the byte, comments and order included. Everything here is a function
//! from texts to a text and a list of what is different in it.

mod document;
mod merge;
mod sample;
mod set;

use serde::Serialize;

use crate::member::MemberError;

pub use self::merge::merge;
pub use self::sample::{SampleError, changes_of_sample};
pub use self::set::{Change, set};

/// A text, and what is different in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edited {
    /// The whole text.
    pub text: String,
    /// What became of keys; nothing about those that stay as they are.
    pub changes: Vec<KeyChange>,
}

/// What became of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyChange {
    /// The key.
    pub key: String,
    /// What.
    pub kind: KeyChangeKind,
}

/// What can become of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyChangeKind {
    /// It is new.
    Added {
        /// Its value.
        value: String,
    },
    /// It has another value.
    Updated {
        /// The value before.
        before: String,
        /// The value now.
        value: String,
    },
    /// It is gone.
    Removed {
        /// The value before.
        before: String,
    },
    /// The administrator's value stays, although another one is shipped; `None` where there is no such line.
    Kept {
        /// What stands there.
        edited: Option<String>,
        /// What is shipped.
        shipped: Option<String>,
    },
}

impl std::fmt::Display for KeyChange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = &self.key;
        let said = |value: &Option<String>| {
            value.as_ref().map_or("nothing".to_owned(), |value| format!("`{value}`"))
        };
        match &self.kind {
            KeyChangeKind::Added { value } => write!(formatter, "{key}: `{value}` is added"),
            KeyChangeKind::Updated { before, value } => {
                write!(formatter, "{key}: `{before}` becomes `{value}`")
            }
            KeyChangeKind::Removed { before } => write!(formatter, "{key}: `{before}` is taken out"),
            KeyChangeKind::Kept { edited, shipped } => {
                write!(formatter, "{key}: {} stays, {} is shipped", said(edited), said(shipped))
            }
        }
    }
}

/// Says why a member was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It is no member.
    #[error("the {which} member cannot be read")]
    Member {
        /// Which one: edited, shipped before, shipped now.
        which: &'static str,
        /// Why.
        #[source]
        source: MemberError,
    },
    /// The key cannot be written.
    #[error("`{key}` cannot be a key: {reason}")]
    Key {
        /// The key.
        key: String,
        /// Why not.
        reason: &'static str,
    },
    /// The value cannot be written.
    #[error("`{value}` cannot be the value of {key}: {reason}")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// Why not.
        reason: &'static str,
    },
}

#[cfg(test)]
mod tests;
