//! The commands: one file each, one line each in [`Command`].

pub(crate) mod agent;
mod completion;
pub(crate) mod envelope;
mod man;
mod quickstart;
pub(crate) mod servmgr;

use std::path::PathBuf;

use clap::Subcommand;
use tender_package::Outcome;

use crate::error::CommandError;
use crate::progress::Bars;

/// What every command is given: where things are and how to behave.
#[derive(Debug)]
pub(crate) struct Shell {
    /// `$TENDER_HOME`.
    pub(crate) home: PathBuf,
    /// Change nothing, say what would be done.
    pub(crate) is_check: bool,
    /// Who asks.
    pub(crate) operator: String,
    /// Progress bars.
    pub(crate) bars: Bars,
}

impl Shell {
    /// Makes the surroundings of one command.
    pub(crate) fn new(home: PathBuf, is_check: bool, is_quiet: bool) -> Self {
        Self { home, is_check, operator: crate::home::operator(), bars: Bars::new(is_quiet) }
    }
}

/// Everything `tender` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The principal: levels, systems, fixes (the seed's SERVMGR)
    #[command(subcommand, visible_alias = "SERVMGR")]
    Servmgr(servmgr::Servmgr),
    /// Fixes in files: make, inspect and verify envelopes
    #[command(subcommand)]
    Envelope(envelope::Envelope),
    /// The managed system: set up, enrol, run, look
    #[command(subcommand)]
    Agent(agent::Agent),
    /// Shows the whole path on this machine, step by step
    Quickstart(quickstart::Args),
    /// Writes the completion script of a shell
    Completion(completion::Args),
    /// Writes the manual pages into a directory
    Man(man::Args),
}

impl Command {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Servmgr(command) => command.run(shell),
            Self::Envelope(command) => command.run(shell),
            Self::Agent(command) => command.run(shell),
            Self::Quickstart(command) => command.run(shell),
            Self::Completion(command) => command.run(),
            Self::Man(command) => command.run(),
        }
    }
}
