//! The words of a start command and of the PARM of a start procedure.

use serde::Serialize;

use crate::member::{KEY_BYTES_MAX, MemberName, MemberNameError};

/// The suffix of the member that is read when no other is named.
const DEFAULT_SUFFIX: &str = "00";

/// One `KEY` or `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Operand {
    /// What stands before the first `=`.
    pub key: String,
    /// What stands after it.
    pub value: Option<String>,
}

/// What a server was started with.
///
/// Shape: `KEY[=VALUE]` separated by commas; blanks around one do not count. `NAME`, `MEM`, `COLD`, `DEBUG` and
///        `RESET(LOOKUP)` are ours; any other `KEY=VALUE` counts like a line of the member, which overrides it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Operands {
    operands: Vec<Operand>,
}

/// Says why words are no operands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperandError {
    /// A control character.
    #[error("start parameter {position} holds the control character {found:?}")]
    Character {
        /// Which parameter, from 1.
        position: usize,
        /// What.
        found: char,
    },
    /// Nothing before `=`.
    #[error("start parameter {position}, `={value}`, has no key")]
    NoKey {
        /// Which parameter, from 1.
        position: usize,
        /// What follows.
        value: String,
    },
    /// A key is too long.
    #[error("start parameter {position} has a key longer than {KEY_BYTES_MAX} bytes")]
    KeyTooLong {
        /// Which parameter, from 1.
        position: usize,
    },
}

impl Operands {
    /// Reads operands; empty ones, as in `NAME=A,,COLD`, are nothing.
    pub fn parse(text: &str) -> Result<Self, OperandError> {
        let mut operands = Vec::new();
        for (position, word) in (1..).zip(text.split(',')) {
            let word = word.trim();
            if let Some(found) = word.chars().find(|character| character.is_control()) {
                return Err(OperandError::Character { position, found });
            }
            if word.is_empty() {
                continue;
            }
            let (key, value) = match word.split_once('=') {
                Some((key, value)) => (key, Some(value.to_owned())),
                None => (word, None),
            };
            if key.is_empty() {
                return Err(OperandError::NoKey { position, value: value.unwrap_or_default() });
            }
            if key.len() > KEY_BYTES_MAX {
                return Err(OperandError::KeyTooLong { position });
            }
            operands.push(Operand { key: key.to_owned(), value });
        }
        Ok(Self { operands })
    }

    /// Reads operands that a shell has already taken apart.
    pub fn of_words<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self, OperandError> {
        Self::parse(&words.into_iter().collect::<Vec<_>>().join(","))
    }

    /// Returns every operand in order.
    #[must_use]
    pub fn operands(&self) -> &[Operand] {
        &self.operands
    }

    /// Returns the value that was given to a key last.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.operands.iter().rev().find(|operand| operand.key == key)?.value.as_deref()
    }

    /// Says whether a flag stands there without a value.
    #[must_use]
    pub fn has_flag(&self, flag: &str) -> bool {
        let is_it =
            |operand: &Operand| operand.key == flag && operand.value.as_deref().unwrap_or("").is_empty();
        self.operands.iter().any(is_it)
    }

    /// Returns the member to read: that of suffix `MEM`, `ZWESIP00` when there is none.
    pub fn member(&self) -> Result<MemberName, MemberNameError> {
        MemberName::of_suffix(self.value("MEM").unwrap_or(DEFAULT_SUFFIX))
    }

    /// Says whether a key belongs to the start command alone and is no parameter.
    pub(crate) fn is_of_the_command(key: &str) -> bool {
        ["MEM", "RGN", "REUSASID"].contains(&key)
    }
}

#[cfg(test)]
mod tests;
