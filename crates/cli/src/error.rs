//! What can go wrong at the command line; its kind, return code and the way on.

use std::io;
use std::path::PathBuf;

use tender_package::ReturnCode;
use tender_service::grammar::GrammarError;

use crate::fleet::KeysError;
use crate::quickstart::QuickstartError;

/// Why a command has no answer.
///
/// Refusals and failures of the verbs themselves are answers: they come as outcomes with a return code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// A SERVMGR line that is not one.
    #[error(transparent)]
    Grammar(GrammarError),
    /// Words that are not a command line; only for machines, people get clap's own words.
    #[error(transparent)]
    Words(clap::Error),
    /// Nowhere to keep things.
    #[error(
        "there is no place for Tender's data: neither --home, TENDER_HOME, XDG_DATA_HOME nor HOME says one"
    )]
    NoHome,
    /// The answer could not be written.
    #[error("the answer could not be written")]
    Print(#[source] io::Error),
    /// A file could not be used.
    #[error("failed to {doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// An option that makes no sense with this command.
    #[error("{0} changes nothing outside its own directory; there is nothing to check")]
    NothingToCheck(&'static str),
    /// The keys of the principal.
    #[error("failed to use the principal's keys")]
    Keys(#[source] KeysError),
    /// The quickstart ended early.
    #[error("the quickstart ended early")]
    Quickstart(#[source] QuickstartError),
    /// The agent could not do it.
    #[error("{doing}")]
    Agent {
        /// What was being done.
        doing: String,
        /// Its return code.
        code: ReturnCode,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something of the running side: instances, launchers, components, certificates.
    #[error(transparent)]
    Runtime(Box<RuntimeFault>),
}

/// A fault of the running side, with its id, its return code and the way on.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct RuntimeFault {
    /// A whole id such as `ZWEL0030E`.
    pub(crate) id: &'static str,
    /// What was being done to what.
    pub(crate) text: String,
    /// Its return code.
    pub(crate) code: ReturnCode,
    /// How to go on, when there is a way.
    pub(crate) hint: Option<String>,
    /// Why not.
    #[source]
    pub(crate) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl RuntimeFault {
    /// Makes a fault without a cause.
    pub(crate) fn new(id: &'static str, code: ReturnCode, text: impl Into<String>) -> Self {
        Self { id, text: text.into(), code, hint: None, source: None }
    }

    /// Adds the cause.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds how to go on.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<RuntimeFault> for CommandError {
    fn from(fault: RuntimeFault) -> Self {
        Self::Runtime(Box::new(fault))
    }
}

/// The message id of a command that was not understood.
pub(crate) const WORDS_ID: &str = "CSM0024E";

impl CommandError {
    /// Returns the return code.
    pub(crate) fn code(&self) -> ReturnCode {
        match self {
            Self::Grammar(_) | Self::Words(_) | Self::NothingToCheck(_) => ReturnCode::Syntax,
            Self::NoHome => ReturnCode::Refused,
            Self::Print(_) | Self::File { .. } | Self::Keys(_) | Self::Quickstart(_) => ReturnCode::Outside,
            Self::Agent { code, .. } => *code,
            Self::Runtime(fault) => fault.code,
        }
    }

    /// Returns the message id.
    pub(crate) fn id(&self) -> &'static str {
        match self {
            Self::Grammar(_) | Self::Words(_) => WORDS_ID,
            Self::NothingToCheck(_) => "CSM0025E",
            Self::NoHome => "CSM0026E",
            Self::Print(_) => "CSM0027E",
            Self::File { .. } => "CSM0029E",
            Self::Keys(_) => "CSM0062E",
            Self::Quickstart(_) => "CSM0090E",
            Self::Agent { .. } => "CSM0070E",
            Self::Runtime(fault) => fault.id,
        }
    }

    /// Says how to go on.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Grammar(_) => {
                "`tender servmgr --help` lists the verbs, `tender servmgr VERB --help` its words".into()
            }
            Self::NoHome => "set TENDER_HOME to a directory of yours".into(),
            Self::Quickstart(fault) => fault.hint()?,
            Self::Runtime(fault) => fault.hint.clone()?,
            _ => return None,
        })
    }
}
