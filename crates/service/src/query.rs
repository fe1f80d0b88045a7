//! Questions about levels, systems and fixes; nothing here changes anything.

pub mod bench;
mod fixes;
mod levels;
mod requisites;
mod systems;

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use tender_package::manifest::ActionItem;
use tender_package::{FixId, LevelName, Message, Outcome, Severity, SystemName, Vrm};

pub(crate) use fixes::fix;
pub(crate) use levels::{compare, level, levels_of, service_status};
pub(crate) use requisites::{fleet_requisites, open_requisites};
pub(crate) use systems::{change_on, changes_of, exceptions_of, send_preview, systems_of};

use crate::error::{Refusal, ServiceError};
use crate::hold;
use crate::level::Level;
use crate::principal::Principal;
use crate::shapes::{LevelContent, LocalModState};
use crate::tables;

/// Signatures with less time left than this are renewed before a SEND.
const SIGNATURE_DAYS_MIN: i64 = 15;

/// Lists a level and all it is based on, BASE last.
pub(crate) fn lineage(
    tables: &Connection,
    vrm: &Vrm,
    level: &LevelName,
) -> Result<Vec<LevelName>, ServiceError> {
    let mut names = vec![level.clone()];
    let mut next = tables::levels::find(tables, vrm, level)?.and_then(|level| level.parent);
    while let Some(name) = next {
        next = tables::levels::find(tables, vrm, &name)?.and_then(|level| level.parent);
        names.push(name);
    }
    Ok(names)
}

/// Says which local modifications were merged and not looked at since.
pub(crate) fn report_review(level: &Level, content: &LevelContent, outcome: &mut Outcome) {
    for one in content.mods.iter().filter(|one| one.state == LocalModState::Review) {
        let text = format!(
            "local modification {} of `{}` in {} was merged and waits to be looked at",
            one.id, one.path, one.component
        );
        let hint = format!(
            "tender servmgr srvlvl localmod {} {} --reviewed {}",
            level.title(),
            one.component,
            one.id
        );
        outcome.say(Message::csm(230, Severity::W, text).with_hint(hint));
    }
}

/// Lists what people must read or do before a level goes into production, from the holds in force now.
pub(crate) fn actions_of(
    tables: &Connection,
    vrm: &Vrm,
    content: &LevelContent,
) -> Result<Vec<ActionItem>, ServiceError> {
    let on: HashSet<&FixId> = content.fixes.iter().map(|fix| &fix.id).collect();
    let bodies = tables::fixes::all(tables, vrm)?;
    let bodies = bodies.iter().map(|(fix, _)| fix).filter(|fix| on.contains(&fix.id));
    let mut actions = hold::actions(bodies, &tables::holds::active(tables, vrm)?);
    actions.extend(hold::envelope_memos(&content.fixes, &tables::fixes::memos(tables, vrm)?));
    actions.sort();
    actions.dedup();
    Ok(actions)
}

/// Says where fixes that are held now are on already; `word` names them, such as `held fix`.
pub(crate) fn report_held(
    principal: &Principal,
    vrm: &Vrm,
    held: &[FixId],
    word: &str,
    outcome: &mut Outcome,
) -> Result<(), ServiceError> {
    let tables = principal.tables();
    for fix in held {
        let levels = tables::levels::with_fix(&tables, vrm, fix)?;
        if !levels.is_empty() {
            let names: Vec<_> = levels.iter().map(|(level, _)| level.to_string()).collect();
            outcome.say(Message::csm(
                210,
                Severity::W,
                format!("{word} {fix} is on in level {}", names.join(", ")),
            ));
        }
        let systems = tables::systems::with_fix(&tables, vrm, fix)?;
        if !systems.is_empty() {
            let names: Vec<_> = systems.iter().map(|(system, _)| system.to_string()).collect();
            let text = format!("{word} {fix} is in production on {}", names.join(", "));
            outcome.say(Message::csm(211, Severity::W, text));
        }
    }
    Ok(())
}

/// Refuses a level that has fixes on which are held, not cured, and not accepted.
///
/// With a system, what was accepted for that system alone counts too.
pub(crate) fn refuse_holds(
    principal: &Principal,
    level: &Level,
    content: &LevelContent,
    system: Option<&SystemName>,
) -> Result<(), ServiceError> {
    let tables = principal.tables();
    let on: Vec<FixId> = content.fixes.iter().map(|fix| fix.id.clone()).collect();
    let effective: Vec<FixId> =
        content.fixes.iter().filter(|fix| fix.superseded_by.is_none()).map(|fix| fix.id.clone()).collect();
    let scopes = lineage(&tables, &level.vrm, &level.name)?;
    let active = tables::holds::active(&tables, &level.vrm)?;
    let blocking = hold::blocking(&active, &scopes, &on);
    // A fix that is contained in another brings nothing of its own any more.
    let is_accepted =
        |hold: &hold::ActiveHold| system.is_some_and(|system| hold.is_accepted_on(&scopes, system));
    let blocking: Vec<_> =
        blocking.into_iter().filter(|hold| effective.contains(&hold.fix) && !is_accepted(hold)).collect();
    let Some(first) = blocking.first() else { return Ok(()) };
    let lines: Vec<String> = blocking
        .iter()
        .map(|hold| match &hold.hold.resolved_by {
            Some(cure) => format!("{}: {}, cured by {cure}", hold.fix, hold.words()),
            None => format!("{}: {}", hold.fix, hold.words()),
        })
        .collect();
    let text = format!("level {} has fixes that are held: {}", level.title(), lines.join("; "));
    let only = system.map_or_else(String::new, |system| format!(" [--system {system}]"));
    let hint = format!(
        "make a level with the curing fixes, or `tender servmgr hold accept {} {}{only} --reason WHY`",
        level.title(),
        first.number
    );
    Err(Refusal::new(212, text).lines(lines).hint(hint).into())
}

/// Refuses to send a level that is under embargo, or has fixes that are.
pub(crate) fn refuse_embargo(
    principal: &Principal,
    level: &Level,
    content: &LevelContent,
) -> Result<(), ServiceError> {
    let on: Vec<FixId> = content.fixes.iter().map(|fix| fix.id.clone()).collect();
    let embargoes = tables::holds::embargoes(&principal.tables(), &level.vrm, &level.name, &on)?;
    if embargoes.is_empty() {
        return Ok(());
    }
    let text = format!("level {} is under embargo: {}", level.title(), embargoes.join("; "));
    let hint =
        "lift it with `tender servmgr srvlvl embargo … off` or `fix embargo … off` when its reason is gone";
    Err(Refusal::new(284, text).lines(embargoes).hint(hint).into())
}

/// Tells whether the signatures of a release's repository should be renewed.
pub(crate) fn signatures_are_old(
    principal: &Principal,
    vrm: &Vrm,
    now: Timestamp,
) -> Result<bool, ServiceError> {
    let path = principal.repo_dir(vrm).join("metadata/timestamp.json");
    let bytes = std::fs::read(&path).map_err(ServiceError::file("reading", &path))?;
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(ServiceError::damaged(path.display().to_string()))?;
    let expires = value["signed"]["expires"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let limit = now.saturating_add(SignedDuration::from_hours(24 * SIGNATURE_DAYS_MIN)).unwrap_or(now);
    Ok(expires.is_none_or(|expires| expires < limit))
}
