//! `tender reload`: takes over what changed, and restarts only what it touches.

use tender_package::Outcome;
use tender_supervisor::console::Request;

use super::Shell;
use crate::error::CommandError;
use crate::instance::{Which, answered};

/// Options of `tender reload`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tender reload --check\n  tender reload\n\n\
                  A component is touched when its parts, its manifest or its environment changed. The others keep \
                  their process and their connections. When the new configuration does not hold, nothing changes.")]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Do not wait until what was restarted is ready
    #[arg(long)]
    no_wait: bool,
}

impl Args {
    /// Tells the launcher.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let reached = self.which.reach()?;
        Ok(answered(reached.ask(&Request::Reload { check: shell.is_check, wait: !self.no_wait })?))
    }
}
