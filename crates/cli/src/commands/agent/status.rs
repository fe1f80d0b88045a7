//! `tender agent status`.

use tender_package::report::SlotInfo;
use tender_package::{Message, Outcome, ReturnCode, Severity, Table};

use super::{Shell, failed, open};
use crate::error::CommandError;

/// Shows the managed system as it is.
pub(super) fn run(shell: &Shell) -> Result<Outcome, CommandError> {
    let home = open(shell)?;
    let info =
        tender_agent::info::system(&home).map_err(failed("describe this system", ReturnCode::Outside))?;
    let mut slots = Table::new(format!("System {}", info.system), &["slot", "level", "as", "since"]);
    for (word, slot) in [("test", &info.test), ("current", &info.current), ("previous", &info.previous)] {
        slots.row(slot_row(word, slot.as_ref()));
    }
    let mut overrides = Table::new("Out of management", &["component", "since", "by", "until", "reason"]);
    for out in &info.overrides {
        let until = out.until.map_or_else(|| "open".to_owned(), |until| format!("{until:.0}"));
        overrides.row([
            out.component.to_string(),
            out.since.to_string(),
            out.by.clone(),
            until,
            out.reason.clone(),
        ]);
    }
    let mut outcome = Outcome { tables: vec![slots, overrides, changes(&home)?], ..Outcome::default() };
    let managed = if info.is_managed { "managed by a principal" } else { "not managed" };
    let text = format!("{managed}; variant {}; {} MiB free", info.variant, info.free_bytes >> 20);
    outcome.say(Message::csm(82, Severity::I, text));
    for id in &info.open_requests {
        outcome.say(Message::csm(83, Severity::I, format!("request {id} is open")));
    }
    outcome.data = serde_json::json!(info);
    Ok(outcome)
}

fn slot_row(word: &str, slot: Option<&SlotInfo>) -> [String; 4] {
    match slot {
        None => [word.to_owned(), "-".to_owned(), String::new(), String::new()],
        Some(slot) => {
            let mode = format!("{:?}", slot.mode).to_ascii_uppercase();
            [word.to_owned(), slot.level.to_string(), mode, format!("{:.0}", slot.since)]
        }
    }
}

/// Shows what was changed here by hand, and what is kept so.
fn changes(home: &tender_agent::Home) -> Result<Table, CommandError> {
    let state = tender_agent::managed::ManagedState::read(home)
        .map_err(failed("read the state of management", ReturnCode::Outside))?;
    let mut table = Table::new("Changed by hand", &["component", "part", "as", "since"]);
    for one in &state.diverged {
        for part in &one.parts {
            let what = part.fault.clone().unwrap_or_else(|| part.word().to_owned());
            table.row([one.component.to_string(), part.path.to_string(), what, format!("{:.0}", one.since)]);
        }
    }
    for one in &state.exceptions {
        let what = format!("kept: {}", one.reason);
        table.row([one.component.to_string(), one.path.to_string(), what, format!("{:.0}", one.since)]);
    }
    Ok(table)
}
