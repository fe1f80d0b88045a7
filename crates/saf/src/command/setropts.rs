//! SETROPTS: options of classes and of everything.

use super::grammar::{Given, Operand, Takes, operand};
use super::{CommandError, Draft, Parsed, Positional, Verb};
use crate::class::{Class, RaclistPolicy};
use crate::id::ClassName;

const OPERANDS: &[Operand] = &[
    operand("CLASSACT", Takes::List),
    operand("NOCLASSACT", Takes::List),
    operand("RACLIST", Takes::List),
    operand("NORACLIST", Takes::List),
    operand("GENERIC", Takes::List),
    operand("NOGENERIC", Takes::List),
    operand("GENCMD", Takes::List),
    operand("REFRESH", Takes::Nothing),
    operand("GRPLIST", Takes::Nothing),
    operand("NOGRPLIST", Takes::Nothing),
    operand("EGN", Takes::Nothing),
    operand("LIST", Takes::Nothing),
];

pub(super) static SETROPTS: Verb =
    Verb { name: "SETROPTS", alias: "SETR", positional: Positional::Nothing, operands: OPERANDS, plan: set };

fn set(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    let given = &parsed.given;
    if given.names().next().is_none() {
        return Err(CommandError::Missing {
            of: "SETROPTS",
            operand: "CLASSACT, RACLIST, GENERIC, GRPLIST or LIST",
        });
    }
    if let Some(is_grouplist) = given.switch("GRPLIST", "NOGRPLIST")? {
        draft.database.options.is_grouplist = is_grouplist;
        let what = if is_grouplist {
            "all groups of a user count"
        } else {
            "only the default group of a user counts"
        };
        draft.note(what);
    }
    for_each(draft, given, "CLASSACT", |class| class.is_active = true)?;
    for_each(draft, given, "NOCLASSACT", |class| class.is_active = false)?;
    for_each(draft, given, "GENERIC", |class| class.is_generic = true)?;
    for_each(draft, given, "NORACLIST", |class| class.is_raclisted = false)?;
    if given.has("RACLIST") && given.has("REFRESH") {
        // The database is compiled anew whenever it changes; there is nothing to refresh.
        for name in classes(draft, given, "RACLIST")? {
            draft.note(format!("class {name} is in force as it is defined; a refresh is not needed"));
        }
    } else if given.has("RACLIST") {
        raclist(draft, given)?;
    }
    if given.has("NOGENERIC") {
        for_each(draft, given, "NOGENERIC", |class| class.is_generic = false)?;
        draft.warn("generic profiles stay in force: a name with % or * is never taken literally");
    }
    if given.has("LIST") {
        list(draft);
    }
    Ok(())
}

/// Returns the classes that an operand names; `*` stands for all.
fn classes(draft: &Draft, given: &Given, operand: &'static str) -> Result<Vec<ClassName>, CommandError> {
    let items = given.items(operand);
    if items.iter().any(|item| item.text == "*" && item.items.is_none()) {
        return Ok(draft.database.classes.keys().cloned().collect());
    }
    let names: Vec<ClassName> = given.parse_all(operand)?;
    for name in &names {
        // The table of classes is read like a class on the mainframe; refreshing it is harmless.
        if name.as_str() != "CDT" {
            draft.class(name)?;
        }
    }
    Ok(names.into_iter().filter(|name| name.as_str() != "CDT").collect())
}

fn for_each(
    draft: &mut Draft,
    given: &Given,
    operand: &'static str,
    change: fn(&mut Class),
) -> Result<(), CommandError> {
    for name in classes(draft, given, operand)? {
        let mut class = draft.class(&name)?.clone();
        change(&mut class);
        let is_same = draft.database.classes.get(&name) == Some(&class);
        let already = if is_same { "was already so" } else { "done" };
        draft.note(format!("{operand} of class {name}: {already}"));
        draft.database.classes.insert(name, class);
    }
    Ok(())
}

fn raclist(draft: &mut Draft, given: &Given) -> Result<(), CommandError> {
    for name in classes(draft, given, "RACLIST")? {
        if !draft.is_lenient && draft.class(&name)?.raclist == RaclistPolicy::Disallowed {
            return Err(CommandError::Refused {
                what: format!("class {name} is defined with RACLIST(DISALLOWED)"),
            });
        }
    }
    for_each(draft, given, "RACLIST", |class| class.is_raclisted = true)
}

fn list(draft: &mut Draft) {
    let all = |is_meant: fn(&Class) -> bool| {
        let names = draft.database.classes.values().filter(|class| is_meant(class));
        let names: Vec<&str> = names.map(|class| class.name.as_str()).collect();
        if names.is_empty() { "NONE".to_owned() } else { names.join(" ") }
    };
    let grouplist = if draft.database.options.is_grouplist { "GRPLIST" } else { "NOGRPLIST" };
    let lines = [
        format!("ATTRIBUTES = {grouplist} EGN"),
        format!("CLASSES = {}", all(|_| true)),
        format!("ACTIVE CLASSES = {}", all(|class| class.is_active)),
        format!("GENERIC PROFILE CLASSES = {}", all(|class| class.is_generic)),
        format!("SETR RACLIST CLASSES = {}", all(|class| class.is_raclisted)),
    ];
    for line in lines {
        draft.note(line);
    }
}
