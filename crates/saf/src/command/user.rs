//! ADDUSER, ALTUSER, DELUSER.

use std::collections::BTreeMap;

use super::grammar::{Given, Operand, Takes, operand, parse_item};
use super::{CommandError, Draft, Parsed, Positional, Verb};
use crate::database::{Key, Record};
use crate::id::Id;
use crate::user::{Authority, Connect, User, UserFlags, UserUnix};

const OMVS: &[Operand] = &[
    operand("UID", Takes::Value),
    operand("AUTOUID", Takes::Nothing),
    operand("NOUID", Takes::Nothing),
    operand("SHARED", Takes::Nothing),
    operand("HOME", Takes::Value),
    operand("NOHOME", Takes::Nothing),
    operand("PROGRAM", Takes::Value),
    operand("NOPROGRAM", Takes::Nothing),
];

const OPERANDS: &[Operand] = &[
    operand("NAME", Takes::Value),
    operand("OWNER", Takes::Value),
    operand("DFLTGRP", Takes::Value),
    operand("AUTHORITY", Takes::Value),
    operand("SPECIAL", Takes::Nothing),
    operand("NOSPECIAL", Takes::Nothing),
    operand("AUDITOR", Takes::Nothing),
    operand("NOAUDITOR", Takes::Nothing),
    operand("OPERATIONS", Takes::Nothing),
    operand("NOOPERATIONS", Takes::Nothing),
    operand("RESTRICTED", Takes::Nothing),
    operand("NORESTRICTED", Takes::Nothing),
    operand("UAUDIT", Takes::Nothing),
    operand("NOUAUDIT", Takes::Nothing),
    operand("REVOKE", Takes::Nothing),
    operand("RESUME", Takes::Nothing),
    operand("NOPASSWORD", Takes::Nothing),
    operand("PASSWORD", Takes::List),
    operand("PHRASE", Takes::List),
    operand("DATA", Takes::Value),
    operand("NODATA", Takes::Nothing),
    operand("OMVS", Takes::MaybeOperands(OMVS)),
    operand("NOOMVS", Takes::Nothing),
];

pub(super) static ADDUSER: Verb =
    Verb { name: "ADDUSER", alias: "AU", positional: Positional::Names, operands: OPERANDS, plan: add };
pub(super) static ALTUSER: Verb =
    Verb { name: "ALTUSER", alias: "ALU", positional: Positional::Names, operands: OPERANDS, plan: alter };
pub(super) static DELUSER: Verb =
    Verb { name: "DELUSER", alias: "DU", positional: Positional::Names, operands: &[], plan: delete };

fn add(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    for name in &parsed.names {
        let id: Id = parse_item("ADDUSER", "name", name)?;
        if let Some(user) = draft.database.users.get(&id) {
            let mut wanted = user.clone();
            change(draft, &mut wanted, &parsed.given)?;
            if wanted != draft.database.users[&id] {
                return Err(CommandError::AlreadyDefined { key: Key::User(id), alter: "ALTUSER" });
            }
            draft.note(format!("user {id} is already defined so"));
            continue;
        }
        if draft.database.groups.contains_key(&id) {
            return Err(CommandError::Refused { what: format!("{id} is the name of a group") });
        }
        let default_group: Id = match parsed.given.parse("DFLTGRP")? {
            Some(group) => group,
            None => default_group(draft),
        };
        let mut user = User {
            id: id.clone(),
            name: None,
            owner: draft.context.who.clone(),
            default_group: default_group.clone(),
            groups: BTreeMap::from([(default_group.clone(), Connect::default())]),
            flags: UserFlags::default(),
            data: None,
            unix: None,
        };
        draft.require_group(&default_group)?;
        change(draft, &mut user, &parsed.given)?;
        draft.database.insert(Record::User(user));
        draft.note(format!("user {id} is defined, default group {default_group}"));
    }
    Ok(())
}

/// Returns the group of a user defined without one: that of who defines it.
fn default_group(draft: &Draft) -> Id {
    let own = draft.database.users.get(&draft.context.who).map(|user| user.default_group.clone());
    own.unwrap_or_else(|| crate::database::TOP_GROUP.parse().expect("a constant name"))
}

fn alter(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    for name in &parsed.names {
        let id: Id = parse_item("ALTUSER", "name", name)?;
        let Some(user) = draft.database.users.get(&id) else {
            return Err(CommandError::NotDefined { key: Key::User(id) });
        };
        let mut changed = user.clone();
        change(draft, &mut changed, &parsed.given)?;
        draft.database.insert(Record::User(changed));
        draft.note(format!("user {id} is changed"));
    }
    Ok(())
}

fn delete(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    for name in &parsed.names {
        let id: Id = parse_item("DELUSER", "name", name)?;
        if draft.database.users.remove(&id).is_none() {
            return Err(CommandError::NotDefined { key: Key::User(id) });
        }
        for profile in draft.remove_from_access_lists(&id) {
            draft.note(format!("{id} is taken out of the access lists of {profile}"));
        }
        draft.note(format!("user {id} is deleted"));
    }
    Ok(())
}

/// Makes a user what the operands say; those not given change nothing.
fn change(draft: &mut Draft, user: &mut User, given: &Given) -> Result<(), CommandError> {
    if given.has("PASSWORD") || given.has("PHRASE") {
        let what = "passwords are not kept here: Linux keeps them (PAM)".to_owned();
        return Err(CommandError::Refused { what });
    }
    if let Some(name) = given.text("NAME") {
        user.name = Some(name);
    }
    if let Some(owner) = given.parse::<Id>("OWNER")? {
        draft.require_anybody(&owner)?;
        user.owner = owner;
    }
    if let Some(group) = given.parse::<Id>("DFLTGRP")? {
        if !user.groups.contains_key(&group) {
            let what =
                format!("user {} is not connected to group {group}, which would be its default", user.id);
            return Err(CommandError::Refused { what });
        }
        user.default_group = group;
    }
    if let Some(authority) = authority(given)? {
        user.groups.entry(user.default_group.clone()).or_default().authority = authority;
    }
    change_flags(&mut user.flags, given)?;
    match given.switch("DATA", "NODATA")? {
        Some(true) => user.data = given.text("DATA"),
        Some(false) => user.data = None,
        None => {}
    }
    match given.switch("OMVS", "NOOMVS")? {
        Some(true) => {
            let mut unix = user.unix.take().unwrap_or_default();
            if let Some(omvs) = given.given("OMVS") {
                change_unix(draft, &user.id, &mut unix, omvs)?;
            }
            user.unix = Some(unix);
        }
        Some(false) => user.unix = None,
        None => {}
    }
    Ok(())
}

fn change_flags(flags: &mut UserFlags, given: &Given) -> Result<(), CommandError> {
    let switches = [
        (&mut flags.is_special, "SPECIAL", "NOSPECIAL"),
        (&mut flags.is_auditor, "AUDITOR", "NOAUDITOR"),
        (&mut flags.is_operations, "OPERATIONS", "NOOPERATIONS"),
        (&mut flags.is_restricted, "RESTRICTED", "NORESTRICTED"),
        (&mut flags.is_audited, "UAUDIT", "NOUAUDIT"),
        (&mut flags.is_revoked, "REVOKE", "RESUME"),
    ];
    for (flag, yes, no) in switches {
        *flag = given.switch(yes, no)?.unwrap_or(*flag);
    }
    flags.is_protected |= given.has("NOPASSWORD");
    Ok(())
}

fn change_unix(draft: &mut Draft, id: &Id, unix: &mut UserUnix, omvs: &Given) -> Result<(), CommandError> {
    if let Some(uid) = omvs.parse::<u32>("UID")? {
        if let Some(other) = ["AUTOUID", "NOUID"].into_iter().find(|no| omvs.has(no)) {
            return Err(CommandError::Contradiction { of: omvs.of, one: "UID", other });
        }
        let claims =
            |user: &&User| user.id != *id && user.unix.as_ref().is_some_and(|unix| unix.uid == Some(uid));
        if let Some(other) = draft.database.users.values().find(claims).map(|user| user.id.clone())
            && !draft.is_lenient
        {
            if !omvs.has("SHARED") {
                let what = format!("UID({uid}) belongs to user {other}; with SHARED it would be nobody's");
                return Err(CommandError::Refused { what });
            }
            draft.warn(format!(
                "UID({uid}) is shared by {other} and {id}: a process with it is neither of them"
            ));
        }
        unix.uid = Some(uid);
    } else if omvs.has("AUTOUID") || omvs.has("NOUID") {
        unix.uid = None;
    }
    for (value, yes, no) in [(&mut unix.home, "HOME", "NOHOME"), (&mut unix.program, "PROGRAM", "NOPROGRAM")]
    {
        match omvs.switch(yes, no)? {
            Some(true) => *value = omvs.path(yes),
            Some(false) => *value = None,
            None => {}
        }
    }
    Ok(())
}

/// Reads AUTHORITY.
pub(super) fn authority(given: &Given) -> Result<Option<Authority>, CommandError> {
    let Some(word) = given.text("AUTHORITY") else { return Ok(None) };
    let found = Authority::ALL.into_iter().find(|authority| authority.as_str() == word);
    found.map(Some).ok_or(CommandError::Value { of: given.of, operand: "AUTHORITY", value: word })
}
