//! The phases before a start as tables: time, every component's result, what failing ones printed.

use tender_launcher::summary::{Outcome as RowOutcome, Phase, PhaseSummary, Row};
use tender_package::{Message, Outcome, ReturnCode, Severity, Table};

use crate::commands::status::amounts::time;
use crate::commands::status::table::with_output;

/// Shows a phase, one row for each component or check.
pub(crate) fn table(summary: &PhaseSummary) -> Table {
    let what = match summary.phase {
        Phase::Configuration | Phase::Global => "check",
        Phase::Validate | Phase::Configure | Phase::Plan => "component",
    };
    let title = format!("{}: {}", summary.phase.name(), time(summary.took_ms));
    let mut table = Table::new(title, &[what, "result", "time", "reason"]);
    for row in &summary.rows {
        let reason = row.reason.clone().unwrap_or_default();
        table.row([row.name.clone(), word(row.outcome).to_owned(), time(row.took_ms), reason]);
    }
    table
}

fn word(outcome: RowOutcome) -> &'static str {
    match outcome {
        RowOutcome::Done => "ok",
        RowOutcome::Nothing => "nothing to do",
        RowOutcome::Warned => "warning",
        RowOutcome::Skipped => "left out",
        RowOutcome::Failed => "failed",
    }
}

/// Says what is not all right, with what was printed.
pub(crate) fn complaints(summary: &PhaseSummary) -> Vec<Message> {
    summary.rows.iter().filter_map(|row| complaint(summary.phase, row)).collect()
}

fn complaint(phase: Phase, row: &Row) -> Option<Message> {
    let id = match (phase, row.outcome) {
        (_, RowOutcome::Done | RowOutcome::Nothing) => return None,
        (Phase::Configuration, RowOutcome::Failed) => "ZWEL0070E",
        (_, RowOutcome::Failed) => "ZWEL0030E",
        (_, RowOutcome::Warned | RowOutcome::Skipped) => "ZWEL0066W",
    };
    let why = row.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let message = Message::with_id(id, format!("{} of {}{why}", phase.name(), row.name));
    if phase == Phase::Configuration {
        // Each line is a problem with its place, not something a script printed.
        return Some(if row.output.is_empty() {
            message
        } else {
            message.with_hint(row.output.join("\n          "))
        });
    }
    Some(with_output(message, &row.output))
}

/// Adds the phases to an outcome; what failed is refused, what was warned of is a warning.
pub(crate) fn add(outcome: &mut Outcome, phases: &[PhaseSummary]) {
    for summary in phases {
        outcome.tables.push(table(summary));
        for message in complaints(summary) {
            let is_failed = message.severity == Severity::E;
            outcome.say(message);
            if is_failed {
                outcome.code = outcome.code.max(ReturnCode::Refused);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phase_with_a_failure_is_refused_and_shows_what_was_printed() {
        let mut failed = Row::new("redis", RowOutcome::Failed, 1200).because("exit 8");
        failed.output = vec!["no memory".to_owned()];
        let rows = vec![Row::new("nginx", RowOutcome::Done, 5), failed];
        let summary = PhaseSummary { phase: Phase::Validate, took_ms: 1205, rows };
        let mut outcome = Outcome::default();
        add(&mut outcome, &[summary]);
        assert_eq!(outcome.code, ReturnCode::Refused);
        assert_eq!(outcome.messages[0].to_string(), "ZWEL0030E validate of redis: exit 8");
        assert!(outcome.messages[0].hint.as_ref().unwrap().contains("no memory"));
        assert_eq!(outcome.tables[0].rows[1], ["redis", "failed", "1.2 s", "exit 8"]);
    }
}
