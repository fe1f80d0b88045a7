//! PERMIT: access lists.

use super::grammar::{Given, Operand, Takes, operand, parse_item};
use super::lex::Item;
use super::resource::profile_name;
use super::{CommandError, Draft, Parsed, Positional, Verb};
use crate::id::{ClassName, Id};
use crate::level::AccessLevel;
use crate::profile::{Condition, ConditionKind, ConditionalEntry, Profile, Who};

const WHEN: &[Operand] = &[
    operand("TERMINAL", Takes::List),
    operand("CONSOLE", Takes::List),
    operand("PROGRAM", Takes::List),
    operand("JESINPUT", Takes::List),
    operand("SYSID", Takes::List),
];
const RESET: &[Operand] =
    &[operand("ALL", Takes::Nothing), operand("STANDARD", Takes::Nothing), operand("WHEN", Takes::Nothing)];
const OPERANDS: &[Operand] = &[
    operand("CLASS", Takes::Value),
    operand("ID", Takes::List),
    operand("ACCESS", Takes::Value),
    operand("DELETE", Takes::Nothing),
    operand("WHEN", Takes::MaybeOperands(WHEN)),
    operand("RESET", Takes::MaybeOperands(RESET)),
    operand("GENERIC", Takes::Nothing),
];

pub(super) static PERMIT: Verb =
    Verb { name: "PERMIT", alias: "PE", positional: Positional::Names, operands: OPERANDS, plan: permit };

/// What a PERMIT does to the entries that it names.
enum Act {
    Set(AccessLevel),
    Delete,
    /// Only empties lists.
    Nothing,
}

fn permit(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    let given = &parsed.given;
    let class: ClassName = match given.parse("CLASS")? {
        Some(class) => class,
        None => "DATASET".parse().expect("a constant name"),
    };
    let class = draft.class(&class)?.clone();
    let who = listed(draft, given)?;
    let conditions = conditions(given)?;
    let act = act(given, &who)?;
    for name in &parsed.names {
        let name = profile_name(&class, name)?;
        let mut profile = draft.profile_mut(&class.name, &name)?.clone();
        let label = format!("profile {} {name}", class.name);
        reset(draft, &mut profile, given, &label);
        for who in &who {
            match (&act, conditions.is_empty()) {
                (Act::Set(access), true) => set(draft, &mut profile, who, *access, &label),
                (Act::Set(access), false) => set_when(draft, &mut profile, who, *access, &conditions, &label),
                (Act::Delete, _) => delete(draft, &mut profile, who, &conditions, given.has("WHEN"), &label),
                (Act::Nothing, _) => {}
            }
        }
        profile.conditional.sort();
        draft.database.insert(crate::database::Record::Profile(profile));
    }
    Ok(())
}

fn listed(draft: &Draft, given: &Given) -> Result<Vec<Who>, CommandError> {
    let read = |item: &Item| {
        if item.text == "*" && item.items.is_none() {
            return Ok(Who::All);
        }
        let id: Id = parse_item("PERMIT", "ID", item)?;
        draft.require_anybody(&id)?;
        Ok(Who::Id(id))
    };
    given.items("ID").iter().map(read).collect()
}

fn conditions(given: &Given) -> Result<Vec<Condition>, CommandError> {
    let Some(when) = given.given("WHEN") else { return Ok(Vec::new()) };
    let mut conditions = Vec::new();
    for kind in ConditionKind::ALL {
        for item in when.items(kind.as_str()) {
            let value = item.text.to_uppercase();
            if value.is_empty() || item.items.is_some() {
                return Err(CommandError::Value { of: "WHEN", operand: kind.as_str(), value });
            }
            conditions.push(Condition { kind, value });
        }
    }
    if conditions.is_empty() {
        return Err(CommandError::NeedsValue { operand: "WHEN" });
    }
    Ok(conditions)
}

fn act(given: &Given, who: &[Who]) -> Result<Act, CommandError> {
    let access = given.parse::<AccessLevel>("ACCESS")?;
    if access.is_some() && given.has("DELETE") {
        return Err(CommandError::Contradiction { of: "PERMIT", one: "ACCESS", other: "DELETE" });
    }
    match (who.is_empty(), given.has("RESET")) {
        (true, false) => Err(CommandError::Missing { of: "PERMIT", operand: "ID" }),
        (true, true) => Ok(Act::Nothing),
        (false, _) if given.has("DELETE") => Ok(Act::Delete),
        // RACF gives READ when nothing is said.
        (false, _) => Ok(Act::Set(access.unwrap_or(AccessLevel::Read))),
    }
}

fn reset(draft: &mut Draft, profile: &mut Profile, given: &Given, label: &str) {
    if !given.has("RESET") {
        return;
    }
    let which = given.given("RESET");
    let is_named = |name| which.is_some_and(|which| which.has(name));
    let is_all = which.is_none_or(|which| which.names().next().is_none()) || is_named("ALL");
    if is_all || is_named("STANDARD") {
        profile.access.clear();
    }
    if is_all || is_named("WHEN") {
        profile.conditional.clear();
    }
    draft.note(format!("access lists of {label} are emptied"));
}

fn set(draft: &mut Draft, profile: &mut Profile, who: &Who, access: AccessLevel, label: &str) {
    match profile.access.insert(who.clone(), access) {
        Some(before) if before == access => draft.note(format!("{label} already gives {who} {access}")),
        Some(before) => draft.note(format!("{label} gives {who} {access}, before it was {before}")),
        None => draft.note(format!("{label} gives {who} {access}")),
    }
}

fn set_when(
    draft: &mut Draft,
    profile: &mut Profile,
    who: &Who,
    access: AccessLevel,
    conditions: &[Condition],
    label: &str,
) {
    for when in conditions {
        profile.conditional.retain(|entry| entry.who != *who || entry.when != *when);
        profile.conditional.push(ConditionalEntry { who: who.clone(), when: when.clone(), access });
        draft.note(format!("{label} gives {who} {access} {when}"));
    }
}

fn delete(
    draft: &mut Draft,
    profile: &mut Profile,
    who: &Who,
    conditions: &[Condition],
    is_when: bool,
    label: &str,
) {
    let before = (profile.access.len(), profile.conditional.len());
    if is_when {
        let is_meant = |when: &Condition| conditions.is_empty() || conditions.contains(when);
        profile.conditional.retain(|entry| entry.who != *who || !is_meant(&entry.when));
    } else {
        profile.access.remove(who);
    }
    if before == (profile.access.len(), profile.conditional.len()) {
        draft.warn(format!("{label} has no entry of {who}"));
    } else {
        draft.note(format!("the entry of {who} is taken out of {label}"));
    }
}
