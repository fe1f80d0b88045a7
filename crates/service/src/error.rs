//! What can go wrong at the principal, and which return code and message it becomes.

use std::path::{Path, PathBuf};

use tender_package::{Message, Outcome, ReturnCode, Severity};

use crate::envelope::EnvelopeError;
use crate::link::LinkError;

/// A rule said no; nothing was changed.
///
/// Shape: `text` says what was refused and why, `lines` give each cause, `hint` the command that cures it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Number of the message, `CSM<number>`.
    pub number: u16,
    /// What was refused and why.
    pub text: String,
    /// One line a cause.
    pub lines: Vec<String>,
    /// The command that cures it.
    pub hint: Option<String>,
}

impl Refusal {
    /// Starts a refusal.
    #[must_use]
    pub fn new(number: u16, text: impl Into<String>) -> Self {
        Self { number, text: text.into(), lines: Vec::new(), hint: None }
    }

    /// Adds the command that cures it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds causes.
    #[must_use]
    pub fn lines(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(lines);
        self
    }
}

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// What stopped a verb.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A rule said no.
    #[error("{}", .0.text)]
    Refused(Box<Refusal>),
    /// What was typed makes no sense.
    #[error("{text}")]
    Syntax {
        /// What is wrong with it.
        text: String,
        /// How to type it.
        hint: Option<String>,
    },
    /// The named thing does not exist.
    #[error("{kind} {name} does not exist")]
    Unknown {
        /// What kind of thing.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where to look for it.
        hint: String,
    },
    /// Somebody else is at work there.
    #[error("{resource} is in use: {holder}")]
    Busy {
        /// What is in use.
        resource: String,
        /// Who has it, since when, doing what.
        holder: String,
    },
    /// The tables could not be read or written.
    #[error("tables: {doing}")]
    Tables {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// A stored shape could not be read back.
    #[error("tables: {what} is damaged")]
    Damaged {
        /// Which record.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file could not be read or written.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The object store, an import or a materialised directory failed.
    #[error("{doing}")]
    Content {
        /// What was being done to what.
        doing: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The signed repository failed.
    #[error("{doing}")]
    Repository {
        /// What was being done to what.
        doing: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An envelope was refused.
    #[error("envelope {}", path.display())]
    Envelope {
        /// The envelope.
        path: PathBuf,
        /// Why.
        #[source]
        source: EnvelopeError,
    },
    /// A managed system could not be reached or did not answer as it should.
    #[error("system {system}")]
    Link {
        /// The system.
        system: String,
        /// Why.
        #[source]
        source: LinkError,
    },
    /// The tables were written by a newer Tender.
    #[error("the tables have version {found}; this Tender knows versions up to {known}")]
    TooNew {
        /// Version found.
        found: i64,
        /// Newest version known.
        known: i64,
    },
}

impl ServiceError {
    /// Wraps a file error.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }

    /// Wraps an error of crate content.
    pub(crate) fn content<E: std::error::Error + Send + Sync + 'static>(
        doing: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        let doing = doing.into();
        move |source| Self::Content { doing, source: Box::new(source) }
    }

    /// Wraps an error of the signed repository.
    pub(crate) fn repository<E: std::error::Error + Send + Sync + 'static>(
        doing: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        let doing = doing.into();
        move |source| Self::Repository { doing, source: Box::new(source) }
    }

    /// Wraps a record that cannot be read back.
    pub(crate) fn damaged<E: std::error::Error + Send + Sync + 'static>(
        what: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Damaged { what, source: Box::new(source) }
    }

    /// Returns the return code this error becomes.
    #[must_use]
    pub fn code(&self) -> ReturnCode {
        match self {
            Self::Refused(_) => ReturnCode::Refused,
            Self::Syntax { .. } => ReturnCode::Syntax,
            Self::Unknown { .. } => ReturnCode::Unknown,
            Self::Busy { .. } => ReturnCode::Busy,
            Self::Damaged { .. } => ReturnCode::Integrity,
            Self::Envelope { source, .. } => source.code(),
            Self::Link { source, .. } => source.code(),
            Self::TooNew { .. } => ReturnCode::Refused,
            Self::Tables { .. } | Self::File { .. } | Self::Content { .. } | Self::Repository { .. } => {
                ReturnCode::Outside
            }
        }
    }

    /// Returns the cause chain below this error as text, outermost first.
    #[must_use]
    pub fn causes(&self) -> String {
        let mut text = String::new();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }

    /// Returns the message for people.
    #[must_use]
    pub fn message(&self) -> Message {
        let text = format!("{self}{}", self.causes());
        let (number, severity, hint) = match self {
            Self::Refused(refusal) => (refusal.number, Severity::E, refusal.hint.clone()),
            Self::Syntax { hint, .. } => (24, Severity::E, hint.clone()),
            Self::Unknown { hint, .. } => (28, Severity::E, Some(hint.clone())),
            Self::Busy { .. } => (20, Severity::E, Some("wait until it ends and run this again".to_owned())),
            Self::Damaged { .. } => (32, Severity::S, Some("restore the tables from a copy".to_owned())),
            Self::Envelope { source, .. } => (40, Severity::E, source.hint()),
            Self::Link { source, .. } => (60, Severity::E, source.hint()),
            Self::TooNew { .. } => (33, Severity::E, Some("use the newer Tender".to_owned())),
            Self::File { path, .. } if is_full(path) => {
                let hint = "the disk is full: make room there and run this again; nothing is lost";
                (12, Severity::E, Some(hint.to_owned()))
            }
            Self::Tables { .. } | Self::File { .. } | Self::Content { .. } | Self::Repository { .. } => {
                (12, Severity::E, Some("clear the cause and run this again; nothing is lost".to_owned()))
            }
        };
        let message = Message::csm(number, severity, text);
        match hint {
            Some(hint) => message.with_hint(hint),
            None => message,
        }
    }

    /// Turns the error into the answer of a verb.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.say(self.message());
        if let Self::Refused(refusal) = self {
            for line in &refusal.lines {
                outcome.messages.push(Message::csm(refusal.number, Severity::I, line.clone()));
            }
        }
        outcome.code = self.code();
        outcome.data = serde_json::json!({ "error": self.message().text });
        outcome
    }
}

/// Wraps errors of the tables with what was being done.
pub(crate) trait TablesContext<T> {
    /// Says what was being done.
    fn doing(self, doing: &'static str) -> Result<T, ServiceError>;
}

impl<T> TablesContext<T> for Result<T, rusqlite::Error> {
    fn doing(self, doing: &'static str) -> Result<T, ServiceError> {
        self.map_err(|source| ServiceError::Tables { doing, source })
    }
}

/// Tells whether the file system that holds `path` has no room left; the tables do not say so by themselves.
fn is_full(path: &Path) -> bool {
    const ROOM_BYTES_MIN: u64 = 64 << 10;
    let there = path.ancestors().find(|above| above.exists());
    there
        .and_then(|there| rustix::fs::statvfs(there).ok())
        .is_some_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) < ROOM_BYTES_MIN)
}

/// Returns an error with all its causes as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_ends_with_the_code_of_syntax() {
        let outcome = ServiceError::Syntax { text: "no".to_owned(), hint: None }.outcome();
        assert_eq!((outcome.code, u8::from(outcome.code)), (ReturnCode::Syntax, 24));
    }
}
