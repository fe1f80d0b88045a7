//! `tender agent enrol TOKEN`.

use tender_agent::receiver::enrol;
use tender_package::{Message, Outcome, ReturnCode, Severity};

use super::{Shell, failed, open};
use crate::error::CommandError;

/// Options of `tender agent enrol`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender agent enrol tender-join-1-…")]
pub(crate) struct Args {
    /// The join token, as the principal printed it
    token: String,
    /// Move a system that is enrolled to another principal
    #[arg(long)]
    again: bool,
}

impl Args {
    /// Makes the key and the signing request; the agent then waits for the principal.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let home = open(shell)?;
        if shell.is_check {
            return Err(CommandError::NothingToCheck("agent enrol"));
        }
        enrol(&home, &self.token, self.again).map_err(failed("use the join token", ReturnCode::Refused))?;
        let mut outcome = Outcome::default();
        outcome.say(
            Message::csm(74, Severity::I, format!("{} is ready to be enrolled", home.config().name))
                .with_hint(
                    "next: `tender agent run` here, then the same SYSTEM ADD once more on the principal",
                ),
        );
        Ok(outcome)
    }
}
