//! RDEFINE, RALTER, RDELETE, and the same for data sets: ADDSD, ALTDSD, DELDSD.

use super::grammar::{Given, Operand, Takes, operand};
use super::{CommandError, Draft, Item, Parsed, Positional, Verb, resource_class};
use crate::class::Class;
use crate::database::{Database, Key, Record};
use crate::id::{ClassName, Id};
use crate::level::{AccessLevel, AuditSettings};
use crate::profile::{Profile, StartedData, StartedUser};

const LEVELS: &[Operand] = &[
    operand("NONE", Takes::Nothing),
    operand("EXECUTE", Takes::Nothing),
    operand("READ", Takes::Nothing),
    operand("UPDATE", Takes::Nothing),
    operand("CONTROL", Takes::Nothing),
    operand("ALTER", Takes::Nothing),
];
const AUDIT: &[Operand] = &[
    operand("ALL", Takes::MaybeOperands(LEVELS)),
    operand("SUCCESS", Takes::MaybeOperands(LEVELS)),
    operand("FAILURES", Takes::MaybeOperands(LEVELS)),
    operand("NONE", Takes::Nothing),
];
const STDATA: &[Operand] = &[
    operand("USER", Takes::Value),
    operand("NOUSER", Takes::Nothing),
    operand("GROUP", Takes::Value),
    operand("NOGROUP", Takes::Nothing),
    operand("TRUSTED", Takes::Value),
    operand("PRIVILEGED", Takes::Value),
    operand("TRACE", Takes::Value),
];
const OPERANDS: &[Operand] = &[
    operand("OWNER", Takes::Value),
    operand("UACC", Takes::Value),
    operand("AUDIT", Takes::Operands(AUDIT)),
    operand("WARNING", Takes::Nothing),
    operand("NOWARNING", Takes::Nothing),
    operand("NOTIFY", Takes::Value),
    operand("NONOTIFY", Takes::Nothing),
    operand("LEVEL", Takes::Value),
    operand("DATA", Takes::Value),
    operand("NODATA", Takes::Nothing),
    operand("APPLDATA", Takes::Value),
    operand("NOAPPLDATA", Takes::Nothing),
    operand("STDATA", Takes::MaybeOperands(STDATA)),
    operand("NOSTDATA", Takes::Nothing),
    operand("CDTINFO", Takes::MaybeOperands(resource_class::CDTINFO)),
    operand("GENERIC", Takes::Nothing),
];

pub(super) static RDEFINE: Verb = verb("RDEFINE", "RDEF", Positional::ClassAndNames, OPERANDS, define);
pub(super) static RALTER: Verb = verb("RALTER", "RALT", Positional::ClassAndNames, OPERANDS, alter);
pub(super) static RDELETE: Verb = verb("RDELETE", "RDEL", Positional::ClassAndNames, &[], delete);
pub(super) static ADDSD: Verb = verb("ADDSD", "AD", Positional::Names, OPERANDS, define);
pub(super) static ALTDSD: Verb = verb("ALTDSD", "ALD", Positional::Names, OPERANDS, alter);
pub(super) static DELDSD: Verb = verb("DELDSD", "DD", Positional::Names, &[], delete);

const fn verb(
    name: &'static str,
    alias: &'static str,
    positional: Positional,
    operands: &'static [Operand],
    plan: fn(&mut Draft, &Parsed) -> Result<(), CommandError>,
) -> Verb {
    Verb { name, alias, positional, operands, plan }
}

/// Returns the class of a command: the one it names, or DATASET.
pub(super) fn class_of(parsed: &Parsed) -> Result<ClassName, CommandError> {
    let name = parsed.class.as_ref().map_or("DATASET", |class| &class.text);
    Ok(name.parse()?)
}

/// Reads a profile name as its class spells it.
pub(super) fn profile_name(class: &Class, name: &Item) -> Result<String, CommandError> {
    let name = class.fold(&name.text);
    Database::pattern(class, &name)?;
    Ok(name)
}

fn define(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    let class = class_of(parsed)?;
    if class.as_str() == "CDT" {
        return resource_class::define(draft, parsed);
    }
    let class = draft.class(&class)?.clone();
    refuse_class_operands(&parsed.given)?;
    for name in &parsed.names {
        let name = profile_name(&class, name)?;
        if let Some(profile) = draft.database.profile(&class.name, &name) {
            let mut wanted = profile.clone();
            change(draft, &mut wanted, &parsed.given)?;
            if draft.database.profile(&class.name, &name) != Some(&wanted) {
                let alter = if class.name.as_str() == "DATASET" { "ALTDSD" } else { "RALTER" };
                return Err(CommandError::AlreadyDefined { key: Key::Profile(class.name, name), alter });
            }
            draft.note(format!("profile {} {name} is already defined so", class.name));
            continue;
        }
        let mut profile = Profile::new(class.name.clone(), name.clone(), draft.context.who.clone());
        profile.uacc = class.default_uacc;
        change(draft, &mut profile, &parsed.given)?;
        draft.database.insert(Record::Profile(profile));
        draft.note(format!("profile {} {name} is defined", class.name));
    }
    if !class.is_active && !draft.is_lenient {
        draft.warn(format!(
            "class {} is not active: nobody has access until SETROPTS CLASSACT({0})",
            class.name
        ));
    }
    Ok(())
}

fn alter(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    let class = class_of(parsed)?;
    if class.as_str() == "CDT" {
        return resource_class::alter(draft, parsed);
    }
    let class = draft.class(&class)?.clone();
    refuse_class_operands(&parsed.given)?;
    for name in &parsed.names {
        let name = profile_name(&class, name)?;
        let mut profile = draft.profile_mut(&class.name, &name)?.clone();
        change(draft, &mut profile, &parsed.given)?;
        draft.database.insert(Record::Profile(profile));
        draft.note(format!("profile {} {name} is changed", class.name));
    }
    Ok(())
}

fn delete(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    let class = class_of(parsed)?;
    if class.as_str() == "CDT" {
        return resource_class::delete(draft, parsed);
    }
    let class = draft.class(&class)?.clone();
    for name in &parsed.names {
        let name = profile_name(&class, name)?;
        let key = Key::Profile(class.name.clone(), name.clone());
        let profiles = draft.database.profiles.get_mut(&class.name);
        if profiles.and_then(|profiles| profiles.remove(&name)).is_none() {
            return Err(CommandError::NotDefined { key });
        }
        draft.note(format!("{key} is deleted"));
    }
    draft.database.profiles.retain(|_, profiles| !profiles.is_empty());
    Ok(())
}

fn refuse_class_operands(given: &Given) -> Result<(), CommandError> {
    if given.has("CDTINFO") {
        return Err(CommandError::Refused { what: "CDTINFO is for profiles of class CDT".to_owned() });
    }
    Ok(())
}

/// Makes a profile what the operands say; those not given change nothing.
fn change(draft: &Draft, profile: &mut Profile, given: &Given) -> Result<(), CommandError> {
    if let Some(owner) = given.parse::<Id>("OWNER")? {
        draft.require_anybody(&owner)?;
        profile.owner = owner;
    }
    profile.uacc = given.parse("UACC")?.unwrap_or(profile.uacc);
    profile.level = given.parse("LEVEL")?.unwrap_or(profile.level);
    profile.is_warning = given.switch("WARNING", "NOWARNING")?.unwrap_or(profile.is_warning);
    if let Some(audit) = given.given("AUDIT") {
        profile.audit = audit_settings(audit)?;
    }
    match given.switch("NOTIFY", "NONOTIFY")? {
        Some(true) => {
            let id: Id = given.require("NOTIFY")?;
            draft.require_anybody(&id)?;
            profile.notify = Some(id);
        }
        Some(false) => profile.notify = None,
        None => {}
    }
    for (value, yes, no) in
        [(&mut profile.data, "DATA", "NODATA"), (&mut profile.appl_data, "APPLDATA", "NOAPPLDATA")]
    {
        match given.switch(yes, no)? {
            Some(true) => *value = given.text(yes),
            Some(false) => *value = None,
            None => {}
        }
    }
    match given.switch("STDATA", "NOSTDATA")? {
        Some(true) => change_started(draft, profile, given.given("STDATA"))?,
        Some(false) => profile.started = None,
        None => {}
    }
    Ok(())
}

/// Reads AUDIT: `NONE`, `ALL(level)`, or `SUCCESS(level)` and `FAILURES(level)`; no level means READ.
fn audit_settings(audit: &Given) -> Result<AuditSettings, CommandError> {
    if let Some(other) = ["ALL", "SUCCESS", "FAILURES"].into_iter().find(|other| audit.has(other))
        && audit.has("NONE")
    {
        return Err(CommandError::Contradiction { of: "AUDIT", one: "NONE", other });
    }
    if audit.has("ALL") && (audit.has("SUCCESS") || audit.has("FAILURES")) {
        return Err(CommandError::Contradiction { of: "AUDIT", one: "ALL", other: "SUCCESS or FAILURES" });
    }
    if audit.names().next().is_none() {
        return Err(CommandError::NeedsValue { operand: "AUDIT" });
    }
    let level = |operand: &'static str| -> Result<Option<AccessLevel>, CommandError> {
        if !audit.has(operand) {
            return Ok(None);
        }
        let Some(levels) = audit.given(operand) else { return Ok(Some(AccessLevel::Read)) };
        let named: Vec<&str> = levels.names().collect();
        match named[..] {
            [one] => Ok(one.parse().ok()),
            _ => Err(CommandError::OneValue { operand, found: named.len() }),
        }
    };
    let all = level("ALL")?;
    Ok(AuditSettings { success: all.or(level("SUCCESS")?), failures: all.or(level("FAILURES")?) })
}

fn change_started(draft: &Draft, profile: &mut Profile, given: Option<&Given>) -> Result<(), CommandError> {
    if profile.class.as_str() != "STARTED" {
        return Err(CommandError::Refused { what: "STDATA is for profiles of class STARTED".to_owned() });
    }
    let empty =
        StartedData { user: None, group: None, is_trusted: false, is_privileged: false, is_traced: false };
    let mut data = profile.started.take().unwrap_or(empty);
    if let Some(given) = given {
        for (value, yes, no) in [(&mut data.user, "USER", "NOUSER"), (&mut data.group, "GROUP", "NOGROUP")] {
            match given.switch(yes, no)? {
                Some(true) => *value = Some(started_user(draft, given, yes)?),
                Some(false) => *value = None,
                None => {}
            }
        }
        for (flag, operand) in [
            (&mut data.is_trusted, "TRUSTED"),
            (&mut data.is_privileged, "PRIVILEGED"),
            (&mut data.is_traced, "TRACE"),
        ] {
            *flag = yes_or_no(given, operand)?.unwrap_or(*flag);
        }
    }
    profile.started = Some(data);
    Ok(())
}

fn started_user(draft: &Draft, given: &Given, operand: &'static str) -> Result<StartedUser, CommandError> {
    if given.text(operand).as_deref() == Some("=MEMBER") {
        return Ok(StartedUser::Member);
    }
    let id: Id = given.require(operand)?;
    draft.require_anybody(&id)?;
    Ok(StartedUser::Id(id))
}

/// Reads an operand that is YES or NO.
pub(super) fn yes_or_no(given: &Given, operand: &'static str) -> Result<Option<bool>, CommandError> {
    match given.text(operand).as_deref() {
        None => Ok(None),
        Some("YES") => Ok(Some(true)),
        Some("NO") => Ok(Some(false)),
        Some(other) => Err(CommandError::Value { of: given.of, operand, value: other.to_owned() }),
    }
}
