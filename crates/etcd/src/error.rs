//! What may go wrong.

/// Says why a call of etcd gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// An address is none.
    #[error("`{endpoint}` is no address of etcd; one looks like http://127.0.0.1:2379")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong.
        #[source]
        source: tonic::transport::Error,
    },
    /// No address was given.
    #[error("no address of etcd was given")]
    NoEndpoint,
    /// No member could be reached, or it was lost on the way: what was asked may have been done.
    #[error("reach etcd at {endpoints}")]
    Unreachable {
        /// Where.
        endpoints: String,
        /// What was seen.
        #[source]
        source: Box<tonic::Status>,
    },
    /// etcd answered and refused.
    #[error("etcd refused `{call}`: {reason}")]
    Refused {
        /// The call.
        call: &'static str,
        /// What it said.
        reason: String,
    },
    /// etcd does not know who asks: without a user, with one it has forgotten, or after the users were changed.
    #[error("etcd does not know who asks for `{call}`: {reason}")]
    NotLoggedIn {
        /// The call.
        call: &'static str,
        /// What it said.
        reason: String,
    },
    /// The lease to write under is gone.
    #[error("the lease that `{call}` writes under is gone")]
    NoLease {
        /// The call.
        call: &'static str,
    },
    /// What was watched is no longer kept: everything must be read anew.
    #[error("etcd no longer keeps what happened since revision {revision}")]
    Compacted {
        /// From where it was to go on.
        revision: i64,
    },
    /// The lease ran out or was taken back.
    #[error("lease {id:x} is gone")]
    LeaseGone {
        /// Which.
        id: i64,
    },
}

impl EtcdError {
    /// Returns it in one sentence with its innermost cause: those in between say the same in other words.
    #[must_use]
    pub fn reason(&self) -> String {
        let Self::Unreachable { source, .. } = self else { return self.to_string() };
        let mut cause: &dyn std::error::Error = &**source;
        while let Some(next) = cause.source() {
            cause = next;
        }
        match cause.downcast_ref::<tonic::Status>() {
            Some(status) => format!("{self}: {}", status.message()),
            None => format!("{self}: {cause}"),
        }
    }

    /// Says whether another try may succeed without anything else having changed.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}
