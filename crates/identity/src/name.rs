//! Names of users, applications and servers, as proofs carry them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Says why a name is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a user.
    #[error("`{0}` is not a user: 1 to 32 of A-Z 0-9 # @ $ _ . -, in capitals")]
    User(String),
    /// Not an application.
    #[error("`{0}` is not an application: 1 to 8 of A-Z 0-9 # @ $, in capitals")]
    Application(String),
    /// Not a server.
    #[error("`{0}` is not a server: 1 to 16 of A-Z 0-9 _ # @ $, in capitals")]
    Server(String),
}

/// Returns the beginning of a text, for a message.
fn shown(text: &str) -> String {
    text.chars().take(40).map(|found| if found.is_control() { '?' } else { found }).collect()
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $bytes_max:literal, $extra:literal, $error:path) => {
        $(#[$doc])*
        ///
        /// Shape: compared byte by byte and never folded: two spellings are two names, and all but one are refused.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let is_allowed = |byte: u8| {
                    byte.is_ascii_uppercase() || byte.is_ascii_digit() || $extra.contains(&byte)
                };
                if (1..=$bytes_max).contains(&text.len()) && text.bytes().all(is_allowed) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err($error(shown(text)))
                }
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

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }
    };
}

name!(
    /// Names a user.
    UserName, 32, b"#@$_.-", NameError::User
);
name!(
    /// Names an application (APPL).
    ApplicationName, 8, b"#@$", NameError::Application
);
name!(
    /// Names a server.
    ServerName, 16, b"_#@$", NameError::Server
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_only_look_alike_are_refused() {
        assert_eq!("IBMUSER".parse::<UserName>().unwrap().as_str(), "IBMUSER");
        // Small letters, a Cyrillic capital, a full-width letter, a combining mark, invisible characters.
        for wrong in
            ["", "bob", "B\u{41e}B", "\u{ff22}OB", "BO\u{308}B", "BOB\u{200b}", "BOB\0", "BOB ", "BOB\n"]
        {
            assert!(wrong.parse::<UserName>().is_err(), "{wrong:?}");
        }
        assert!("A".repeat(33).parse::<UserName>().is_err());
        assert!("NINECHARS".parse::<ApplicationName>().is_err() && "A.B".parse::<ApplicationName>().is_err());
        assert!("ZWESIS_STD".parse::<ServerName>().is_ok() && "A".repeat(17).parse::<ServerName>().is_err());
    }

    #[test]
    fn message_of_a_wrong_name_is_short_and_printable() {
        let message = format!("\u{1b}[31m{}", "A".repeat(5000)).parse::<UserName>().unwrap_err().to_string();
        assert!(message.len() < 200 && !message.contains('\u{1b}'), "{message}");
    }
}
