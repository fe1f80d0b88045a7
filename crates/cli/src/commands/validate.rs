//! `tender validate`: everything a start would check, and nothing of what it would do.

use tender_launcher::prepare::{Mode, PrepareRequest, prepare};
use tender_launcher::progress::Event;
use tender_launcher::summary::{Outcome as RowOutcome, Phase};
use tender_package::{Message, Outcome, ReturnCode};

use super::Shell;
use super::launcher::program;
use super::start::{phases, prepare_fault};
use crate::error::CommandError;
use crate::instance::Which;

/// Options of `tender validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tender validate\n  tender validate --instance /srv/prod --json\n\n\
                  Reads the configuration, checks directories, ports, programs and certificates, and runs the \
                  `validate` command of every component. Ends with 0 when all is well, 4 with warnings, 16 when an \
                  instance would not start, 28 when there is none.")]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Checks.
    pub(crate) fn run(self, _shell: &Shell) -> Result<Outcome, CommandError> {
        check(&self.which)
    }
}

/// Checks an instance as a start would.
pub(super) fn check(which: &Which) -> Result<Outcome, CommandError> {
    let instance = which.open()?;
    let request = PrepareRequest { mode: Mode::ValidateOnly, ..PrepareRequest::full(&program()?) };
    let prepared = prepare(&instance, &request, &|_: &Event| {}).map_err(prepare_fault)?;
    let mut outcome = Outcome::default();
    phases::add(&mut outcome, &prepared.phases);
    let directory = instance.directory().display();
    if prepared.is_failed() {
        outcome.say(Message::with_id("ZWEL0030E", format!("{directory} would not start")));
        outcome.code = outcome.code.max(ReturnCode::Refused);
    } else {
        let plan = prepared.phases.iter().filter(|summary| summary.phase == Phase::Plan);
        let rows = plan.flat_map(|summary| &summary.rows).filter(|row| row.outcome == RowOutcome::Done);
        let names = rows.map(|row| row.name.as_str()).collect::<Vec<_>>().join(" ");
        outcome.say(Message::with_id("ZWEL0069I", format!("{directory} would start: {names}")));
    }
    outcome.data = serde_json::json!({ "phases": prepared.phases, "messages": prepared.messages });
    Ok(outcome)
}
