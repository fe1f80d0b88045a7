//! CONNECT, REMOVE.

use super::grammar::{Operand, Takes, operand, parse_item};
use super::user::authority;
use super::{CommandError, Draft, Parsed, Positional, Verb};
use crate::database::Key;
use crate::id::Id;

const CONNECT_OPERANDS: &[Operand] = &[
    operand("GROUP", Takes::Value),
    operand("AUTHORITY", Takes::Value),
    operand("OWNER", Takes::Value),
    operand("REVOKE", Takes::Nothing),
    operand("RESUME", Takes::Nothing),
    operand("SPECIAL", Takes::Nothing),
    operand("NOSPECIAL", Takes::Nothing),
];
const REMOVE_OPERANDS: &[Operand] = &[operand("GROUP", Takes::Value), operand("OWNER", Takes::Value)];

pub(super) static CONNECT: Verb = Verb {
    name: "CONNECT",
    alias: "CO",
    positional: Positional::Names,
    operands: CONNECT_OPERANDS,
    plan: connect,
};
pub(super) static REMOVE: Verb = Verb {
    name: "REMOVE",
    alias: "RE",
    positional: Positional::Names,
    operands: REMOVE_OPERANDS,
    plan: remove,
};

fn connect(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    let given = &parsed.given;
    let group: Id = given.require("GROUP")?;
    draft.require_group(&group)?;
    for name in &parsed.names {
        let id: Id = parse_item("CONNECT", "name", name)?;
        let Some(user) = draft.database.users.get_mut(&id) else {
            return Err(CommandError::NotDefined { key: Key::User(id) });
        };
        let connect = user.groups.entry(group.clone()).or_default();
        connect.authority = authority(given)?.unwrap_or(connect.authority);
        connect.is_revoked = given.switch("REVOKE", "RESUME")?.unwrap_or(connect.is_revoked);
        connect.is_special = given.switch("SPECIAL", "NOSPECIAL")?.unwrap_or(connect.is_special);
        draft.note(format!("user {id} is connected to group {group}"));
    }
    Ok(())
}

fn remove(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    let group: Id = parsed.given.require("GROUP")?;
    draft.require_group(&group)?;
    for name in &parsed.names {
        let id: Id = parse_item("REMOVE", "name", name)?;
        let Some(user) = draft.database.users.get_mut(&id) else {
            return Err(CommandError::NotDefined { key: Key::User(id) });
        };
        if user.default_group == group {
            let what = format!("group {group} is the default group of user {id}");
            return Err(CommandError::Refused { what });
        }
        if user.groups.remove(&group).is_some() {
            draft.note(format!("user {id} is no longer connected to group {group}"));
        } else {
            draft.warn(format!("user {id} was not connected to group {group}"));
        }
    }
    Ok(())
}
