//! Who says whether a password is right: one file each.

mod dummy;
mod file;
mod xmem;

use std::fmt::Debug;

use async_trait::async_trait;

pub use dummy::Dummy;
pub use file::{FileError, PasswordFile, hash};
pub use xmem::CrossMemory;

/// A user whose password was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The user, as tokens name him.
    pub user: String,
    /// The domain that knows him.
    pub domain: String,
    /// For how long his tokens are good, if not as long as others'.
    pub lifetime_s: Option<u64>,
}

/// Why nobody is logged in.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// There is no such user, or his password is another: which of both is nobody's business.
    #[error("user or password is wrong")]
    Wrong,
    /// The password must be changed first.
    #[error("the password has expired")]
    Expired,
    /// The user is locked.
    #[error("the user may not log in")]
    Locked,
    /// There were too many wrong ones.
    #[error("there were too many tries; wait before the next")]
    TooMany,
    /// Nobody could say.
    #[error("nobody can say whether the password is right: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// Says whether a password is right.
#[async_trait]
pub trait Provider: Debug + Send + Sync {
    /// Checks the password of a user.
    async fn check(&self, user: &str, password: &str) -> Result<Verified, Denied>;
}
