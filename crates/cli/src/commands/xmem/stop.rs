//! `tender xmem stop`.

use std::time::Duration;

use rustix::process::Signal;
use tender_package::{Message, Outcome, ReturnCode};
use tender_parmlib::ServerName;

use super::places::{Places, server_name};
use super::running::{Holder, has_ended, signal};
use crate::commands::Shell;
use crate::error::{CommandError, RuntimeFault};

/// Options of `tender xmem stop`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The server takes no new calls, finishes those that are under way and ends.\n\n\
                        Examples:\n  tender xmem stop\n  tender xmem stop ZWESIS_TEST --wait 10 --kill")]
pub(crate) struct Args {
    /// The server; ZWESIS_STD when left out
    #[arg(value_name = "NAME", default_value_t, value_parser = server_name)]
    name: ServerName,
    /// How long it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    wait: u64,
    /// Kill it when it has not ended by then
    #[arg(long)]
    kill: bool,
}

impl Args {
    /// Stops a server and waits until it has ended.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let name = &self.name;
        let places = Places::find(shell)?;
        let run = places.run_of(name);
        let Some(holder) = Holder::of(&run, name) else {
            return Err(not_running(name));
        };
        let mut outcome =
            Outcome { data: serde_json::json!({ "server": name, "holder": holder }), ..Outcome::default() };
        if shell.is_check {
            let text = format!("would stop server {name}, process {}", holder.pid);
            outcome.say(Message::with_id("ZWES2150I", text));
            return Ok(outcome);
        }
        let failed = |source: std::io::Error| {
            let is_mine = source.kind() != std::io::ErrorKind::PermissionDenied;
            let code = if is_mine { ReturnCode::Outside } else { ReturnCode::Refused };
            let text = format!("server {name}, process {}, cannot be stopped", holder.pid);
            CommandError::from(RuntimeFault::new("ZWES2151E", code, text).because(source))
        };
        // One that has ended since has done what was wanted.
        if let Some(pidfd) = holder.pidfd(&run, name) {
            signal(&pidfd, Signal::TERM).map_err(failed)?;
            if !has_ended(&pidfd, Duration::from_secs(self.wait)).map_err(failed)? {
                if !self.kill {
                    let text =
                        format!("server {name}, process {}, has not ended after {} s", holder.pid, self.wait);
                    return Err(RuntimeFault::new("ZWES2152E", ReturnCode::Partial, text)
                        .with_hint("it goes on ending; --kill would end it at once")
                        .into());
                }
                signal(&pidfd, Signal::KILL).map_err(failed)?;
                has_ended(&pidfd, Duration::from_secs(10)).map_err(failed)?;
                outcome.say(Message::with_id("ZWES2153W", format!("server {name} was killed")));
                return Ok(outcome);
            }
        }
        outcome.say(Message::with_id("ZWES2154I", format!("server {name} has ended")));
        Ok(outcome)
    }
}

/// Says that nobody runs a server.
pub(super) fn not_running(name: &ServerName) -> CommandError {
    RuntimeFault::new("ZWES2155E", ReturnCode::Unknown, format!("server {name} does not run"))
        .with_hint("`tender xmem status` lists those that do, `tender xmem start` starts one")
        .into()
}
