//! Work orders and answers: one `SOCK_SEQPACKET` packet each, JSON, with the descriptors that belong to it.
//!
//! ```text
//! monitor ── {"id":7,"deadline_ms":5000,"work":{"port":{…}}} ──────────────────────► worker
//!         ◄─ {"id":7,"outcome":{"port":"opened"}} + one descriptor ─────────────────
//! ```
//!
//! The channel is the authority: who holds its other end may order, and nobody else can send into it. Every shape
//! refuses fields that it does not know, and every order brings exactly the descriptors it is expected to bring.
//! Answers come in any order. An order that is not understood is answered with [`Refusal::Malformed`] under its id, or
//! under id 0 if not even that could be read.

mod bytes;
mod client;
pub(crate) mod packet;
mod secret;

use serde::{Deserialize, Serialize};

pub use bytes::Bytes;
pub(crate) use bytes::{from_hex, to_hex};
pub use client::{Answer, OrderError, Orders};
pub use packet::pair;
pub use secret::{SECRET_BYTES_MAX, Secret, SecretError};

use crate::inspect::{InspectOrder, InspectOutcome};
use crate::kind::Kind;
use crate::network::{NetworkOrder, NetworkOutcome};
use crate::password::{PasswordOrder, PasswordOutcome};
use crate::place::{PlaceOrder, PlaceOutcome};
use crate::port::{PortOrder, PortOutcome};
use crate::runas::{RunAsOrder, RunAsOutcome};

/// The longest packet either way, in bytes.
pub const PACKET_BYTES_MAX: usize = 160 * 1024;
/// The most descriptors that come with one packet.
pub const DESCRIPTORS_MAX: usize = 3;
/// The longest time an order may take, in milliseconds, whatever it asks for.
pub const DEADLINE_MS_MAX: u32 = 24 * 60 * 60 * 1000;

/// One packet to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Repeated in the answer; never 0, never used twice while it is under way.
    pub id: u64,
    /// Time for the work, from when the worker reads the order; 0 for the settings' own.
    #[serde(default)]
    pub deadline_ms: u32,
    /// What to do.
    pub work: Work,
}

/// What to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Check a password.
    Password(PasswordOrder),
    /// Run a program as a user.
    RunAs(RunAsOrder),
    /// Read memory of a process.
    Inspect(InspectOrder),
    /// List sockets.
    Network(NetworkOrder),
    /// Put a file, set a link, take one away.
    Place(PlaceOrder),
    /// Open a port.
    Port(PortOrder),
    /// End the order of this id, whatever its kind. This order itself has no answer; the other one is answered with
    /// [`Refusal::Cancelled`], or with its outcome if that was quicker.
    Cancel(u64),
}

impl Work {
    /// The kind of worker that does it; none for what every kind does.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        match self {
            Self::Password(_) => Some(Kind::Password),
            Self::RunAs(_) => Some(Kind::RunAs),
            Self::Inspect(_) => Some(Kind::Inspect),
            Self::Network(_) => Some(Kind::Network),
            Self::Place(_) => Some(Kind::Place),
            Self::Port(_) => Some(Kind::Port),
            Self::Cancel(_) => None,
        }
    }

    /// How many descriptors come along: neither more nor fewer.
    #[must_use]
    pub const fn descriptors(&self) -> usize {
        match self {
            Self::RunAs(order) => order.descriptors(),
            Self::Inspect(_) => 1,
            Self::Place(order) => order.descriptors(),
            Self::Password(_) | Self::Network(_) | Self::Port(_) | Self::Cancel(_) => 0,
        }
    }
}

/// One packet from a worker, without its descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// Of the order.
    pub id: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Of a password.
    Password(PasswordOutcome),
    /// Of a program.
    RunAs(RunAsOutcome),
    /// Of a look at memory.
    Inspect(InspectOutcome),
    /// Of a list of sockets.
    Network(NetworkOutcome),
    /// Of a placement.
    Place(PlaceOutcome),
    /// Of a port; `opened` brings its descriptor.
    Port(PortOutcome),
    /// It was not done.
    Refused(Refusal),
}

impl Outcome {
    /// How many descriptors come along.
    #[must_use]
    pub const fn descriptors(&self) -> usize {
        match self {
            Self::Port(PortOutcome::Opened) => 1,
            _ => 0,
        }
    }
}

/// Why an order was not carried out. Nothing has been changed, unless it says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Refusal {
    /// The packet is no order.
    #[error("the order is malformed: {why}")]
    Malformed {
        /// What about it.
        why: String,
    },
    /// Another number of descriptors came along.
    #[error("{came} descriptors came along, {expected} were expected")]
    Descriptors {
        /// The right number.
        expected: usize,
        /// The number that came.
        came: usize,
    },
    /// The worker is of another kind.
    #[error("a worker of kind {kind} does not do that")]
    Kind {
        /// The worker's.
        kind: Kind,
    },
    /// The id is in use.
    #[error("an order of that id is under way")]
    Duplicate,
    /// As many orders as the settings allow are under way.
    #[error("{orders_max} orders are under way")]
    Busy {
        /// The limit.
        orders_max: usize,
    },
    /// The settings do not allow it.
    #[error("not allowed: {what}")]
    NotAllowed {
        /// What, and by which setting.
        what: String,
    },
    /// A field has a value that no order of this kind can have.
    #[error("{field}: {why}")]
    Invalid {
        /// Which.
        field: String,
        /// What about it.
        why: String,
    },
    /// The system did not do its part.
    #[error("{what}: {}", std::io::Error::from_raw_os_error(*errno))]
    System {
        /// What was tried.
        what: String,
        /// The system's reason.
        errno: i32,
    },
    /// This host or build cannot do it.
    #[error("cannot be done here: {what}")]
    Unsupported {
        /// Why.
        what: String,
    },
    /// The order was cancelled; what it had started was ended.
    #[error("cancelled")]
    Cancelled,
    /// Time ran out; what the order had started was ended.
    #[error("time ran out")]
    TimedOut,
}

impl Refusal {
    pub(crate) fn not_allowed(what: impl Into<String>) -> Self {
        Self::NotAllowed { what: what.into() }
    }

    pub(crate) fn invalid(field: &str, why: impl Into<String>) -> Self {
        Self::Invalid { field: field.to_owned(), why: why.into() }
    }

    pub(crate) fn system(what: impl Into<String>, errno: rustix::io::Errno) -> Self {
        Self::System { what: what.into(), errno: errno.raw_os_error() }
    }
}
