//! `tender status`: the components of an instance, once or again and again.

pub(crate) mod amounts;
pub(crate) mod table;

use std::sync::mpsc;
use std::time::Duration;

use tender_package::{Message, Outcome, ReturnCode};
use tender_supervisor::console::{InstanceStatus, Reply, Request};

use super::Shell;
use crate::error::CommandError;
use crate::instance::{Reached, Which};
use crate::live::Live;
use crate::render;

/// Time between two looks of `--watch`.
const WATCH_PERIOD: Duration = Duration::from_secs(1);
/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Options of `tender status`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender status\n  tender status --watch\n  tender status --json | jq .data.components\n\n\
                  Ends with 0 when everything is READY, 4 when not, 28 when no launcher runs."
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Look again every second until interrupted, or until the launcher ends
    #[arg(long, short)]
    watch: bool,
}

impl Args {
    /// Asks the launcher.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let reached = self.which.reach()?;
        if self.watch { watch(&reached, shell) } else { Ok(outcome(&ask(&reached)?)) }
    }
}

/// Asks a launcher for the state of everything.
pub(crate) fn ask(reached: &Reached) -> Result<InstanceStatus, CommandError> {
    let replies = reached.ask(&Request::Status)?;
    let status = replies.into_iter().find_map(|reply| match reply {
        Reply::Status(status) => Some(status),
        _ => None,
    });
    status.ok_or_else(|| reached.broken("it did not tell its state"))
}

/// Shows a state and judges it.
pub(crate) fn outcome(status: &InstanceStatus) -> Outcome {
    let mut outcome = Outcome { tables: vec![table::components(status)], ..Outcome::default() };
    for complaint in table::complaints(status) {
        outcome.say(complaint);
    }
    if !status.is_ready {
        outcome.code = outcome.code.max(ReturnCode::Warning);
    }
    if !status.containment.starts_with("cgroup") {
        outcome.messages.push(Message::with_id("ZWEL0801I", format!("held by {}", status.containment)));
    }
    outcome.data = serde_json::json!(status);
    outcome
}

fn watch(reached: &Reached, shell: &Shell) -> Result<Outcome, CommandError> {
    let live = Live::new(shell.audience);
    // Nobody ever sends: waiting for a message is a clock that does not sleep past an interruption.
    let (_keep, clock) = mpsc::channel::<()>();
    loop {
        let Ok(status) = ask(reached) else {
            let mut outcome = Outcome::default();
            outcome.say(Message::with_id("ZWEL0022I", "the launcher has ended"));
            return Ok(outcome);
        };
        let shown = render::text(&outcome(&status)).map_err(CommandError::Print)?;
        let before = if live.is_screen() { CLEAR } else { "" };
        let told = live.line(&format!("{before}{}", shown.trim_end())).and_then(|()| live.value(&status));
        match told {
            Err(fault) if fault.kind() == std::io::ErrorKind::BrokenPipe => return Ok(Outcome::default()),
            told => told.map_err(CommandError::Print)?,
        }
        if matches!(clock.recv_timeout(WATCH_PERIOD), Err(mpsc::RecvTimeoutError::Disconnected)) {
            return Ok(Outcome::default());
        }
    }
}
