//! Where a fix is, and where it is missing.

use tender_package::{FixId, Message, Outcome, Severity, Table, Vrm};

use crate::error::ServiceError;
use crate::principal::Principal;
use crate::shapes::Requisite;
use crate::tables::{fixes, levels, releases, systems};

/// Shows a fix: what it needs, which levels and systems have it, which systems miss it.
pub(crate) fn fix(principal: &Principal, vrm: &Vrm, id: &FixId) -> Result<Outcome, ServiceError> {
    let tables = principal.tables();
    releases::expect(&tables, vrm)?;
    let known = fixes::find(&tables, vrm, id)?;
    let levels = levels::with_fix(&tables, vrm, id)?;
    if known.is_none() && levels.is_empty() {
        return Err(ServiceError::Unknown {
            kind: "fix",
            name: format!("{vrm} {id}"),
            hint: "receive the envelope that holds it with SRVLVL SERVICE".to_owned(),
        });
    }
    let with = systems::with_fix(&tables, vrm, id)?;
    let missing = systems::missing_fix(&tables, vrm, id)?;
    let mut outcome = Outcome::default();
    if let Some(fix) = &known {
        let needs: Vec<String> = fix.requisites.iter().map(Requisite::words).collect();
        let contains: Vec<String> = fix.supersedes.iter().map(ToString::to_string).collect();
        let mut table = Table::new(format!("Fix {id}"), &["", ""]);
        for (what, value) in [
            ("component", fix.component.to_string()),
            ("description", fix.description.clone()),
            ("problems", fix.problems.join(" ")),
            ("needs", needs.join(", ")),
            ("supersedes", contains.join(" ")),
            ("parts", fix.parts.len().to_string()),
            ("memo", fix.memo.clone().unwrap_or_default()),
        ] {
            table.row([what.to_owned(), value]);
        }
        outcome.tables.push(table);
    }
    let mut table = Table::new("Levels with it", &["level", "contained in"]);
    for (level, by) in &levels {
        table.row([level.to_string(), by.as_ref().map_or_else(String::new, ToString::to_string)]);
    }
    outcome.tables.push(table);
    let mut table = Table::new("Systems", &["system", "level in production", "has it"]);
    for (system, level) in &with {
        table.row([system.to_string(), level.to_string(), "yes".to_owned()]);
    }
    for (system, level) in &missing {
        let level = level.as_ref().map_or_else(String::new, ToString::to_string);
        table.row([system.to_string(), level, "no".to_owned()]);
    }
    outcome.tables.push(table);
    let text = format!(
        "fix {id}: {} levels have it, {} systems run it, {} do not",
        levels.len(),
        with.len(),
        missing.len()
    );
    outcome.say(Message::csm(221, Severity::I, text));
    let names =
        |rows: Vec<&tender_package::SystemName>| rows.iter().map(ToString::to_string).collect::<Vec<_>>();
    outcome.data = serde_json::json!({
        "fix": id,
        "levels": levels.iter().map(|(level, _)| level.to_string()).collect::<Vec<_>>(),
        "systems": names(with.iter().map(|(system, _)| system).collect()),
        "missing": names(missing.iter().map(|(system, _)| system).collect()),
    });
    Ok(outcome)
}
