//! What fixes need, on the same system and on others.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rusqlite::Connection;
use tender_package::{ComponentName, FixId, LevelName, SystemName, Vrm};

use crate::error::ServiceError;
use crate::shapes::{Fix, Requisite};
use crate::system::SystemContent;
use crate::tables;
use crate::tables::systems::SystemRow;

/// Returns fixes with all that they contain, received or not.
fn with_contained<'a>(bodies: &HashMap<&'a FixId, &'a Fix>, on: &'a BTreeSet<FixId>) -> HashSet<&'a FixId> {
    let mut met: HashSet<&FixId> = on.iter().collect();
    let mut work: Vec<&FixId> = on.iter().collect();
    while let Some(id) = work.pop() {
        for older in bodies.get(id).into_iter().flat_map(|fix| &fix.supersedes) {
            if met.insert(older) {
                work.push(older);
            }
        }
    }
    met
}

/// Lists what fixes that are on need and do not have, conditions that hold now included.
pub(crate) fn open_requisites(
    tables: &Connection,
    vrm: &Vrm,
    on: &BTreeSet<FixId>,
) -> Result<Vec<String>, ServiceError> {
    let bodies = tables::fixes::all(tables, vrm)?;
    let bodies: HashMap<&FixId, &Fix> = bodies.iter().map(|(fix, _)| (&fix.id, fix)).collect();
    let met = with_contained(&bodies, on);
    let components: HashSet<_> =
        tables::releases::components(tables, vrm)?.into_iter().map(|component| component.name).collect();
    let mut open = Vec::new();
    for fix in on.iter().filter_map(|id| bodies.get(id)) {
        for requisite in &fix.requisites {
            let other = requisite.fix();
            let has = met.contains(other);
            let id = &fix.id;
            match requisite {
                Requisite::Pre { .. } | Requisite::Co { .. } if !has => {
                    open.push(format!("{id} needs {other}"));
                }
                Requisite::Npre { .. } if has => {
                    open.push(format!("{id} must not be with {other}"));
                }
                Requisite::If { component, when, .. } if !has => {
                    let is_there = component.as_ref().is_none_or(|name| components.contains(name));
                    if is_there && when.as_ref().is_none_or(|when| met.contains(when)) {
                        open.push(format!("{id} needs {other}, its condition holds now"));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(open)
}

/// Lists what fixes need in production on other systems than `here` and is not, each with the systems that lack it.
///
/// A system that was never reached, or runs nothing, lacks everything.
pub(crate) fn fleet_requisites(
    tables: &Connection,
    vrm: &Vrm,
    here: &SystemName,
    fixes: &BTreeSet<FixId>,
) -> Result<Vec<String>, ServiceError> {
    let all = tables::fixes::all(tables, vrm)?;
    let bodies: HashMap<&FixId, &Fix> = all.iter().map(|(fix, _)| (&fix.id, fix)).collect();
    let needs = fixes.iter().filter_map(|id| bodies.get(id)).flat_map(|fix| {
        let of_fleet = fix.requisites.iter().filter_map(|requisite| match requisite {
            Requisite::Fleet { fix: other, component, systems } => Some((other, component, systems)),
            _ => None,
        });
        of_fleet.map(move |need| (&fix.id, need))
    });
    let needs: Vec<_> = needs.collect();
    if needs.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<SystemRow> =
        tables::systems::all(tables, vrm)?.into_iter().filter(|row| row.record.name != *here).collect();
    let nicknames = tables::systems::nicknames(tables)?;
    let mut running = BTreeMap::new();
    for row in &rows {
        let content = match &row.info {
            Some(info) => SystemContent::of_system(tables, vrm, info, row.prod.as_ref())?,
            None => SystemContent::default(),
        };
        running.insert(&row.record.name, content.fixes);
    }
    let mut open = Vec::new();
    for (id, (other, component, systems)) in needs {
        let mut lacking = Vec::new();
        for row in &rows {
            let name = &row.record.name;
            let is_member = |word: &SystemName| {
                word == name || nicknames.iter().any(|(nickname, member)| nickname == word && member == name)
            };
            let is_named = systems.is_empty() || systems.iter().any(is_member);
            if is_named
                && has_component(tables, vrm, row, component.as_ref())?
                && !with_contained(&bodies, &running[name]).contains(other)
            {
                lacking.push(name.to_string());
            }
        }
        if !lacking.is_empty() {
            open.push(format!("{id} needs {other} in production on {} first", lacking.join(", ")));
        }
    }
    Ok(open)
}

fn has_component(
    tables: &Connection,
    vrm: &Vrm,
    row: &SystemRow,
    component: Option<&ComponentName>,
) -> Result<bool, ServiceError> {
    let Some(component) = component else { return Ok(true) };
    let level = row.prod.as_ref().map_or(&row.record.asserted, |(level, _)| level);
    let level: &LevelName = level;
    Ok(tables::levels::components(tables, vrm, level)?.iter().any(|one| one.name == *component))
}
