//! Checks a password through PAM, each in a process of its own.

mod checker;
mod worker;

use serde::{Deserialize, Serialize};

use crate::order::{Refusal, Secret};

pub(crate) use worker::Passwords;

/// The longest user name, in bytes.
pub const USER_BYTES_MAX: usize = 256;

/// Check this password of this user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordOrder {
    /// Whose: 1 to [`USER_BYTES_MAX`] bytes without control characters, `/` or `:`.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// What PAM said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum PasswordOutcome {
    /// The password is right and the account may be used.
    Accepted,
    /// Wrong password, unknown user, too many tries: not told apart, neither by the answer nor by the time it takes.
    Refused,
    /// The password is right, but has expired and must be changed.
    PasswordExpired,
    /// The password is right, but the account has expired.
    AccountExpired,
    /// The password is right, but the account may not be used here and now.
    AccountDenied,
    /// PAM could not tell.
    Unavailable {
        /// PAM's code, or 0 when the helper ended without one.
        code: i32,
        /// What failed.
        what: String,
    },
}

/// How passwords are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordSettings {
    /// Name of the PAM service. Without a file of that name PAM uses `other`.
    pub service: String,
    /// Helpers that are ready before an order comes.
    pub helpers_ready: usize,
    /// Orders at once.
    pub orders_max: usize,
    /// The longest time for an order, in milliseconds; a helper that takes longer is killed.
    pub deadline_ms: u32,
    /// A refusal is answered so long after its order was read, or a multiple of it, in milliseconds. It hides whether a
    /// user exists, and replaces PAM's own delay, which would do the opposite.
    pub refusal_ms: u32,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self {
            service: "tender".to_owned(),
            helpers_ready: 2,
            orders_max: 16,
            deadline_ms: 20_000,
            refusal_ms: 1000,
        }
    }
}

impl PasswordOrder {
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.user.is_empty() || self.user.len() > USER_BYTES_MAX {
            return Err(Refusal::invalid("user", format!("has 1 to {USER_BYTES_MAX} bytes")));
        }
        // Modules use the name in paths and in files with `:` between fields.
        if self.user.starts_with('-')
            || self.user.chars().any(|char| char.is_control() || "/:".contains(char))
        {
            return Err(Refusal::invalid("user", "has a character that no user name has"));
        }
        Ok(())
    }
}
