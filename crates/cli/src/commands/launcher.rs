//! `tender launcher …`: the launcher itself, and what it executes again.

mod prepare;
mod probe;
pub(crate) mod run;

use std::path::PathBuf;

use clap::Subcommand;
use tender_package::Outcome;

use super::Shell;
use crate::error::CommandError;

/// Commands for service managers, and those that the launcher calls.
#[derive(Debug, Subcommand)]
pub(crate) enum Launcher {
    /// Runs an instance in the foreground: what `tender start` does in the background
    Run(run::Args),
    /// Makes the plan of what is to run; the launcher executes this to start and to reload
    Prepare(prepare::Args),
    /// Asks a URL once whether it is well; the launcher executes this for HTTPS probes
    Probe(probe::Args),
}

impl Launcher {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(command) => command.run(shell.is_check),
            Self::Prepare(command) => command.run(),
            Self::Probe(command) => command.run(),
        }
    }
}

/// Returns this program, which the launcher executes again.
pub(crate) fn program() -> Result<PathBuf, CommandError> {
    std::env::current_exe().map_err(|source| CommandError::File {
        doing: "find",
        path: "this program".into(),
        source,
    })
}
