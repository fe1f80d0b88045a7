//! ADDGROUP, ALTGROUP, DELGROUP.

use super::grammar::{Given, Operand, Takes, operand, parse_item};
use super::{CommandError, Draft, Parsed, Positional, Verb};
use crate::database::{Key, Record, TOP_GROUP};
use crate::id::Id;
use crate::user::{Group, GroupUnix};

const OMVS: &[Operand] = &[
    operand("GID", Takes::Value),
    operand("AUTOGID", Takes::Nothing),
    operand("NOGID", Takes::Nothing),
    operand("SHARED", Takes::Nothing),
];

const OPERANDS: &[Operand] = &[
    operand("OWNER", Takes::Value),
    operand("SUPGROUP", Takes::Value),
    operand("DATA", Takes::Value),
    operand("NODATA", Takes::Nothing),
    operand("OMVS", Takes::MaybeOperands(OMVS)),
    operand("NOOMVS", Takes::Nothing),
];

pub(super) static ADDGROUP: Verb =
    Verb { name: "ADDGROUP", alias: "AG", positional: Positional::Names, operands: OPERANDS, plan: add };
pub(super) static ALTGROUP: Verb =
    Verb { name: "ALTGROUP", alias: "ALG", positional: Positional::Names, operands: OPERANDS, plan: alter };
pub(super) static DELGROUP: Verb =
    Verb { name: "DELGROUP", alias: "DG", positional: Positional::Names, operands: &[], plan: delete };

fn add(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    for name in &parsed.names {
        let id: Id = parse_item("ADDGROUP", "name", name)?;
        if let Some(group) = draft.database.groups.get(&id) {
            let mut wanted = group.clone();
            change(draft, &mut wanted, &parsed.given)?;
            if wanted != draft.database.groups[&id] {
                return Err(CommandError::AlreadyDefined { key: Key::Group(id), alter: "ALTGROUP" });
            }
            draft.note(format!("group {id} is already defined so"));
            continue;
        }
        if draft.database.users.contains_key(&id) {
            return Err(CommandError::Refused { what: format!("{id} is the name of a user") });
        }
        // The group above everything has none above itself; only a directory of text defines it.
        let is_top = id.as_str() == TOP_GROUP;
        let superior = if is_top { None } else { Some(TOP_GROUP.parse().expect("a constant name")) };
        let owner = draft.context.who.clone();
        let mut group = Group { id: id.clone(), superior, owner, data: None, unix: None };
        change(draft, &mut group, &parsed.given)?;
        draft.database.insert(Record::Group(group));
        draft.note(format!("group {id} is defined"));
    }
    Ok(())
}

fn alter(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    for name in &parsed.names {
        let id: Id = parse_item("ALTGROUP", "name", name)?;
        let Some(group) = draft.database.groups.get(&id) else {
            return Err(CommandError::NotDefined { key: Key::Group(id) });
        };
        let mut changed = group.clone();
        change(draft, &mut changed, &parsed.given)?;
        draft.database.insert(Record::Group(changed));
        draft.note(format!("group {id} is changed"));
    }
    Ok(())
}

fn delete(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    for name in &parsed.names {
        let id: Id = parse_item("DELGROUP", "name", name)?;
        if !draft.database.groups.contains_key(&id) {
            return Err(CommandError::NotDefined { key: Key::Group(id) });
        }
        let member = draft.database.users.values().find(|user| user.groups.contains_key(&id));
        let below = draft.database.groups.values().find(|group| group.superior.as_ref() == Some(&id));
        let obstacle = match (member, below) {
            (Some(user), _) => Some(format!("group {id} has members, user {} for one", user.id)),
            (None, Some(group)) => Some(format!("group {} is below group {id}", group.id)),
            (None, None) if id.as_str() == TOP_GROUP => Some(format!("every group is below {id}")),
            (None, None) => None,
        };
        if let Some(what) = obstacle {
            return Err(CommandError::Refused { what });
        }
        draft.database.groups.remove(&id);
        for profile in draft.remove_from_access_lists(&id) {
            draft.note(format!("{id} is taken out of the access lists of {profile}"));
        }
        draft.note(format!("group {id} is deleted"));
    }
    Ok(())
}

fn change(draft: &mut Draft, group: &mut Group, given: &Given) -> Result<(), CommandError> {
    if let Some(owner) = given.parse::<Id>("OWNER")? {
        draft.require_anybody(&owner)?;
        group.owner = owner;
    }
    if let Some(above) = given.parse::<Id>("SUPGROUP")? {
        draft.require_group(&above)?;
        if is_below(draft, &above, &group.id) {
            let what = format!("group {above} is {} itself or below it", group.id);
            return Err(CommandError::Refused { what });
        }
        group.superior = Some(above);
    }
    match given.switch("DATA", "NODATA")? {
        Some(true) => group.data = given.text("DATA"),
        Some(false) => group.data = None,
        None => {}
    }
    match given.switch("OMVS", "NOOMVS")? {
        Some(true) => {
            let mut unix = group.unix.take().unwrap_or_default();
            if let Some(omvs) = given.given("OMVS") {
                change_unix(draft, &group.id, &mut unix, omvs)?;
            }
            group.unix = Some(unix);
        }
        Some(false) => group.unix = None,
        None => {}
    }
    Ok(())
}

fn is_below(draft: &Draft, group: &Id, top: &Id) -> bool {
    // A directory of text may hold a circle, which must not be walked forever.
    let mut at = Some(group);
    for _ in 0..=draft.database.groups.len() {
        match at {
            Some(id) if id == top => return true,
            Some(id) => at = draft.database.groups.get(id).and_then(|group| group.superior.as_ref()),
            None => return false,
        }
    }
    false
}

fn change_unix(draft: &mut Draft, id: &Id, unix: &mut GroupUnix, omvs: &Given) -> Result<(), CommandError> {
    let Some(gid) = omvs.parse::<u32>("GID")? else {
        if omvs.has("AUTOGID") || omvs.has("NOGID") {
            unix.gid = None;
        }
        return Ok(());
    };
    if let Some(other) = ["AUTOGID", "NOGID"].into_iter().find(|no| omvs.has(no)) {
        return Err(CommandError::Contradiction { of: omvs.of, one: "GID", other });
    }
    let claims =
        |group: &&Group| group.id != *id && group.unix.as_ref().is_some_and(|unix| unix.gid == Some(gid));
    let other = draft.database.groups.values().find(claims).map(|group| group.id.clone());
    if let Some(other) = other.filter(|_| !draft.is_lenient) {
        if !omvs.has("SHARED") {
            let what = format!("GID({gid}) belongs to group {other}; with SHARED it would be nobody's");
            return Err(CommandError::Refused { what });
        }
        draft.warn(format!(
            "GID({gid}) is shared by {other} and {id}: a process with it is in neither of them"
        ));
    }
    unix.gid = Some(gid);
    Ok(())
}
