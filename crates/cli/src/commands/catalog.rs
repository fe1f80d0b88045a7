//! `tender catalog …`: the catalog of services and their APIs.

mod check;
mod run;

use clap::Subcommand;
use tender_package::Outcome;

use super::Shell;
use crate::error::CommandError;

/// Commands about the catalog.
#[derive(Debug, Subcommand)]
pub(crate) enum Catalog {
    /// Runs the catalog until it is told to stop
    Run(Box<run::Args>),
    /// Says what the catalog would make of an API document
    Check(check::Args),
}

impl Catalog {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(command) => command.run(shell),
            Self::Check(command) => command.run(),
        }
    }
}
