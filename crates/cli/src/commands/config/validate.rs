//! `tender config validate`.

use tender_config::problem::Report;
use tender_launcher::instance::InstanceError;
use tender_package::{Message, Outcome, ReturnCode, Table};

use crate::error::CommandError;
use crate::instance::{Which, loaded};

/// Options of `tender config validate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender config validate\n  tender config validate -c 'FILE(over.yaml):FILE(zowe.yaml)' --json\n\n\
                  Ends with 0 when all is well, 4 with warnings, 16 with errors. `tender validate` also runs what \
                  components bring to check themselves."
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Reports everything that is wrong.
    pub(super) fn run(self) -> Result<Outcome, CommandError> {
        let instance = self.which.open()?;
        let report = match instance.load() {
            Ok(loaded) => loaded.report,
            Err(InstanceError::Configuration { report, .. }) => *report,
            Err(fault) => return Err(loaded::fault(fault)),
        };
        let mut outcome = reported(&report);
        if report.is_empty() {
            outcome.say(Message::with_id("ZWEL0069I", format!("{} is valid", instance.config())));
        }
        Ok(outcome)
    }
}

/// Shows a report: a line a problem, and how many there are.
fn reported(report: &Report) -> Outcome {
    let mut outcome = Outcome::default();
    for problem in &report.problems {
        outcome.say(loaded::told(problem));
    }
    let (errors, warnings) = (report.errors().count(), report.warnings().count());
    if errors > 0 {
        outcome.code = ReturnCode::Refused;
        let mut table = Table::new("", &["errors", "warnings", "problems in all"]);
        table.row([errors, warnings, report.problems.len()].map(|count| count.to_string()));
        outcome.tables.push(table);
    }
    outcome.data = serde_json::json!({ "problems": report.problems, "errors": errors, "warnings": warnings });
    outcome
}
