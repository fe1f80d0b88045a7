//! `tender validate`: everything a start would check, and nothing of what it would do.

use tender_launcher::prepare::{Mode, PrepareRequest, prepare};
use tender_launcher::progress::Event;
use tender_package::{Message, Outcome};

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
    if !prepared.is_failed() {
        let text = format!("{} would start", instance.directory().display());
        outcome.say(Message::with_id("ZWEL0069I", text));
    }
    outcome.data = serde_json::json!({ "phases": prepared.phases, "messages": prepared.messages });
    Ok(outcome)
}
