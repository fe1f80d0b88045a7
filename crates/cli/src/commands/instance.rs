//! `tender instance …`: instance directories.

mod init;

use clap::Subcommand;
use tender_package::Outcome;

use super::Shell;
use crate::error::CommandError;

/// Commands about instance directories.
#[derive(Debug, Subcommand)]
pub(crate) enum Instance {
    /// Makes an instance directory: configuration, logs, workspace
    Init(init::Args),
}

impl Instance {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Init(command) => command.run(shell),
        }
    }
}
