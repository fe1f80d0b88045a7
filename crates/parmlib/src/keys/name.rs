//! Names of servers.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The longest name of a server, in bytes.
const NAME_BYTES_MAX: usize = 16;

/// Names a cross-memory server: 1 to 16 of `A-Z 0-9 _ $ # @`. A longer name is refused, never cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ServerName(String);

/// Says why a word names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerNameError {
    /// Nothing.
    #[error("the name of a server has 1 to 16 characters; this one has none")]
    TooShort,
    /// Too much.
    #[error("`{0}` has {len} characters; the name of a server has at most 16", len = .0.chars().count())]
    TooLong(String),
    /// Not in the alphabet.
    #[error("`{name}` is no name of a server: {character:?} is none of A-Z 0-9 _ $ # @")]
    Character {
        /// The word.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
}

impl ServerNameError {
    /// Returns the CMS return code.
    #[must_use]
    pub fn return_code(&self) -> u32 {
        match self {
            Self::Character { .. } => 8,
            Self::TooShort => 44,
            Self::TooLong(_) => 45,
        }
    }
}

impl ServerName {
    /// The name of a server that was given none.
    pub const DEFAULT: &'static str = "ZWESIS_STD";

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ServerName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl FromStr for ServerName {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        let is_allowed = |character: &char| {
            character.is_ascii_uppercase() || character.is_ascii_digit() || "_$#@".contains(*character)
        };
        if text.is_empty() {
            Err(ServerNameError::TooShort)
        } else if text.chars().count() > NAME_BYTES_MAX {
            Err(ServerNameError::TooLong(text.to_owned()))
        } else if let Some(character) = text.chars().find(|character| !is_allowed(character)) {
            Err(ServerNameError::Character { name: text.to_owned(), character })
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}
