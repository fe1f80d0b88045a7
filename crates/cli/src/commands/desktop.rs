//! `tender desktop …`: applications of components, in windows.

mod run;

use clap::Subcommand;
use tender_package::Outcome;

use super::Shell;
use crate::error::CommandError;

/// Commands about the desktop.
#[derive(Debug, Subcommand)]
pub(crate) enum Desktop {
    /// Runs the desktop until it is told to stop
    Run(Box<run::Args>),
}

impl Desktop {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(command) => command.run(shell),
        }
    }
}
