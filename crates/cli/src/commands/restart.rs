//! `tender restart`: stops and starts components while the launcher stays.

use tender_package::{Message, Outcome};
use tender_supervisor::console::Request;

use super::Shell;
use crate::error::CommandError;
use crate::instance::{Which, answered};

/// Options of `tender restart`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender restart gateway\n  tender restart gateway --reconfigure\n  tender restart"
)]
pub(crate) struct Args {
    /// Components; without any, all of them
    #[arg(value_name = "COMPONENT")]
    components: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Validate and configure them again first, with the configuration as it is now
    #[arg(long)]
    reconfigure: bool,
    /// Do not wait until they are ready
    #[arg(long)]
    no_wait: bool,
}

impl Args {
    /// Tells the launcher.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let reached = self.which.reach()?;
        if shell.is_check {
            if self.reconfigure {
                return Ok(answered(reached.ask(&Request::Reload { check: true, wait: true })?));
            }
            let mut outcome = Outcome::default();
            let names =
                if self.components.is_empty() { "all components".into() } else { self.components.join(" ") };
            outcome.say(Message::with_id("ZWEL0804I", format!("would restart {names}")));
            return Ok(outcome);
        }
        let Self { components, reconfigure, no_wait, .. } = self;
        Ok(answered(reached.ask(&Request::Restart { components, reconfigure, wait: !no_wait })?))
    }
}
