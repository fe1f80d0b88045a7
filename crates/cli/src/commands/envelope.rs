//! `tender envelope …`: fixes in files.

mod create;
mod inspect;
mod key;

use clap::Subcommand;
use tender_package::{Message, Outcome, ReturnCode, Severity};

use super::Shell;
use crate::error::CommandError;

/// Commands on envelopes.
#[derive(Debug, Subcommand)]
pub(crate) enum Envelope {
    /// Makes an envelope of fixes from two trees
    Create(create::Args),
    /// Joins envelopes into one, such as a recommended set
    Join(create::JoinArgs),
    /// Shows what is in an envelope
    Inspect(inspect::Args),
    /// Checks every part of an envelope, and its signature
    Verify(inspect::VerifyArgs),
    /// Makes a vendor's key; the public half goes beside it
    Key(key::Args),
}

impl Envelope {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Create(command) => command.run(shell),
            Self::Join(command) => command.run(shell),
            Self::Inspect(command) => command.run(),
            Self::Verify(command) => command.run(shell),
            Self::Key(command) => command.run(shell),
        }
    }
}

/// Turns an error of envelopes into an answer: a message with its causes, and a return code.
fn refusal(number: u16, fault: &dyn std::error::Error, code: ReturnCode, hint: Option<String>) -> Outcome {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    let message = Message::csm(number, Severity::E, text);
    let mut outcome = Outcome::default();
    outcome.say(match hint {
        Some(hint) => message.with_hint(hint),
        None => message,
    });
    outcome.code = code;
    outcome
}
