//! `tender reload`: takes over what changed, and restarts only what it touches.

use tender_package::{Outcome, ReturnCode};
use tender_supervisor::console::Request;

use super::{Shell, status};
use crate::error::CommandError;
use crate::instance::{Which, answered};

/// Options of `tender reload`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tender reload --check\n  tender reload\n\n\
                  A component is touched when its parts, its manifest or its environment changed. The others keep \
                  their process and their connections. When the new configuration does not hold, nothing changes. Ends \
                  with 4 when a component was left out or stays as it was.")]
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
        let request = Request::Reload { check: shell.is_check, wait: !self.no_wait };
        let mut outcome = answered(reached.ask(&request)?);
        if outcome.code <= ReturnCode::Warning && !shell.is_check {
            let state = status::ask(&reached)?;
            for complaint in status::table::left_out(&state) {
                outcome.say(complaint);
            }
        }
        Ok(outcome)
    }
}
