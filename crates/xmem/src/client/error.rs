//! What can become of a call.

use crate::code::{CmsCode, service_text};
use crate::refusal::Refusal;
use crate::ring::RingError;
use crate::service::{Invalid, ParcelError, ServiceId};
use crate::socket::{ConnectError, SocketError};

/// A call that was not made, or of which it is not known whether it was (98).
#[derive(Debug, thiserror::Error)]
#[error("{}{}", describe(*number), reference_text(*reference))]
pub struct CallError {
    number: u32,
    /// Number of the audit record of a refusal, else 0.
    reference: u64,
    /// Why it was refused, for who may know.
    refusal: Option<Box<Refusal>>,
    #[source]
    source: Option<CallFailure>,
}

/// What is behind a [`CallError`] on this side of the connection.
#[derive(Debug, thiserror::Error)]
pub enum CallFailure {
    /// No connection.
    #[error("the server can not be connected to")]
    Connect(#[source] ConnectError),
    /// The connection failed.
    #[error("the connection failed")]
    Socket(#[source] SocketError),
    /// The ring failed.
    #[error("the ring failed")]
    Ring(#[source] RingError),
    /// The server said something that it must not say at this point.
    #[error("the server's answer is not understood: {what}")]
    Answer {
        /// What.
        what: String,
    },
    /// The actor belongs to a connection that is gone.
    #[error("the actor was issued on a connection that has ended: ask for it again")]
    ActorGone,
    /// The server said why it ended the connection.
    #[error("the server ended the connection: {}{}{text}", describe(*code), if text.is_empty() { "" } else { ": " })]
    Goodbye {
        /// CMS code.
        code: u32,
        /// What it said.
        text: String,
    },
}

fn describe(number: u32) -> String {
    CmsCode::from_number(number).map_or_else(|| format!("code {number}"), |code| code.to_string())
}

fn reference_text(reference: u64) -> String {
    if reference == 0 { String::new() } else { format!(", reference {reference}") }
}

impl CallError {
    pub(super) fn new(code: CmsCode) -> Self {
        Self { number: code.number(), reference: 0, refusal: None, source: None }
    }

    pub(crate) fn because(code: CmsCode, source: CallFailure) -> Self {
        Self { source: Some(source), ..Self::new(code) }
    }

    /// What a WELCOME or REPLY with a code other than 0 says.
    pub(super) fn refused(number: u32, reference: u64, payload: &[u8]) -> Self {
        let refusal = serde_json::from_slice(payload).ok().map(Box::new);
        Self { number, reference, refusal, source: None }
    }

    /// The CMS code, `None` when this release does not know the number.
    #[must_use]
    pub const fn code(&self) -> Option<CmsCode> {
        CmsCode::from_number(self.number)
    }

    /// The number of the CMS code.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Number of the audit record of a refusal, else 0.
    #[must_use]
    pub const fn reference(&self) -> u64 {
        self.reference
    }

    /// Why it was refused; only for who may read FACILITY `ZWES.IS.EXPLAIN`.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_deref()
    }

    /// What is behind it on this side.
    #[must_use]
    pub const fn failure(&self) -> Option<&CallFailure> {
        self.source.as_ref()
    }
}

/// What can become of a call with types.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The request is outside of the limits and was not sent.
    #[error("the request to {service} is not possible")]
    Request {
        /// Whom.
        service: ServiceId,
        /// Why.
        #[source]
        source: Invalid,
    },
    /// The call was not made, or it is not known whether it was.
    #[error("the call of {service} failed")]
    Call {
        /// Whom.
        service: ServiceId,
        /// Why.
        #[source]
        source: CallError,
    },
    /// The service answered with a code of its own.
    #[error("{service} answered: {}", service_text(*service, *code).map_or_else(|| format!("code {code}"), |text| format!("{text} ({code})")))]
    Service {
        /// Whom.
        service: ServiceId,
        /// Its code.
        code: u32,
        /// What came with it.
        payload: Vec<u8>,
    },
    /// The answer is not what this release expects.
    #[error("the answer of {service} is not understood")]
    Answer {
        /// Whom.
        service: ServiceId,
        /// Why.
        #[source]
        source: ParcelError,
    },
}
