//! `tender launcher run`.

use std::io::{self, Write as _};
use std::sync::Arc;

use clap::ValueEnum;
use tender_launcher::launch::{self, Ended, LaunchError, RunRequest};
use tender_launcher::message::log_line;
use tender_launcher::progress::Event;
use tender_launcher::summary::{Outcome as RowOutcome, Phase, PhaseSummary};
use tender_package::{Outcome, ReturnCode};
use tender_supervisor::lock::LockError;

use super::program;
use crate::commands::start::phases;
use crate::error::{CommandError, RuntimeFault};
use crate::instance::Which;
use crate::render;

/// Options of `tender launcher run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender launcher run --instance /srv/prod\n  systemd: see `tender instance init --systemd`\n\n\
                  Ends with 0 when it was stopped, 4 when components had to be killed, 12 or 16 when nothing could be \
                  started, 20 when another launcher runs the instance."
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Leave the terminal and log into a file of the instance
    #[arg(long, hide = true)]
    detached: bool,
    /// What standard output is for
    #[arg(long, value_enum, default_value_t = Told::Text, hide = true)]
    output: Told,
}

/// What the launcher writes while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Told {
    /// Lines for people and journals.
    Text,
    /// What happens as JSON lines, for `tender start`.
    Events,
}

impl Args {
    /// Asks to run an instance in the foreground, for people.
    pub(crate) fn foreground(which: Which) -> Self {
        Self { which, detached: false, output: Told::Text }
    }

    /// Runs until told to stop.
    pub(crate) fn run(self, is_check: bool) -> Result<Outcome, CommandError> {
        if is_check {
            return crate::commands::validate::check(&self.which);
        }
        let instance = self.which.open()?;
        let told = self.output;
        let request = RunRequest {
            program: program()?,
            is_detached: self.detached,
            // Without a reader it goes on all the same.
            progress: Arc::new(move |event: &Event| drop(tell(told, event))),
        };
        let mut outcome = Outcome::default();
        match launch::run(&instance, &request).map_err(fault)? {
            Ended::NotPrepared(prepared) => outcome.code = not_prepared(&prepared.phases),
            Ended::Stopped(exit) if exit.forced.is_empty() => {}
            Ended::Stopped(_) => outcome.code = ReturnCode::Warning,
        }
        Ok(outcome)
    }
}

/// Returns the code of an instance that could not be prepared: a configuration that does not hold is refused, trying
/// again does not help; a component or host that is not ready may be so later.
pub(crate) fn not_prepared(phases: &[PhaseSummary]) -> ReturnCode {
    let is_wrong = |summary: &PhaseSummary| {
        summary.phase == Phase::Configuration && summary.worst() == RowOutcome::Failed
    };
    if phases.iter().any(is_wrong) { ReturnCode::Refused } else { ReturnCode::Outside }
}

fn tell(told: Told, event: &Event) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match (told, event) {
        (Told::Events, event) => {
            serde_json::to_writer(&mut out, event)?;
            writeln!(out)?;
        }
        (Told::Text, Event::Message(message)) => writeln!(out, "{}", log_line(message))?,
        (Told::Text, Event::PhaseDone(summary)) => {
            let mut outcome = Outcome::default();
            phases::add(&mut outcome, std::slice::from_ref(summary));
            write!(out, "{}", render::text(&outcome)?)?;
        }
        (Told::Text, _) => {}
    }
    out.flush()
}

/// Says why an instance could not be run.
pub(crate) fn fault(fault: LaunchError) -> CommandError {
    let (id, code, hint) = match &fault {
        LaunchError::Lock(LockError::Held { .. }) => {
            ("ZWEL0820E", ReturnCode::Busy, Some("`tender status` shows it, `tender stop` ends it"))
        }
        LaunchError::Lock(_) | LaunchError::Log { .. } => ("ZWEL0036E", ReturnCode::Outside, None),
        LaunchError::Child(_) => ("ZWEL0030E", ReturnCode::Outside, Some("`tender validate` says more")),
        LaunchError::Supervise(_) => ("ZWEL0040E", ReturnCode::Outside, None),
    };
    let mut told = RuntimeFault::new(id, code, "failed to run the instance").because(fault);
    told.hint = hint.map(str::to_owned);
    told.into()
}
