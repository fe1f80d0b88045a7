//! What the principal needs of a managed system; how bytes travel is not its business.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tender_content::{Digest, Progress};
use tender_package::report::SystemInfo;
use tender_package::repository::FileKind;
use tender_package::request::{Request, RequestResult, RequestState};
use tender_package::{ReturnCode, SystemName, Vrm};

/// Where a managed system listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Address {
    /// Its name.
    pub system: SystemName,
    /// Host name or IP address.
    pub host: String,
    /// Control port.
    pub port: u16,
    /// Whether clear text is refused.
    pub is_tls_required: bool,
}

/// Says why a managed system did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nobody answers there.
    #[error("{address} cannot be reached")]
    Unreachable {
        /// Host and port.
        address: String,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// It did not prove who it is, or did not believe who we are.
    #[error("{address} is not trusted or does not trust us: {reason}")]
    Untrusted {
        /// Host and port.
        address: String,
        /// Why.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection to {address} broke after {sent_bytes} bytes")]
    Lost {
        /// Host and port.
        address: String,
        /// How far it got.
        sent_bytes: u64,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// It answered with a refusal.
    #[error("{address} refused {what}: {reason}")]
    Refused {
        /// Host and port.
        address: String,
        /// What was asked.
        what: String,
        /// What it said.
        reason: String,
    },
    /// It did not answer in time.
    #[error("{address} did not answer {what} within {waited_s} s")]
    Timeout {
        /// Host and port.
        address: String,
        /// What was asked.
        what: String,
        /// How long was waited.
        waited_s: u64,
    },
    /// Its answer made no sense.
    #[error("{address} answered {what} with something else")]
    Protocol {
        /// Host and port.
        address: String,
        /// What was asked.
        what: String,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The other end has not taken the join token yet.
    #[error("{address} has not been enrolled")]
    NotEnrolled {
        /// Host and port.
        address: String,
    },
}

impl LinkError {
    /// Returns the return code this becomes.
    #[must_use]
    pub fn code(&self) -> ReturnCode {
        match self {
            Self::Refused { .. } => ReturnCode::Refused,
            Self::Untrusted { .. } => ReturnCode::Integrity,
            _ => ReturnCode::Outside,
        }
    }

    /// Says how to go on.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable { .. } => {
                "start the agent there, or correct the address with SYSTEM MODIFY".into()
            }
            Self::NotEnrolled { .. } => "run `tender agent enrol` there with the join token".into(),
            Self::Lost { .. } | Self::Timeout { .. } => "run the same command again; it resumes".into(),
            Self::Untrusted { .. } => {
                "look at `tender agent status` there: whose it is, and its clock; a system that was set up anew is added anew"
                    .into()
            }
            Self::Refused { .. } | Self::Protocol { .. } => {
                "look at the log of the system, and whether its Tender is as new as this one".into()
            }
        })
    }
}

/// A file of a release's repository that a managed system needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepoFile {
    /// Where it lies below the repository's root: `metadata/…` or `targets/…`.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Whether it is signed metadata, which is small and always sent.
    pub is_metadata: bool,
}

impl From<tender_package::repository::RepoFile> for RepoFile {
    fn from(file: tender_package::repository::RepoFile) -> Self {
        Self { path: file.path, bytes: file.size, is_metadata: file.kind == FileKind::Metadata }
    }
}

/// What a managed system lets the principal read besides results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// What was changed on it by hand, a [`tender_package::Changes`].
    Changes,
    /// The contents of a changed part.
    Part(Digest),
    /// Its audit log.
    Audit,
}

/// Opens connections to managed systems.
pub trait Fleet: Sync {
    /// Connects to one; bounded in time.
    fn connect(&self, address: &Address) -> Result<Box<dyn ManagedSystem>, LinkError>;
}

/// A connected managed system.
pub trait ManagedSystem: Send {
    /// Asks for its state.
    fn info(&mut self) -> Result<SystemInfo, LinkError>;
    /// Tells which of `files` it does not have whole; metadata always counts as missing.
    fn missing(&mut self, vrm: &Vrm, files: &[RepoFile]) -> Result<Vec<RepoFile>, LinkError>;
    /// Sends files of the repository below `repo_root`, resuming each; returns the bytes really sent.
    fn upload(
        &mut self,
        vrm: &Vrm,
        repo_root: &Path,
        files: &[RepoFile],
        progress: &dyn Progress,
    ) -> Result<u64, LinkError>;
    /// Hands over a request and has it begun; a known id is answered with its state and nothing more.
    fn begin(&mut self, request: &Request) -> Result<RequestState, LinkError>;
    /// Asks how far a request is.
    fn state(&mut self, id: &str) -> Result<RequestState, LinkError>;
    /// Reads the result of an ended request.
    fn result(&mut self, id: &str) -> Result<RequestResult, LinkError>;
    /// Reads what it lets the principal read, from byte `from` on.
    ///
    /// Errors: [`LinkError::Refused`] when there is no such thing, as with an older Tender.
    fn read(&mut self, what: Reading, from: u64) -> Result<Vec<u8>, LinkError>;
    /// Tells it that the result was kept here.
    fn acknowledge(&mut self, id: &str) -> Result<(), LinkError>;
}

/// What a new managed system gets along with its certificate.
#[derive(Debug, Clone)]
pub struct Welcome {
    /// The release.
    pub vrm: Vrm,
    /// The first root of the release's repository, from which trust starts.
    pub trusted_root: Vec<u8>,
}

/// What to type on a managed system to enrol it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The join token, good for one use.
    pub token: String,
    /// The whole command.
    pub command: String,
}

/// Makes join tokens and hands out certificates.
pub trait Enroller: Sync {
    /// Makes, or shows again, the token of a system that is not enrolled yet.
    fn invite(&self, address: &Address) -> Result<Invitation, LinkError>;
    /// Completes the enrolment; a system that is enrolled already is left alone.
    ///
    /// Errors: [`LinkError::NotEnrolled`] when the token was not used there yet.
    fn complete(&self, address: &Address, welcome: &Welcome) -> Result<(), LinkError>;
    /// Revokes the certificate of CSMWORK and makes another with a new key; returns the digest of the revoked one.
    ///
    /// Each system learns of it when it is next connected to.
    fn renew(&self) -> Result<String, LinkError>;
    /// Forgets that a system was invited or enrolled: the next SYSTEM ADD of the name begins with a new token.
    fn forget(&self, system: &SystemName) -> Result<(), LinkError>;
}

/// How long to wait for a managed system.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// First pause between two questions.
    pub poll_first_ms: u64,
    /// Longest pause.
    pub poll_max_ms: u64,
    /// When to give up.
    pub deadline_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { poll_first_ms: 20, poll_max_ms: 2_000, deadline_ms: 30 * 60 * 1000 }
    }
}

/// Waits until a request has ended and returns its result; every wait is bounded.
pub fn wait_for_result(
    system: &mut dyn ManagedSystem,
    address: &Address,
    request: &Request,
    patience: Patience,
) -> Result<RequestResult, LinkError> {
    let began = Instant::now();
    let deadline = Duration::from_millis(patience.deadline_ms);
    let mut pause_ms = patience.poll_first_ms;
    // Nobody ever sends: the receiver is only a clock that needs no busy loop.
    let (_keep, clock) = mpsc::channel::<()>();
    loop {
        match system.state(&request.id)? {
            RequestState::Ended { .. } => return system.result(&request.id),
            RequestState::Unknown => {
                return Err(LinkError::Refused {
                    address: format!("{}:{}", address.host, address.port),
                    what: request.verb.word().to_owned(),
                    reason: format!("it no longer knows request {}", request.id),
                });
            }
            RequestState::Queued | RequestState::Running { .. } => {}
        }
        if began.elapsed() >= deadline {
            return Err(LinkError::Timeout {
                address: format!("{}:{}", address.host, address.port),
                what: request.verb.word().to_owned(),
                waited_s: began.elapsed().as_secs(),
            });
        }
        // Always a timeout: the sender is kept and never sends.
        let _ = clock.recv_timeout(Duration::from_millis(pause_ms));
        pause_ms = (pause_ms * 2).min(patience.poll_max_ms);
    }
}
