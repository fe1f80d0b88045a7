//! CSMSERVE's side of the managed system: what arrives is verified and written down, and nothing is carried out here.
//!
//! The receiver needs no privilege: it writes below `incoming/`, accepts requests, and starts the executor as a
//! process of its own that outlives the connection. What it may be talked into is limited by that.

mod enrolment;
mod intake;
mod revocations;
mod serve;
mod starter;

use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};

use tender_package::request::RequestState;

use crate::chain;
use crate::home::Home;
use crate::info;
use crate::queue;

use starter::Starter;

pub use enrolment::{EnrolError, enrol};
pub use intake::IntakeError;
pub use serve::{Listening, RunError, run, serve};
pub use starter::SpawnError;

/// The words a principal may say, besides the one that ends enrolment.
pub const WORDS: [&str; 5] = ["CSMINFO", "CSMAGENT", "CSMSTAT", "CSMACK", "CSMREVOKE"];

/// How an answer to a word is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// Here is what was asked for.
    Done,
    /// Something on this system failed; the same word may work later.
    Failed,
    /// The arguments cannot be understood.
    Syntax,
    /// Asking again changes nothing.
    Refused,
}

/// An answer to a word: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it is meant.
    pub kind: AnswerKind,
    /// JSON when `kind` is `Done`, a sentence for people otherwise.
    pub text: String,
}

impl Answer {
    fn done<T: serde::Serialize>(value: &T) -> Self {
        match serde_json::to_string(value) {
            Ok(text) => Self { kind: AnswerKind::Done, text },
            Err(error) => Self::failed(&error),
        }
    }

    fn failed(error: &dyn std::error::Error) -> Self {
        Self { kind: AnswerKind::Failed, text: format!("CSM0601E {}", chain(error)) }
    }

    fn syntax(text: &str) -> Self {
        Self { kind: AnswerKind::Syntax, text: format!("CSM0602E {text}") }
    }
}

/// Answers the principal's words.
pub struct Receiver {
    home: Home,
    starter: Arc<Starter>,
    /// Hears that certificates were revoked.
    revoked: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("home", &self.home).finish_non_exhaustive()
    }
}

impl Receiver {
    /// Makes a receiver that starts `executor`, a program with its arguments, when there is work.
    #[must_use]
    pub fn new(home: Home, executor: Vec<OsString>) -> Self {
        Self { starter: Starter::new(home.clone(), executor), home, revoked: Mutex::new(None) }
    }

    /// Has `hear` called once when certificates were revoked: whoever is logged in with one must leave.
    pub fn on_revocation(&self, hear: impl FnOnce() + Send + 'static) {
        *self.revoked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hear));
    }

    /// Answers one word.
    #[must_use]
    pub fn answer(&self, word: &str, arguments: &str) -> Answer {
        let id = arguments.trim();
        match word {
            "CSMINFO" => {
                info::system(&self.home).map_or_else(|error| Answer::failed(&error), |i| Answer::done(&i))
            }
            "CSMAGENT" | "CSMSTAT" | "CSMACK" if !queue::is_request_id(id) => {
                Answer::syntax("a request id has 1 to 64 letters, digits or hyphens")
            }
            "CSMAGENT" => self.accept(id),
            "CSMSTAT" => match queue::state(&self.home, id) {
                Ok(state) => self.see_to(state),
                Err(error) => Answer::failed(&error),
            },
            "CSMACK" => queue::acknowledge(&self.home, id)
                .map_or_else(|error| Answer::failed(&error), |state| Answer::done(&state)),
            "CSMREVOKE" => self.revoke(),
            _ => Answer::syntax("the words are CSMINFO, CSMAGENT, CSMSTAT, CSMACK and CSMREVOKE"),
        }
    }

    /// Takes in the list of revoked certificates that was stored.
    fn revoke(&self) -> Answer {
        match revocations::accept(&self.home) {
            Ok(taken) => {
                if taken.is_new
                    && let Some(hear) = self.revoked.lock().unwrap_or_else(PoisonError::into_inner).take()
                {
                    hear();
                }
                Answer::done(&taken.number)
            }
            Err(error) => Answer { kind: AnswerKind::Refused, text: format!("CSM0605E {}", chain(&error)) },
        }
    }

    fn accept(&self, id: &str) -> Answer {
        match intake::accept(&self.home, id) {
            Ok(state) => self.see_to(state),
            Err(IntakeError::Home(error)) => Answer::failed(&error),
            Err(error) => Answer { kind: AnswerKind::Refused, text: format!("CSM0603E {}", chain(&error)) },
        }
    }

    /// Answers a state; when there is something to do, sees to it that an executor runs.
    ///
    /// Also for a request that is known and under way: its executor may have been killed twice, and one that was started in
    /// its last moments may have found the lock still held.
    fn see_to(&self, state: RequestState) -> Answer {
        let is_open = matches!(state, RequestState::Queued | RequestState::Running { .. });
        match is_open.then(|| self.starter.start()) {
            Some(Err(error)) => Answer::failed(&error),
            _ => Answer::done(&state),
        }
    }

    /// Starts the executor when requests are open, as after a restart of the machine.
    pub fn resume(&self) -> Result<(), SpawnError> {
        let is_idle = queue::open_requests(&self.home).map_err(SpawnError::Log)?.is_empty();
        if is_idle { Ok(()) } else { self.starter.start() }
    }
}
