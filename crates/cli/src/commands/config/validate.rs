//! `tender config validate`.

use tender_config::problem::{Problem, Report};
use tender_launcher::instance::{Instance, InstanceError};
use tender_package::{Message, Outcome, Table};

use crate::error::CommandError;
use crate::instance::{Which, loaded};

/// Options of `tender config validate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender config validate\n  tender config validate -c 'FILE(over.yaml):FILE(zowe.yaml)' --json\n\n\
                  Without --ha-instance it is about all HA instances of the configuration. Ends with 0 when all is well, \
                  4 with warnings, 16 with errors, 12 or 28 when a file cannot be read or is not there. `tender validate` also runs what components bring to check \
                  themselves."
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Reports everything that is wrong.
    pub(super) fn run(self) -> Result<Outcome, CommandError> {
        let instance = self.which.open()?;
        let Checked { report, ids } = match self.which.ha_instance {
            Some(_) => check(&instance)?,
            None => check_all(&instance)?,
        };
        let mut outcome = reported(&report, &ids);
        let about = match ids.as_slice() {
            [] => String::new(),
            [id] => format!(" for HA instance {id}"),
            ids => format!(" for HA instances {}", ids.join(" ")),
        };
        if report.errors().count() == 0 {
            let text = format!("{} is valid{about}", instance.config());
            outcome.messages.push(Message::with_id("ZWEL0069I", text));
        }
        Ok(outcome)
    }
}

/// What is wrong with a configuration, and for which of its HA instances.
struct Checked {
    report: Report,
    ids: Vec<String>,
}

/// Checks the configuration for the HA instance that is named.
fn check(instance: &Instance) -> Result<Checked, CommandError> {
    match instance.load() {
        Ok(found) => {
            // Without HA instances the name of this system stands for the only one; that says nothing.
            let ids = found.configuration.instance_ids().into_iter().filter(|id| *id == found.instance.id);
            Ok(Checked { ids: ids.collect(), report: found.report })
        }
        Err(InstanceError::Configuration { report, .. }) => Ok(Checked { report: *report, ids: Vec::new() }),
        Err(fault) => Err(loaded::fault(fault)),
    }
}

/// Checks the configuration for every HA instance it has, whether this host is one of them or not.
fn check_all(instance: &Instance) -> Result<Checked, CommandError> {
    let ids = match instance.load() {
        Err(InstanceError::UnknownHa { known, .. }) => known,
        Ok(found) => found.configuration.instance_ids(),
        Err(_) => Vec::new(),
    };
    if ids.is_empty() {
        return check(instance);
    }
    let mut problems: Vec<Problem> = Vec::new();
    for id in &ids {
        for problem in check(&instance.pinned(id))?.report.problems {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    Ok(Checked { report: Report::of(problems), ids })
}

/// Shows a report: a line a problem, and how many there are.
fn reported(report: &Report, ids: &[String]) -> Outcome {
    let mut outcome = Outcome::default();
    for problem in &report.problems {
        outcome.say(loaded::told(problem));
    }
    let (errors, warnings) = (report.errors().count(), report.warnings().count());
    if errors > 0 {
        outcome.code = loaded::of_report(report).1;
        let mut table = Table::new("", &["errors", "warnings", "problems in all"]);
        table.row([errors, warnings, report.problems.len()].map(|count| count.to_string()));
        outcome.tables.push(table);
    }
    outcome.data = serde_json::json!({
        "problems": report.problems,
        "errors": errors,
        "warnings": warnings,
        "ha_instances": ids,
    });
    outcome
}
