//! Who says whether a password is right: one file each.

mod dummy;
mod file;
mod xmem;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use dummy::Dummy;
pub use file::{FileError, PasswordFile, hash};
pub use xmem::CrossMemory;

/// How long a log-in waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// Bounds the checks that are made at a time: each takes a thread, and may take long.
#[derive(Debug, Clone)]
struct Turns(Arc<Semaphore>);

impl Turns {
    fn new(checks_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(checks_max)))
    }

    /// Runs a check on a thread of its own, when it is its turn.
    async fn check<T: Send + 'static>(
        &self,
        check: impl FnOnce() -> Result<T, Denied> + Send + 'static,
    ) -> Result<T, Denied> {
        let turn = tokio::time::timeout(TURN_TIMEOUT, Arc::clone(&self.0).acquire_owned()).await;
        let turn: OwnedSemaphorePermit = turn.ok().and_then(Result::ok).ok_or(Denied::TooMany)?;
        let checked = tokio::task::spawn_blocking(move || {
            // Kept to the end of the check, also when nobody waits for it any more.
            let _turn = turn;
            check()
        });
        checked.await.map_err(|_| Denied::Unavailable { reason: "the check broke off".to_owned() })?
    }
}

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
    /// It does not make tickets, or knows nothing of what users may do.
    #[error("the provider does not do this")]
    NotOffered,
    /// It answers, and refuses this to the gateway itself.
    #[error("the gateway may not ask for this: {reason}")]
    NotPermitted {
        /// Why.
        reason: String,
    },
    /// Nobody could say.
    #[error("nobody can say: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

impl Denied {
    /// Returns what may be told outside: what is wrong inside is for the log.
    #[must_use]
    pub fn outside(&self) -> String {
        match self {
            Self::NotPermitted { .. } => "the gateway may not ask for this; its log says why".to_owned(),
            Self::Unavailable { .. } => "nobody can say; the log of the gateway says why".to_owned(),
            _ => self.to_string(),
        }
    }

    /// Returns what an administrator should know.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::NotPermitted { reason } | Self::Unavailable { reason } => Some(reason),
            _ => None,
        }
    }
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access<'a> {
    /// The class of the resource, such as `ZOWE`.
    pub class: &'a str,
    /// The resource.
    pub resource: &'a str,
    /// How: `READ`, `UPDATE`, `CONTROL` or `ALTER`.
    pub level: &'a str,
}

/// Knows users: says whether a password is right, and more if it can.
#[async_trait]
pub trait Provider: Debug + Send + Sync {
    /// Checks the password of a user.
    async fn check(&self, user: &str, password: &str) -> Result<Verified, Denied>;

    /// Makes a ticket with which a user logs in to an application, once and soon.
    async fn ticket(&self, _user: &str, _application: &str) -> Result<String, Denied> {
        Err(Denied::NotOffered)
    }

    /// Says whether it knows what users may do. Where it does not, whoever is logged in may see what is registered.
    fn knows_rights(&self) -> bool {
        false
    }

    /// Says whether a user may do something.
    async fn allows(&self, _user: &str, _access: Access<'_>) -> Result<bool, Denied> {
        Err(Denied::NotOffered)
    }
}
