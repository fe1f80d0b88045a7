//! `tender cache …`: the caching service.

mod run;

use clap::Subcommand;
use tender_package::Outcome;

use super::Shell;
use crate::error::CommandError;

/// Commands about the caching service.
#[derive(Debug, Subcommand)]
pub(crate) enum Cache {
    /// Runs the caching service until it is told to stop
    Run(run::Args),
}

impl Cache {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(command) => command.run(shell),
        }
    }
}
