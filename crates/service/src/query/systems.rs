//! What is known of systems, and what a level would change on them.

use jiff::Timestamp;
use tender_package::report::{SlotInfo, TestRun};
use tender_package::{FixId, LevelName, Message, Outcome, Severity, SystemName, Table, Vrm};

use super::levels::differences;
use crate::error::ServiceError;
use crate::level::Level;
use crate::principal::Principal;
use crate::system::{self, SystemContent, Target};
use crate::tables::systems::{self, SystemRow};
use crate::tables::{levels, packages, test_runs};

fn slot(slot: Option<&SlotInfo>) -> String {
    slot.map_or_else(String::new, |slot| {
        format!("{}.{} {:?}", slot.level.level, slot.level.generation, slot.mode)
    })
}

/// Shows systems (specification 7.1).
pub(crate) fn systems_of(
    principal: &Principal,
    vrm: &Vrm,
    target: &Target,
    now: Timestamp,
) -> Result<Outcome, ServiceError> {
    let tables = principal.tables();
    crate::tables::releases::expect(&tables, vrm)?;
    let rows = system::expand(&tables, vrm, target)?;
    let head = ["system", "state", "production", "test", "previous", "managed"];
    let mut table = Table::new(format!("Systems of release {vrm}"), &head);
    let mut contacts = Table::new("Contact", &["system", "last verb", "contact", "servcheck"]);
    let mut addresses = Table::new("Addresses", &["system", "address", "security", "variant"]);
    let mut outcome = Outcome::default();
    let mut data = Vec::new();
    for row in &rows {
        table.row(cells(row));
        contacts.row(contact_cells(row));
        addresses.row(address_cells(row));
        warn(&tables, row, now, &mut outcome)?;
        let drift = systems::drift(&tables, &row.record.name)?;
        data.push(serde_json::json!({
            "record": row.record, "state": state(row), "production": row.prod,
            "info": row.info, "servcheck": row.servcheck, "drift": drift, "last": row.last,
            "last_contact": row.last_contact, "diverged": row.diverged(), "changes": row.changes,
            "audit": row.audit,
        }));
    }
    outcome.tables.push(table);
    outcome.tables.push(contacts);
    outcome.tables.push(addresses);
    outcome.tables.extend(changes_of(&rows));
    outcome.tables.push(by_level(&rows));
    outcome.tables.push(deployments(&tables, vrm, &rows)?);
    let mut runs = test_runs::of_release(&tables, vrm)?;
    runs.retain(|(name, _)| rows.iter().any(|row| row.record.name == *name));
    outcome.tables.push(test_runs_table(&runs));
    let runs: Vec<_> =
        runs.iter().map(|(system, run)| serde_json::json!({ "system": system, "run": run })).collect();
    outcome.data = serde_json::json!({ "vrm": vrm, "systems": data, "test_runs": runs });
    Ok(outcome)
}

fn state(row: &SystemRow) -> &'static str {
    match row.is_added {
        false => "ADDING",
        true if row.diverged().is_empty() => "ADDED",
        true => "DIVERGED",
    }
}

/// Shows a time in few columns, as a table has to fit a terminal.
fn short(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}

fn cells(row: &SystemRow) -> [String; 6] {
    let info = row.info.as_ref();
    let production = info
        .and_then(|info| info.current.as_ref())
        .map(|current| match row.absorbed() {
            Some(level) => format!("{} = {level}", slot(Some(current))),
            None => slot(Some(current)),
        })
        .or_else(|| row.prod.as_ref().map(|(level, generation)| format!("{level}.{generation}")));
    let managed = match info {
        None => String::new(),
        Some(info) if !info.is_managed => "OFF".to_owned(),
        Some(info) if info.overrides.is_empty() => "ON".to_owned(),
        Some(info) => {
            let names: Vec<_> = info.overrides.iter().map(|one| one.component.to_string()).collect();
            format!("ON except {}", names.join(" "))
        }
    };
    [
        row.record.name.to_string(),
        state(row).to_owned(),
        production.unwrap_or_default(),
        slot(info.and_then(|info| info.test.as_ref())),
        slot(info.and_then(|info| info.previous.as_ref())),
        managed,
    ]
}

fn contact_cells(row: &SystemRow) -> [String; 4] {
    [
        row.record.name.to_string(),
        row.last.as_ref().map_or_else(String::new, |(verb, code, _)| format!("{verb} RC {code}")),
        row.last_contact.map_or_else(|| "never".to_owned(), short),
        row.servcheck.as_ref().map_or_else(
            || "never".to_owned(),
            |report| format!("{}, {} drifted", short(report.made), report.drift.len()),
        ),
    ]
}

fn address_cells(row: &SystemRow) -> [String; 4] {
    let security = if row.record.is_tls_required { "tls" } else { "clear text allowed" };
    [
        row.record.name.to_string(),
        format!("{}:{}", row.record.host, row.record.port),
        security.to_owned(),
        row.record.variant.to_string(),
    ]
}

/// Shows what was changed on systems by hand, and what they keep.
pub(crate) fn changes_of(rows: &[SystemRow]) -> [Table; 2] {
    let mut table = Table::new("Diverged", &["system", "component", "part", "what", "since"]);
    for row in rows.iter().filter(|row| !row.diverged().is_empty()) {
        for one in row.changes.iter().flat_map(|changes| &changes.diverged) {
            for part in &one.parts {
                table.row([
                    row.record.name.to_string(),
                    one.component.to_string(),
                    part.path.to_string(),
                    part.fault.clone().unwrap_or_else(|| part.word().to_owned()),
                    short(one.since),
                ]);
            }
        }
    }
    [table, exceptions_of(rows)]
}

/// Shows what systems keep as exceptions.
pub(crate) fn exceptions_of(rows: &[SystemRow]) -> Table {
    let mut table = Table::new("Exceptions", &["system", "component", "part", "since", "by", "reason"]);
    for row in rows {
        for one in row.changes.iter().flat_map(|changes| &changes.exceptions) {
            table.row([
                row.record.name.to_string(),
                one.component.to_string(),
                one.path.to_string(),
                short(one.since),
                one.by.clone(),
                one.reason.clone(),
            ]);
        }
    }
    table
}

/// Says what does not fit together: what is said to run and what runs, overdue overrides, unread results.
fn warn(
    tables: &rusqlite::Connection,
    row: &SystemRow,
    now: Timestamp,
    outcome: &mut Outcome,
) -> Result<(), ServiceError> {
    let name = &row.record.name;
    let Some(info) = &row.info else { return Ok(()) };
    for one in &info.overrides {
        let overdue = one.until.is_some_and(|until| until < now);
        let text = format!(
            "system {name}: component {} is out of management since {:.0} by {}: {}{}",
            one.component,
            one.since,
            one.by,
            one.reason,
            if overdue { " (overdue)" } else { "" }
        );
        outcome.say(Message::csm(216, Severity::W, text));
    }
    for one in row.diverged() {
        let text = format!(
            "system {name} has DIVERGED: component {}, {} parts, since {:.0}",
            one.component, one.parts, one.since
        );
        let hint = format!(
            "tender servmgr system absorb {vrm} {name} {} into LEVEL, or system exception add {vrm} {name} {} reason WHY, or send a level with --force REASON",
            one.component,
            one.component,
            vrm = row.record.vrm
        );
        outcome.say(Message::csm(266, Severity::W, text).with_hint(hint));
    }
    let count = row.changes.as_ref().map_or(0, |changes| changes.exceptions.len());
    if count > 0 {
        let text = format!("system {name} keeps {count} parts as exceptions");
        outcome.say(Message::csm(267, Severity::I, text));
    }
    if let Some(fault) = row.audit.as_ref().and_then(|copy| copy.fault.as_ref()) {
        let text = format!("system {name}: the audit log there is not what was copied of it: {fault}");
        let hint = format!("tender servmgr system audit {} {name}", row.record.vrm);
        outcome.say(Message::csm(268, Severity::W, text).with_hint(hint));
    }
    let Some(current) = &info.current else { return Ok(()) };
    if let Some(level) = levels::find(tables, &row.record.vrm, &current.level.level)? {
        let package = packages::find(tables, &level.vrm, &level.name, current.level.generation)?;
        let expected = package.map_or(level.content, |package| package.content);
        if expected != current.content {
            let text =
                format!("system {name}: {} there is not the {} made here", current.level, current.level);
            outcome.say(Message::csm(217, Severity::W, text));
        }
    }
    Ok(())
}

fn by_level(rows: &[SystemRow]) -> Table {
    let mut counts = std::collections::BTreeMap::new();
    for row in rows {
        let level = row.prod.as_ref().map_or_else(|| "none".to_owned(), |(level, _)| level.to_string());
        *counts.entry(level).or_insert(0_usize) += 1;
    }
    let mut table = Table::new("In production", &["level", "systems"]);
    for (level, count) in counts {
        table.row([level, count.to_string()]);
    }
    table
}

fn deployments(tables: &rusqlite::Connection, vrm: &Vrm, rows: &[SystemRow]) -> Result<Table, ServiceError> {
    let mut table = Table::new("Levels on systems", &["system", "level", "state", "rc", "tries", "at"]);
    for row in systems::deployments(tables, vrm, None)? {
        if rows.iter().all(|system| system.record.name != row.system) {
            continue;
        }
        table.row([
            row.system.to_string(),
            format!("{}.{}", row.level, row.generation),
            row.state.clone(),
            row.code.map_or_else(String::new, |code| code.to_string()),
            row.attempts.to_string(),
            short(row.at),
        ]);
    }
    Ok(table)
}

/// Shows what test instances showed.
fn test_runs_table(runs: &[(SystemName, TestRun)]) -> Table {
    let mut table = Table::new("Test runs", &["system", "level", "result", "at"]);
    for (system, run) in runs {
        table.row([
            system.to_string(),
            format!("{}.{}", run.level.level, run.level.generation),
            run.summary.clone(),
            short(run.began),
        ]);
    }
    table
}

/// Shows what a level would change on a system, from what the system was last seen to run.
pub(crate) fn change_on(
    principal: &Principal,
    vrm: &Vrm,
    level: &LevelName,
    name: &SystemName,
) -> Result<Outcome, ServiceError> {
    let (row, to, from, running) = {
        let tables = principal.tables();
        let row = systems::expect(&tables, vrm, name)?;
        levels::expect(&tables, vrm, level)?;
        let running = row.prod.as_ref().map_or_else(LevelName::base, |(level, _)| level.clone());
        let from = levels::content(&tables, vrm, &running)?;
        (row, levels::content(&tables, vrm, level)?, from, running)
    };
    let mut outcome = differences(principal, &from, &to, &format!("{running} on {name} -> {level}"))?;
    let restarts: std::collections::BTreeSet<&str> = to
        .components
        .iter()
        .filter(|new| from.components.iter().all(|old| old.name != new.name || old.tree != new.tree))
        .map(|component| component.restart.as_str())
        .collect();
    let restarts: Vec<&str> = restarts.into_iter().collect();
    let words = if restarts.is_empty() { "nothing".to_owned() } else { restarts.join(" ") };
    outcome.say(Message::csm(218, Severity::I, format!("would restart: {words}")));
    let now = SystemContent::from(&from);
    for loss in now.lost_in(&SystemContent::from(&to)) {
        outcome.say(Message::csm(219, Severity::W, format!("{name} would lose {}", loss.words())));
    }
    if let Some(at) = row.last_contact {
        outcome.say(Message::csm(220, Severity::I, format!("{name} was last seen {at:.0}")));
    }
    if let Some(object) = outcome.data.as_object_mut() {
        object.insert("restart".to_owned(), serde_json::json!(restarts));
    }
    Ok(outcome)
}

/// Shows what a SEND would do, system by system.
pub(crate) fn send_preview(
    principal: &Principal,
    level: &Level,
    targets: &[SystemRow],
    mode: &str,
    lose: &[FixId],
) -> Result<Outcome, ServiceError> {
    let tables = principal.tables();
    let mut outcome = Outcome::default();
    let mut table = Table::new(
        format!("SEND {}.{} ({mode}", level.title(), level.generation),
        &["system", "in production", "replaces in slot test", "would lose"],
    );
    let next = SystemContent::of_level(&tables, &level.vrm, &level.name, level.generation)?;
    for row in targets {
        let now = match &row.info {
            Some(info) => SystemContent::of_system(&tables, &level.vrm, info, row.prod.as_ref())?,
            None => SystemContent::default(),
        };
        let lost = system::losses(&now, &next, lose);
        let words: Vec<_> = lost.iter().map(system::Loss::words).collect();
        let info = row.info.as_ref();
        table.row([
            row.record.name.to_string(),
            slot(info.and_then(|info| info.current.as_ref())),
            slot(info.and_then(|info| info.test.as_ref())),
            words.join(", "),
        ]);
        if !lost.is_empty() {
            let text = format!("system {} would lose {} and refuse", row.record.name, words.join(", "));
            outcome.say(Message::csm(165, Severity::W, text));
        }
    }
    let names: Vec<_> = targets.iter().map(|row| &row.record.name).collect();
    outcome.data =
        serde_json::json!({ "level": level.name, "generation": level.generation, "systems": names });
    outcome.tables.push(table);
    Ok(outcome)
}
