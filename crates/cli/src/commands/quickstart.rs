//! `tender quickstart`.

use std::path::PathBuf;

use tender_package::Outcome;

use super::Shell;
use crate::error::CommandError;
use crate::quickstart;

/// Options of `tender quickstart`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender quickstart --keep --directory /tmp/fleet")]
pub(crate) struct Args {
    /// Leave everything in place and the agents running, to play with
    #[arg(long)]
    keep: bool,
    /// A fresh directory for it; a new temporary one when left out
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Args {
    /// Tells the story and carries it out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        if shell.is_check {
            return Err(CommandError::NothingToCheck("quickstart"));
        }
        quickstart::run(self.directory, self.keep).map_err(CommandError::Quickstart)
    }
}
