//! `tender start`: the launcher in the background, or components of a running one.

pub(crate) mod phases;

use std::sync::{Mutex, PoisonError};

use tender_launcher::instance::Instance;
use tender_launcher::launch::background::{self, StartError, StartRequest, Started};
use tender_launcher::message::Severity;
use tender_launcher::prepare::PrepareError;
use tender_launcher::progress::Event;
use tender_launcher::summary::{Outcome as RowOutcome, PhaseSummary};
use tender_package::{Message, Outcome, ReturnCode};
use tender_supervisor::console::{InstanceStatus, Request};

use super::launcher::{program, run};
use super::{Shell, status};
use crate::error::{CommandError, RuntimeFault};
use crate::instance::{Reached, Which, answered, loaded, place};
use crate::live::Live;
use crate::render;

/// Options of `tender start`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender start\n  tender start --instance /srv/prod --no-wait\n  tender start gateway\n\n\
                  Validates all components, configures all, starts all, and ends when all are READY. Ends with 4 when \
                  some component was left out, 12 when some did not become READY or nothing could be started, 16 when \
                  the configuration does not hold, 20 when a launcher runs already."
)]
pub(crate) struct Args {
    /// Components of a running instance; without any the launcher is started
    #[arg(value_name = "COMPONENT")]
    components: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Stay in the foreground until it is stopped
    #[arg(long, conflicts_with_all = ["components", "no_wait"])]
    foreground: bool,
    /// Do not wait until everything is READY
    #[arg(long)]
    no_wait: bool,
    /// How long to wait until everything is READY, such as 90s or 10min
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = status::amounts::parse_time_ms)]
    ready_limit: u64,
}

impl Args {
    /// Starts.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        if !self.components.is_empty() {
            let reached = self.which.reach()?;
            if shell.is_check {
                let mut outcome = Outcome::default();
                let text = format!("would start {}", self.components.join(" "));
                outcome.say(Message::with_id("ZWEL0006I", text));
                return Ok(outcome);
            }
            let request = Request::Start { components: self.components, wait: !self.no_wait };
            return Ok(answered(reached.ask(&request)?));
        }
        if shell.is_check {
            return super::validate::check(&self.which);
        }
        if self.foreground {
            return run::Args::foreground(self.which).run(false);
        }
        let ready_limit_ms = if self.no_wait { 0 } else { self.ready_limit };
        start(&self.which.open()?, ready_limit_ms, shell)
    }
}

fn start(instance: &Instance, ready_limit_ms: u64, shell: &Shell) -> Result<Outcome, CommandError> {
    let live = Live::new(shell.audience);
    let gone_through: Mutex<Vec<PhaseSummary>> = Mutex::new(Vec::new());
    let said: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let progress = |event: &Event| {
        let shown = match event {
            Event::PhaseDone(summary) => {
                gone_through.lock().unwrap_or_else(PoisonError::into_inner).push(summary.clone());
                let mut outcome = Outcome::default();
                phases::add(&mut outcome, std::slice::from_ref(summary));
                render::text(&outcome).unwrap_or_default()
            }
            Event::Message(message) if message.severity() != Severity::Information => {
                said.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_string());
                message.to_string()
            }
            _ => return,
        };
        let shown = shown.trim_end();
        if !shown.is_empty() {
            // Without a reader the start goes on all the same.
            drop(live.line(&format!("{shown}\n")));
        }
    };
    let request = StartRequest { program: program()?, ready_limit_ms };
    let started = background::start(instance, &request, &progress).map_err(start_fault)?;
    if started == Started::Running {
        let identity = instance.identity().map_err(loaded::fault)?;
        Reached::named(&identity.directory, &identity.ha_id).await_start()?;
    }
    let gone_through = gone_through.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut outcome = judged(&started, &gone_through);
    if let Some(foreign) = place::foreign(instance.directory()) {
        outcome.say(foreign);
    }
    let state = match &started {
        Started::Ready(status) | Started::NotReady(status) => serde_json::json!(status),
        Started::Running | Started::NotPrepared { .. } => serde_json::Value::Null,
    };
    let said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.data = serde_json::json!({ "phases": gone_through, "said": said, "status": state });
    Ok(outcome)
}

fn judged(started: &Started, gone_through: &[PhaseSummary]) -> Outcome {
    let mut outcome = Outcome::default();
    match started {
        Started::Ready(state) => {
            outcome.tables.push(status::table::components(state));
            for complaint in status::table::complaints(state) {
                outcome.say(complaint);
            }
            let text = format!("{} is ready", state.job_name);
            outcome.say(Message::with_id("ZWEL0007I", text));
        }
        Started::NotReady(state) => not_ready(state, &mut outcome),
        Started::Running => {
            let text = "the launcher runs; the components are starting";
            outcome.say(
                Message::with_id("ZWEL0006I", text).with_hint("`tender status --watch` shows how they do"),
            );
        }
        Started::NotPrepared { code } => {
            outcome.say(
                Message::with_id("ZWEL0030E", "nothing was started").with_hint(
                    "mend what is said above; `tender validate` checks it without starting anything",
                ),
            );
            let code = code.and_then(|code| ReturnCode::try_from(code).ok());
            outcome.code = code.filter(|code| *code > ReturnCode::Warning).unwrap_or(ReturnCode::Outside);
        }
    }
    let is_worse =
        |summary: &PhaseSummary| matches!(summary.worst(), RowOutcome::Warned | RowOutcome::Skipped);
    if gone_through.iter().any(is_worse) {
        outcome.code = outcome.code.max(ReturnCode::Warning);
    }
    outcome
}

fn not_ready(state: &InstanceStatus, outcome: &mut Outcome) {
    outcome.tables.push(status::table::components(state));
    for complaint in status::table::complaints(state) {
        outcome.say(complaint);
    }
    let text = "not everything is READY; the launcher goes on with what can run";
    outcome.say(Message::with_id("ZWEL0052W", text).with_hint(
        "`tender status` shows it, `tender logs COMPONENT` what it prints, `tender stop` ends it",
    ));
    outcome.code = ReturnCode::Outside;
}

/// Says why nothing was started.
fn start_fault(fault: StartError) -> CommandError {
    let (id, code, hint) = match fault {
        StartError::Instance(fault) => return loaded::fault(fault),
        StartError::Running { .. } => (
            "ZWEL0820E",
            ReturnCode::Busy,
            "`tender status` shows it, `tender start COMPONENT` starts a component of it, `tender stop` ends it",
        ),
        StartError::NotWritable { .. } => (
            "ZWEL0110E",
            ReturnCode::Outside,
            "start it as the user whose directory it is, or let this user write there",
        ),
        _ => (
            "ZWEL0040E",
            ReturnCode::Outside,
            "the launcher's own log is in the log directory of the instance",
        ),
    };
    RuntimeFault::new(id, code, "failed to start").because(fault).with_hint(hint).into()
}

/// Says why nothing could be prepared at all.
pub(crate) fn prepare_fault(fault: PrepareError) -> CommandError {
    match fault {
        PrepareError::Instance(fault) => loaded::fault(fault),
        PrepareError::Unknown { .. } => {
            RuntimeFault::new("ZWEL0054E", ReturnCode::Unknown, "failed to prepare the instance")
                .because(fault)
                .into()
        }
        _ => RuntimeFault::new("ZWEL0030E", ReturnCode::Outside, "failed to prepare the instance")
            .because(fault)
            .into(),
    }
}
