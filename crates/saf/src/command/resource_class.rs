//! Classes of the installation's own: profiles of class CDT.

use super::grammar::{Given, Operand, Takes, operand};
use super::{CommandError, Draft, Parsed};
use crate::class::{Class, RaclistPolicy};
use crate::database::{Key, Record};
use crate::id::ClassName;

pub(super) const CDTINFO: &[Operand] = &[
    operand("POSIT", Takes::Value),
    operand("MAXLENGTH", Takes::Value),
    operand("MAXLENX", Takes::Value),
    operand("DEFAULTRC", Takes::Value),
    operand("DEFAULTUACC", Takes::Value),
    operand("CASE", Takes::Value),
    operand("RACLIST", Takes::Value),
    operand("FIRST", Takes::List),
    operand("OTHER", Takes::List),
    operand("GENERIC", Takes::Value),
    operand("KEYQUALIFIERS", Takes::Value),
    operand("OPERATIONS", Takes::Value),
    operand("PROFILESALLOWED", Takes::Value),
    operand("SECLABELSREQUIRED", Takes::Value),
    operand("MACPROCESSING", Takes::Value),
    operand("SIGNAL", Takes::Value),
];

/// What may be said of a class and has one meaning here.
const FIXED: &[(&str, &str)] = &[
    ("GENERIC", "ALLOWED"),
    ("KEYQUALIFIERS", "0"),
    ("OPERATIONS", "NO"),
    ("PROFILESALLOWED", "YES"),
    ("SECLABELSREQUIRED", "NO"),
    ("MACPROCESSING", "NORMAL"),
    ("SIGNAL", "NO"),
];

/// Longest name that RDEFINE CDT may ask for.
const LENGTH_MAX: u16 = 246;

fn names(parsed: &Parsed) -> Result<Vec<ClassName>, CommandError> {
    parsed.names.iter().map(|name| Ok(name.text.parse()?)).collect()
}

pub(super) fn define(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    for name in names(parsed)? {
        if let Some(class) = draft.database.classes.get(&name) {
            let mut wanted = class.clone();
            change(draft, &mut wanted, &parsed.given)?;
            // Built-in classes stand in a directory of text with their state only.
            if wanted != draft.database.classes[&name] {
                return Err(CommandError::AlreadyDefined { key: Key::Class(name), alter: "RALTER" });
            }
            draft.note(format!("class {name} is already defined so"));
            continue;
        }
        let mut class = Class::new(name.clone());
        change(draft, &mut class, &parsed.given)?;
        let same =
            draft.database.classes.values().find(|other| other.posit == class.posit && class.posit != 0);
        if let Some(other) = same.map(|other| other.name.clone())
            && !draft.is_lenient
        {
            draft.warn(format!("POSIT({}) is also that of class {other}", class.posit));
        }
        draft.database.insert(Record::Class(class));
        draft.note(format!("class {name} is defined; SETROPTS CLASSACT({name}) activates it"));
    }
    Ok(())
}

pub(super) fn alter(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    for name in names(parsed)? {
        let mut class = draft.class(&name)?.clone();
        if class.is_builtin {
            return Err(CommandError::Refused { what: format!("class {name} came with the product") });
        }
        change(draft, &mut class, &parsed.given)?;
        let lengths = draft.database.profiles_of(&name).map(|profile| profile.name.len());
        if lengths.max().is_some_and(|longest| longest > class.bytes_max()) {
            let what = format!("class {name} has profiles with longer names than {}", class.length_max);
            return Err(CommandError::Refused { what });
        }
        draft.database.insert(Record::Class(class));
        draft.note(format!("class {name} is changed"));
    }
    Ok(())
}

pub(super) fn delete(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    for name in names(parsed)? {
        let is_builtin = draft.class(&name)?.is_builtin;
        let obstacle = match draft.database.profiles_of(&name).next() {
            _ if is_builtin => Some(format!("class {name} came with the product")),
            Some(profile) => Some(format!("class {name} has profiles, {} for one", profile.name)),
            None => None,
        };
        if let Some(what) = obstacle {
            return Err(CommandError::Refused { what });
        }
        draft.database.classes.remove(&name);
        draft.note(format!("class {name} is deleted"));
    }
    Ok(())
}

fn change(draft: &mut Draft, class: &mut Class, given: &Given) -> Result<(), CommandError> {
    let only_here = ["STDATA", "AUDIT", "NOTIFY", "WARNING", "APPLDATA"];
    if let Some(operand) = only_here.into_iter().find(|operand| given.has(operand)) {
        let what = format!("operand {operand} says nothing about a class");
        return Err(CommandError::Refused { what });
    }
    let Some(info) = given.given("CDTINFO") else { return Ok(()) };
    class.posit = info.parse("POSIT")?.unwrap_or(class.posit);
    // RACF keeps two lengths, of which the greater counts.
    let lengths = [info.parse::<u16>("MAXLENGTH")?, info.parse::<u16>("MAXLENX")?];
    if let Some(length) = lengths.into_iter().flatten().max() {
        if !(1..=LENGTH_MAX).contains(&length) {
            return Err(CommandError::Value {
                of: "CDTINFO",
                operand: "MAXLENGTH",
                value: length.to_string(),
            });
        }
        class.length_max = length;
    }
    if let Some(code) = info.parse::<u8>("DEFAULTRC")? {
        if ![0, 4, 8].contains(&code) {
            return Err(CommandError::Value { of: "CDTINFO", operand: "DEFAULTRC", value: code.to_string() });
        }
        class.default_return_code = code;
    }
    class.default_uacc = info.parse("DEFAULTUACC")?.unwrap_or(class.default_uacc);
    if let Some(case) = info.text("CASE") {
        class.is_case_sensitive = match &*case {
            "ASIS" => true,
            "UPPER" => false,
            _ => return Err(CommandError::Value { of: "CDTINFO", operand: "CASE", value: case }),
        };
    }
    if let Some(policy) = info.text("RACLIST") {
        class.raclist = match &*policy {
            "ALLOWED" => RaclistPolicy::Allowed,
            "DISALLOWED" => RaclistPolicy::Disallowed,
            "REQUIRED" => RaclistPolicy::Required,
            _ => return Err(CommandError::Value { of: "CDTINFO", operand: "RACLIST", value: policy }),
        };
    }
    for (operand, only) in FIXED {
        if let Some(value) = info.text(operand).filter(|value| value != only) {
            return Err(CommandError::Value { of: "CDTINFO", operand, value });
        }
    }
    if (info.has("FIRST") || info.has("OTHER")) && !draft.is_lenient {
        draft.note(
            "FIRST and OTHER are not kept: names may hold any graphic character but ( ) , ; and quotes",
        );
    }
    Ok(())
}
