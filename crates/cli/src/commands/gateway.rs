//! `tender gateway …`: the way in.

mod password;
mod registration;
mod run;

use clap::Subcommand;
use tender_package::Outcome;

use super::Shell;
use crate::error::CommandError;

/// Commands about the gateway.
#[derive(Debug, Subcommand)]
pub(crate) enum Gateway {
    /// Runs the gateway until it is told to stop
    Run(Box<run::Args>),
    /// Makes the line of a user for `--provider file:FILE`; the password is read from standard input
    Password(password::Args),
}

impl Gateway {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(command) => command.run(shell),
            Self::Password(command) => command.run(),
        }
    }
}
