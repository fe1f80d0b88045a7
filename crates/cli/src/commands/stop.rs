//! `tender stop`: ends an instance, or stops components of it.

use tender_package::{Message, Outcome};
use tender_supervisor::console::Request;

use super::{Shell, status};
use crate::error::CommandError;
use crate::instance::{Which, answered};

/// Options of `tender stop`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tender stop\n  tender stop gateway catalog\n\n\
                  Components stop in the reverse order of their start, each within its grace time. Ends with 4 when \
                  some had to be killed, or when nothing ran.")]
pub(crate) struct Args {
    /// Components; without any the launcher stops them all and ends
    #[arg(value_name = "COMPONENT")]
    components: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Do not wait until they have stopped
    #[arg(long)]
    no_wait: bool,
}

impl Args {
    /// Tells the launcher.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let Some(reached) = self.which.reach_running()? else {
            self.which.check_ha_instance()?;
            let mut outcome = Outcome::default();
            outcome.say(Message::with_id("ZWEL0803W", "no launcher runs; there is nothing to stop"));
            return Ok(outcome);
        };
        if shell.is_check {
            return would_stop(&status::ask(&reached)?, &self.components);
        }
        if !self.components.is_empty() {
            let request = Request::Stop { components: self.components, wait: !self.no_wait };
            return Ok(answered(reached.ask(&request)?));
        }
        let outcome = answered(reached.ask(&Request::Shutdown)?);
        if !self.no_wait {
            reached.await_end()?;
        }
        Ok(outcome)
    }
}

fn would_stop(
    status: &tender_supervisor::console::InstanceStatus,
    components: &[String],
) -> Result<Outcome, CommandError> {
    let mut outcome = Outcome::default();
    let running = status.components.iter().filter(|one| one.pid.is_some());
    let is_meant = |name: &str| {
        components.is_empty() || components.iter().any(|component| component.eq_ignore_ascii_case(name))
    };
    let names: Vec<&str> = running.map(|one| one.name.as_str()).filter(|name| is_meant(name)).collect();
    outcome.say(Message::with_id("ZWEL0008I", format!("would stop: {}", names.join(" "))));
    if components.is_empty() {
        outcome.say(Message::with_id("ZWEL0019I", format!("would end launcher {}", status.pid)));
    }
    outcome.data = serde_json::json!({ "components": names });
    Ok(outcome)
}
