//! RLIST, SEARCH, LISTUSER, LISTGRP, LISTDSD: what is there.

use super::grammar::{Operand, Takes, operand, parse_item};
use super::resource::class_of;
use super::write;
use super::{CommandError, Draft, Parsed, Positional, Verb};
use crate::class::Class;
use crate::database::{Database, Key};
use crate::id::{ClassName, Id};
use crate::pattern::Pattern;
use crate::profile::Profile;

const RLIST_OPERANDS: &[Operand] = &[
    operand("ALL", Takes::Nothing),
    operand("AUTHUSER", Takes::Nothing),
    operand("STDATA", Takes::Nothing),
    operand("CDTINFO", Takes::Nothing),
    operand("GENERIC", Takes::Nothing),
    operand("NORACF", Takes::Nothing),
];
const SEARCH_OPERANDS: &[Operand] = &[
    operand("CLASS", Takes::Value),
    operand("MASK", Takes::List),
    operand("NOMASK", Takes::Nothing),
    operand("FILTER", Takes::Value),
    operand("ALL", Takes::Nothing),
    operand("GENERIC", Takes::Nothing),
    operand("NOGENERIC", Takes::Nothing),
    operand("USER", Takes::Value),
    operand("WARNING", Takes::Nothing),
];
const LISTED: &[Operand] =
    &[operand("OMVS", Takes::Nothing), operand("NORACF", Takes::Nothing), operand("ALL", Takes::Nothing)];

pub(super) static RLIST: Verb = Verb {
    name: "RLIST",
    alias: "RL",
    positional: Positional::ClassAndNames,
    operands: RLIST_OPERANDS,
    plan: rlist,
};
pub(super) static LISTDSD: Verb = Verb {
    name: "LISTDSD",
    alias: "LD",
    positional: Positional::Names,
    operands: RLIST_OPERANDS,
    plan: rlist,
};
pub(super) static SEARCH: Verb = Verb {
    name: "SEARCH",
    alias: "SR",
    positional: Positional::Nothing,
    operands: SEARCH_OPERANDS,
    plan: search,
};
pub(super) static LISTUSER: Verb = Verb {
    name: "LISTUSER",
    alias: "LU",
    positional: Positional::MaybeNames,
    operands: LISTED,
    plan: listuser,
};
pub(super) static LISTGRP: Verb = Verb {
    name: "LISTGRP",
    alias: "LG",
    positional: Positional::MaybeNames,
    operands: LISTED,
    plan: listgrp,
};

fn rlist(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    let class = class_of(parsed)?;
    for name in &parsed.names {
        if class.as_str() == "CDT" {
            let name: ClassName = name.text.parse()?;
            let lines = write::class(draft.class(&name)?);
            note_all(draft, lines);
            continue;
        }
        let class = draft.class(&class)?.clone();
        let profiles: Vec<Profile> = if name.text == "*" {
            draft.database.profiles_of(&class.name).cloned().collect()
        } else {
            vec![covering(&draft.database, &class, &class.fold(&name.text))?.clone()]
        };
        for profile in profiles {
            note_all(draft, write::profile(&profile));
        }
    }
    Ok(())
}

/// Returns the profile of this name, or else the one that covers a resource of this name.
fn covering<'a>(database: &'a Database, class: &Class, name: &str) -> Result<&'a Profile, CommandError> {
    if let Some(profile) = database.profile(&class.name, name) {
        return Ok(profile);
    }
    let named = database.profiles_of(&class.name).filter_map(|profile| {
        let pattern = Database::pattern(class, &profile.name).ok()?;
        (pattern.is_generic() && pattern.matches(name)).then_some((pattern, profile))
    });
    let found = named.min_by(|(one, _), (two, _)| one.cmp(two)).map(|(_, profile)| profile);
    found.ok_or_else(|| CommandError::NotDefined { key: Key::Profile(class.name.clone(), name.to_owned()) })
}

fn search(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    let given = &parsed.given;
    let class = given.text("CLASS").unwrap_or_else(|| "DATASET".to_owned());
    let mask = given.items("MASK").first().map(|item| item.text.to_ascii_uppercase()).unwrap_or_default();
    let infix = given.items("MASK").get(1).map(|item| item.text.to_ascii_uppercase()).unwrap_or_default();
    let filter = match given.text("FILTER") {
        Some(filter) => Some(Pattern::parse(&filter, crate::class::Naming::General, 246)?),
        None => None,
    };
    let is_masked = |name: &str| {
        let upper = name.to_ascii_uppercase();
        upper.strip_prefix(&*mask).is_some_and(|rest| rest.contains(&*infix))
            && filter.as_ref().is_none_or(|filter| filter.matches(&upper))
    };
    let found: Vec<String> = match &*class {
        "USER" => names_of(draft.database.users.keys()),
        "GROUP" => names_of(draft.database.groups.keys()),
        "CDT" => draft.database.classes.keys().map(ToString::to_string).collect(),
        _ => {
            let class = draft.class(&class.parse()?)?;
            let is_generic = given.switch("GENERIC", "NOGENERIC")?;
            let is_meant = |profile: &&Profile| {
                let pattern = Database::pattern(class, &profile.name);
                is_generic.is_none_or(|wanted| pattern.is_ok_and(|pattern| pattern.is_generic() == wanted))
                    && (!given.has("WARNING") || profile.is_warning)
            };
            let profiles = draft.database.profiles_of(&class.name).filter(is_meant);
            let user: Option<Id> = given.parse("USER")?;
            let gives = |profile: &&Profile| {
                user.as_ref().is_none_or(|user| names_user(&draft.database, profile, user))
            };
            profiles.filter(gives).map(|profile| profile.name.clone()).collect()
        }
    };
    let found: Vec<String> = found.into_iter().filter(|name| is_masked(name)).collect();
    if found.is_empty() {
        draft.warn("nothing is found");
    }
    note_all(draft, found);
    Ok(())
}

fn names_of<'a>(ids: impl Iterator<Item = &'a Id>) -> Vec<String> {
    ids.map(ToString::to_string).collect()
}

/// Returns whether a profile's access lists name a user or one of its groups.
fn names_user(database: &Database, profile: &Profile, user: &Id) -> bool {
    let groups = database.users.get(user).into_iter().flat_map(|user| user.groups.keys());
    let ids: Vec<&str> = groups.chain([user]).map(Id::as_str).collect();
    let listed = profile.access.keys().chain(profile.conditional.iter().map(|entry| &entry.who));
    listed.into_iter().any(|who| ids.contains(&who.as_str()))
}

fn listuser(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    for id in wanted(draft, parsed, "LISTUSER", |database| database.users.keys().cloned().collect())? {
        let Some(user) = draft.database.users.get(&id) else {
            return Err(CommandError::NotDefined { key: Key::User(id) });
        };
        let lines = write::user(user);
        note_all(draft, lines);
    }
    Ok(())
}

fn listgrp(draft: &mut Draft, parsed: &Parsed) -> Result<(), CommandError> {
    for id in wanted(draft, parsed, "LISTGRP", |database| database.groups.keys().cloned().collect())? {
        let Some(group) = draft.database.groups.get(&id) else {
            return Err(CommandError::NotDefined { key: Key::Group(id) });
        };
        let mut lines = write::group(group);
        let members = draft.database.users.values().filter(|user| user.groups.contains_key(&id));
        lines.push(format!(
            "/* MEMBERS: {} */",
            members.map(|user| user.id.as_str()).collect::<Vec<_>>().join(" ")
        ));
        note_all(draft, lines);
    }
    Ok(())
}

/// Returns the names that were given: `*` stands for all, nothing for who asks.
fn wanted(
    draft: &Draft,
    parsed: &Parsed,
    of: &'static str,
    all: fn(&Database) -> Vec<Id>,
) -> Result<Vec<Id>, CommandError> {
    if parsed.names.is_empty() {
        let own = draft.database.users.get(&draft.context.who).map(|user| user.default_group.clone());
        return Ok(if of == "LISTGRP" { own.into_iter().collect() } else { vec![draft.context.who.clone()] });
    }
    if parsed.names.iter().any(|name| name.text == "*") {
        return Ok(all(&draft.database));
    }
    parsed.names.iter().map(|name| parse_item(of, "name", name)).collect()
}

fn note_all(draft: &mut Draft, lines: Vec<String>) {
    for line in lines {
        draft.note(line);
    }
}
