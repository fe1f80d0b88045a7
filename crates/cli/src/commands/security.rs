//! `tender security …`: what the product needs defined before it runs.

mod init;

use clap::Subcommand;
use tender_package::Outcome;

use super::Shell;
use crate::error::CommandError;

/// Commands about the definitions of security.
#[derive(Debug, Subcommand)]
pub(crate) enum Security {
    /// Defines the users, groups, classes and profiles of the product
    Init(init::Args),
}

impl Security {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Init(command) => command.run(shell),
        }
    }
}
