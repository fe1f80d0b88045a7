//! What happens to a registry that several servers share through etcd.

use std::fmt;

/// Something that happened to a shared registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterEvent {
    /// What other servers registered was read from etcd at the start.
    Read {
        /// How many instances it has.
        instances: usize,
    },
    /// etcd, through which the registry is shared, cannot be used.
    Lost {
        /// Why.
        reason: String,
        /// Nothing was read there since the start.
        is_unread: bool,
    },
    /// etcd answers again: what others wrote meanwhile was read, and what clients said here is written.
    Found {
        /// How many instances it has.
        instances: usize,
        /// For how long it was away, in seconds.
        away_s: u64,
        /// Instances of which it is still to be told.
        waiting: usize,
    },
    /// An instance went because its lease ended, or was cancelled at another server.
    Gone {
        /// The service.
        app: String,
        /// The instance.
        id: String,
    },
    /// What etcd has under a key is not taken.
    Record {
        /// The key.
        key: String,
        /// Why.
        reason: String,
    },
    /// etcd does not take what it is told; it is told again.
    Refuses {
        /// The service.
        app: String,
        /// The instance.
        id: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for ClusterEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { instances } => write!(f, "{instances} instances are registered in etcd"),
            Self::Lost { reason, is_unread: true } => {
                write!(f, "etcd cannot be used, clients are served with what is known here alone: {reason}")
            }
            Self::Lost { reason, is_unread: false } => {
                write!(
                    f,
                    "etcd cannot be used, what was known last stays in use and nobody is taken away: {reason}"
                )
            }
            Self::Found { instances, away_s, waiting } => write!(
                f,
                "etcd answers again after {away_s} seconds: it has {instances} instances and is told of {waiting}"
            ),
            Self::Gone { app, id } => write!(
                f,
                "instance `{}` of {} is gone: its lease has ended, or it was cancelled elsewhere",
                id.escape_debug(),
                app.escape_debug()
            ),
            Self::Record { key, reason } => {
                write!(f, "what etcd has as `{}` is not taken: {reason}", key.escape_debug())
            }
            Self::Refuses { app, id, reason } => write!(
                f,
                "etcd is not told of instance `{}` of {} and is asked again: {reason}",
                id.escape_debug(),
                app.escape_debug()
            ),
        }
    }
}
