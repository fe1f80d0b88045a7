//! What levels hold and how they differ.

use std::collections::{BTreeMap, BTreeSet};

use tender_content::{Node, PartPath};
use tender_package::{ComponentName, FixId, LevelName, Message, Outcome, Severity, Table, Vrm};

use crate::error::ServiceError;
use crate::hold;
use crate::level::{Level, PackageState, Work};
use crate::operation;
use crate::principal::Principal;
use crate::query::lineage;
use crate::shapes::{LevelContent, LocalModState};
use crate::tables::{holds, levels, packages, systems};

fn work_word(level: &Level) -> &'static str {
    match level.work {
        Work::Idle => "",
        Work::Incomplete => "INCOMPLETE",
        Work::Deleting => "DELETING",
    }
}

fn package_word(level: &Level) -> String {
    match level.package {
        PackageState::None => "none".to_owned(),
        PackageState::Current => format!("{} current", level.generation),
        PackageState::Stale => format!("{} stale", level.generation),
    }
}

/// Lists the levels of a release.
pub(crate) fn levels_of(principal: &Principal, vrm: &Vrm) -> Result<Outcome, ServiceError> {
    let tables = principal.tables();
    crate::tables::releases::expect(&tables, vrm)?;
    let head = [
        "level",
        "based on",
        "state",
        "lock",
        "variant",
        "fixes",
        "package",
        "content",
        "systems",
        "description",
    ];
    let mut table = Table::new(format!("Levels of release {vrm}"), &head);
    let mut data = Vec::new();
    for level in levels::all(&tables, vrm)? {
        let content = levels::content(&tables, vrm, &level.name)?;
        let running = systems::running(&tables, vrm, &level.name)?;
        let state = [level.state_word(), work_word(&level)].join(" ").trim_end().to_owned();
        table.row([
            level.name.to_string(),
            level.parent.as_ref().map_or_else(String::new, ToString::to_string),
            state,
            if level.is_locked { "ON".to_owned() } else { "OFF".to_owned() },
            level.variant.to_string(),
            content.fixes.len().to_string(),
            package_word(&level),
            level.content.short(),
            running.len().to_string(),
            level.description.clone(),
        ]);
        data.push(summary(&level, &content, &running));
    }
    Ok(Outcome {
        tables: vec![table],
        data: serde_json::json!({ "vrm": vrm, "levels": data }),
        ..Outcome::default()
    })
}

fn summary(
    level: &Level,
    content: &LevelContent,
    running: &[tender_package::SystemName],
) -> serde_json::Value {
    serde_json::json!({
        "level": level.name, "basedon": level.parent, "state": level.state, "lock": level.is_locked,
        "incomplete": level.work == Work::Incomplete, "variant": level.variant, "description": level.description,
        "content": level.content, "generation": level.generation,
        "package": match level.package {
            PackageState::None => "NONE", PackageState::Current => "CURRENT", PackageState::Stale => "STALE",
        },
        "fixes": content.fixes.iter().map(|fix| &fix.id).collect::<Vec<_>>(),
        "excluded": content.excluded, "changed": level.changed, "changed_by": level.changed_by, "systems": running,
    })
}

/// Objects that are named in one message.
const OBJECTS_NAMED_MAX: usize = 10;

/// Shows one level in full.
pub(crate) fn level(principal: &Principal, vrm: &Vrm, name: &LevelName) -> Result<Outcome, ServiceError> {
    let (level, content, running) = {
        let tables = principal.tables();
        let level = levels::expect(&tables, vrm, name)?;
        (level, levels::content(&tables, vrm, name)?, systems::running(&tables, vrm, name)?)
    };
    let unbuilt =
        if level.name.is_base() { Vec::new() } else { operation::unbuilt(principal, &level.vrm, &content)? };
    let mut outcome = Outcome::default();
    outcome.tables.push(facts(principal, &level, &content)?);
    outcome.tables.push(components_table(&content, &unbuilt));
    outcome.tables.push(fixes_table(&content));
    if !content.mods.is_empty() {
        outcome.tables.push(mods_table(&content));
    }
    let open = levels::operation(&principal.tables(), vrm, name)?;
    if let Some(open) = &open {
        say_open(principal, &level, open, &mut outcome)?;
    }
    say_missing(principal, &level, &content, &mut outcome)?;
    let on: Vec<FixId> = content.fixes.iter().map(|fix| fix.id.clone()).collect();
    for embargo in holds::embargoes(&principal.tables(), vrm, name, &on)? {
        outcome.say(Message::csm(
            284,
            Severity::W,
            format!("level {vrm} {name} is under embargo: {embargo}"),
        ));
    }
    let actions = super::actions_of(&principal.tables(), vrm, &content)?;
    if !actions.is_empty() {
        let mut table = Table::new("To read or do before production", &["acknowledge", "reason", "text"]);
        for item in &actions {
            table.row([item.fix.to_string(), item.reason.clone(), item.text.clone()]);
        }
        outcome.tables.push(table);
    }
    let deployments = systems::deployments(&principal.tables(), vrm, Some(name))?;
    if !deployments.is_empty() {
        let mut table = Table::new("Systems", &["system", "generation", "state", "rc", "tries", "at"]);
        for row in &deployments {
            table.row([
                row.system.to_string(),
                row.generation.to_string(),
                row.state.clone(),
                row.code.map_or_else(String::new, |code| code.to_string()),
                row.attempts.to_string(),
                format!("{:.0}", row.at),
            ]);
        }
        outcome.tables.push(table);
    }
    let mut data = summary(&level, &content, &running);
    if let Some(object) = data.as_object_mut() {
        object.insert("components".to_owned(), serde_json::json!(content.components));
        object.insert("level_fixes".to_owned(), serde_json::json!(content.fixes));
        object.insert("local_mods".to_owned(), serde_json::json!(content.mods));
        object.insert("actions".to_owned(), serde_json::json!(actions));
        object.insert("unbuilt".to_owned(), serde_json::json!(unbuilt));
    }
    outcome.data = data;
    Ok(outcome)
}

/// Says which fixes the categories of the level's fixes still miss.
fn say_missing(
    principal: &Principal,
    level: &Level,
    content: &LevelContent,
    outcome: &mut Outcome,
) -> Result<(), ServiceError> {
    let tables = principal.tables();
    let (active, scopes) = (holds::active(&tables, &level.vrm)?, lineage(&tables, &level.vrm, &level.name)?);
    let on: Vec<_> = content.fixes.iter().map(|fix| fix.id.clone()).collect();
    for missing in hold::missing_for_category(&active, &scopes, &on) {
        let cure = missing.hold.resolved_by.as_ref().map_or("a fix to come", FixId::as_str);
        let text = format!("for category {}, fix {} needs {cure}", missing.hold.reason, missing.fix);
        outcome.say(Message::csm(239, Severity::W, text).with_hint(format!(
            "install it with SRVLVL SERVICE, or: tender servmgr hold accept {} {} {} --reason WHY",
            level.vrm, level.name, missing.number
        )));
    }
    Ok(())
}

fn facts(principal: &Principal, level: &Level, content: &LevelContent) -> Result<Table, ServiceError> {
    let tables = principal.tables();
    let mut table = Table::new(format!("Level {}", level.title()), &["", ""]);
    let chain = lineage(&tables, &level.vrm, &level.name)?;
    let chain: Vec<_> = chain.iter().map(ToString::to_string).collect();
    let envelopes: BTreeSet<&str> = content.fixes.iter().map(|fix| fix.envelope.as_str()).collect();
    let envelopes: Vec<&str> = envelopes.into_iter().collect();
    let excluded: Vec<_> = content.excluded.iter().map(ToString::to_string).collect();
    let active = holds::active(&tables, &level.vrm)?;
    let accepted =
        active.iter().flat_map(|hold| hold.accepted.iter().map(move |acceptance| (hold, acceptance)));
    let now = jiff::Timestamp::now();
    let accepted: Vec<_> = accepted
        .filter(|(_, acceptance)| acceptance.level == level.name.as_str())
        .map(|(hold, acceptance)| format!("{} {}: {}", hold.fix, hold.words(), acceptance.words(now)))
        .collect();
    let package = packages::find(&tables, &level.vrm, &level.name, level.generation)?;
    let package = package.map_or_else(
        || package_word(level),
        |row| format!("{}, {} bytes, made {:.0}", package_word(level), row.bytes, row.made),
    );
    let lock = if level.is_locked { "ON" } else { "OFF" };
    for (what, value) in [
        ("lineage", chain.join(" <- ")),
        ("state", format!("{} {} lock {lock}", level.state_word(), work_word(level))),
        ("variant", level.variant.to_string()),
        ("description", level.description.clone()),
        ("content", level.content.to_hex()),
        ("envelopes", envelopes.join(" ")),
        ("excluded", excluded.join(" ")),
        ("holds accepted", accepted.join(", ")),
        ("package", package),
        ("changed", format!("{:.0} by {}", level.changed, level.changed_by)),
    ] {
        table.row([what.to_owned(), value]);
    }
    Ok(table)
}

fn components_table(content: &LevelContent, unbuilt: &[ComponentName]) -> Table {
    let mut table =
        Table::new("Components", &["component", "fixes", "local modifications", "tree", "objects"]);
    for component in &content.components {
        let fixes = content.fixes.iter().filter(|fix| fix.component == component.name).count();
        let mods = content.mods.iter().filter(|one| one.component == component.name).count();
        let built = if unbuilt.contains(&component.name) { "not built" } else { "built" };
        table.row([
            component.name.to_string(),
            fixes.to_string(),
            mods.to_string(),
            component.tree.short(),
            built.to_owned(),
        ]);
    }
    table
}

fn fixes_table(content: &LevelContent) -> Table {
    let mut table = Table::new("Fixes", &["fix", "component", "envelope", "contained in"]);
    for fix in &content.fixes {
        table.row([
            fix.id.to_string(),
            fix.component.to_string(),
            fix.envelope.clone(),
            fix.superseded_by.as_ref().map_or_else(String::new, ToString::to_string),
        ]);
    }
    table
}

fn mods_table(content: &LevelContent) -> Table {
    let head = ["id", "component", "part", "kind", "state", "reworked", "fixed in", "owner", "reason"];
    let mut table = Table::new("Local modifications", &head);
    for one in &content.mods {
        let fixed: Vec<_> = one.fixed_in.iter().map(ToString::to_string).collect();
        table.row([
            one.id.to_string(),
            one.component.to_string(),
            one.path.to_string(),
            format!("{:?}", one.kind).to_lowercase(),
            if one.state == LocalModState::Review { "REVIEW".to_owned() } else { "carried".to_owned() },
            one.rework_count.to_string(),
            fixed.join(" "),
            one.owner.clone(),
            one.reason.clone(),
        ]);
    }
    table
}

/// Says what an unfinished operation waits for.
fn say_open(
    principal: &Principal,
    level: &Level,
    open: &crate::shapes::Operation,
    outcome: &mut Outcome,
) -> Result<(), ServiceError> {
    let objects = operation::unbuilt_objects(principal, &open.after, &open.dirty)?;
    let list = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let text = format!(
        "unfinished since {:.0}: {} {}; components not built: {}{}; local modifications to rework: {}",
        open.began,
        open.verb,
        open.command,
        list(open.dirty.iter().map(ToString::to_string).collect()),
        objects_words(&objects),
        list(open.conflicts.iter().map(ToString::to_string).collect())
    );
    let hint = format!("tender servmgr srvlvl service {} --restart, or --abandon", level.title());
    outcome.say(Message::csm(214, Severity::W, text).with_hint(hint));
    Ok(())
}

/// Names objects that are not built, the first of them at least.
fn objects_words(objects: &[String]) -> String {
    let named = objects.iter().take(OBJECTS_NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match objects.len() {
        0 => String::new(),
        count if count > OBJECTS_NAMED_MAX => {
            format!(" (objects {named} and {} more)", count - OBJECTS_NAMED_MAX)
        }
        _ => format!(" (objects {named})"),
    }
}

/// Shows what is on, held and not built.
pub(crate) fn service_status(principal: &Principal, level: &Level) -> Result<Outcome, ServiceError> {
    let (content, active, open) = {
        let tables = principal.tables();
        let content = levels::content(&tables, &level.vrm, &level.name)?;
        let open = levels::operation(&tables, &level.vrm, &level.name)?;
        (content, holds::active(&tables, &level.vrm)?, open)
    };
    let unbuilt = operation::unbuilt(principal, &level.vrm, &content)?;
    let mut outcome = Outcome::default();
    outcome.tables.push(components_table(&content, &unbuilt));
    outcome.tables.push(fixes_table(&content));
    let mut table = Table::new("Holds of these fixes", &["no", "fix", "class", "reason", "cured by"]);
    for hold in active.iter().filter(|hold| content.fixes.iter().any(|fix| fix.id == hold.fix)) {
        table.row([
            hold.number.to_string(),
            hold.fix.to_string(),
            hold.hold.class.word().to_owned(),
            hold.hold.reason.clone(),
            hold.hold.resolved_by.as_ref().map_or_else(String::new, ToString::to_string),
        ]);
    }
    outcome.tables.push(table);
    let objects = operation::unbuilt_objects(principal, &content, &unbuilt)?;
    let text = format!(
        "level {}: {} fixes, {} components not built{}",
        level.title(),
        content.fixes.len(),
        unbuilt.len(),
        objects_words(&objects)
    );
    outcome.say(Message::csm(213, Severity::I, text));
    if let Some(open) = &open {
        say_open(principal, level, open, &mut outcome)?;
    }
    outcome.data = serde_json::json!({
        "fixes": content.fixes, "unbuilt": unbuilt, "objects": objects, "unfinished": open.is_some(),
    });
    Ok(outcome)
}

/// How the fixes of two levels differ; a contained fix counts as on.
fn fix_rows(from: &LevelContent, to: &LevelContent) -> Vec<(FixId, &'static str)> {
    let on = |content: &LevelContent| -> BTreeMap<FixId, bool> {
        content.fixes.iter().map(|fix| (fix.id.clone(), fix.superseded_by.is_some())).collect()
    };
    let (from, to) = (on(from), on(to));
    let mut rows = Vec::new();
    for (fix, is_contained) in &to {
        match from.get(fix) {
            None => rows.push((fix.clone(), if *is_contained { "added, contained" } else { "added" })),
            Some(false) if *is_contained => rows.push((fix.clone(), "superseded")),
            Some(_) => {}
        }
    }
    rows.extend(from.keys().filter(|fix| !to.contains_key(*fix)).map(|fix| (fix.clone(), "removed")));
    rows
}

/// Lists the parts that differ between two contents, component by component.
pub(super) fn part_rows(
    principal: &Principal,
    from: &LevelContent,
    to: &LevelContent,
) -> Result<Vec<(ComponentName, PartPath, &'static str)>, ServiceError> {
    let trees = |content: &LevelContent| -> BTreeMap<ComponentName, tender_content::Digest> {
        content.components.iter().map(|component| (component.name.clone(), component.tree)).collect()
    };
    let (from, to) = (trees(from), trees(to));
    let names: BTreeSet<&ComponentName> = from.keys().chain(to.keys()).collect();
    let mut rows = Vec::new();
    for name in names {
        if from.get(name) == to.get(name) {
            continue;
        }
        let tree = |digest: Option<&tender_content::Digest>| {
            digest.map(|digest| principal.tree(digest)).transpose().map(Option::unwrap_or_default)
        };
        for change in crate::fix::changes_between(&tree(from.get(name))?, &tree(to.get(name))?) {
            rows.push((name.clone(), change.path, kind_of(change.was.as_ref(), change.becomes.as_ref())));
        }
    }
    Ok(rows)
}

fn kind_of(was: Option<&Node>, becomes: Option<&Node>) -> &'static str {
    match (was, becomes) {
        (None, _) => "added",
        (_, None) => "removed",
        (Some(was), Some(becomes)) if was.digest().is_some() && was.digest() == becomes.digest() => "mode",
        _ => "changed",
    }
}

/// Shows how two levels differ.
pub(crate) fn compare(
    principal: &Principal,
    vrm: &Vrm,
    from: &LevelName,
    to: &LevelName,
) -> Result<Outcome, ServiceError> {
    let (a, b, from_content, to_content) = {
        let tables = principal.tables();
        let a = levels::expect(&tables, vrm, from)?;
        let b = levels::expect(&tables, vrm, to)?;
        (a, b, levels::content(&tables, vrm, from)?, levels::content(&tables, vrm, to)?)
    };
    let mut outcome = differences(principal, &from_content, &to_content, &format!("{from} -> {to}"))?;
    if a.content == b.content {
        outcome.say(Message::csm(215, Severity::I, format!("levels {from} and {to} have equal content")));
    }
    Ok(outcome)
}

/// Shows how two contents differ.
pub(super) fn differences(
    principal: &Principal,
    from: &LevelContent,
    to: &LevelContent,
    title: &str,
) -> Result<Outcome, ServiceError> {
    let mut fixes = Table::new(format!("Fixes {title}"), &["fix", "difference"]);
    let fix_rows = fix_rows(from, to);
    for (fix, what) in &fix_rows {
        fixes.row([fix.to_string(), (*what).to_owned()]);
    }
    let mut mods =
        Table::new(format!("Local modifications {title}"), &["id", "component", "part", "difference"]);
    let mut mod_rows = Vec::new();
    let mods_of = |content: &LevelContent| -> BTreeMap<FixId, crate::shapes::LocalMod> {
        content.mods.iter().map(|one| (one.id.clone(), one.clone())).collect()
    };
    let (old, new) = (mods_of(from), mods_of(to));
    for id in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let what = match (old.get(id), new.get(id)) {
            (None, Some(_)) => "added",
            (Some(_), None) => "removed",
            (Some(old), Some(new)) if old.body != new.body || old.path != new.path => "changed",
            _ => continue,
        };
        if let Some(one) = new.get(id).or_else(|| old.get(id)) {
            mods.row([id.to_string(), one.component.to_string(), one.path.to_string(), what.to_owned()]);
            mod_rows.push(serde_json::json!({ "id": id, "difference": what }));
        }
    }
    let mut parts = Table::new(format!("Parts {title}"), &["component", "part", "difference"]);
    let part_rows = part_rows(principal, from, to)?;
    for (component, path, what) in &part_rows {
        parts.row([component.to_string(), path.to_string(), (*what).to_owned()]);
    }
    let data = serde_json::json!({
        "fixes": fix_rows.iter().map(|(fix, what)| serde_json::json!({"fix": fix, "difference": what})).collect::<Vec<_>>(),
        "local_mods": mod_rows,
        "parts": part_rows.iter().map(|(component, path, what)| {
            serde_json::json!({"component": component, "path": path, "difference": what})
        }).collect::<Vec<_>>(),
    });
    Ok(Outcome { tables: vec![fixes, mods, parts], data, ..Outcome::default() })
}
