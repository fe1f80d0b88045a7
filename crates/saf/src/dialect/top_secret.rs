//! Top Secret: `TSS` and its functions.

use super::{
    Action, Operands, action, action_or, define_and_permit, define_class, omvs, operands_after_first, word,
};
use crate::command::{CommandError, Item};
use crate::level::AccessLevel;

/// Functions that change nothing here.
const WITHOUT_EFFECT: &[&str] = &["MODIFY", "REFRESH", "LIST", "WHOHAS", "WHOOWNS"];

/// What Top Secret calls the classes that have another name in RACF.
const CLASSES: &[(&str, &str)] = &[("IBMFAC", "FACILITY"), ("DSN", "DATASET"), ("DSNAME", "DATASET")];

/// Reads one statement, `TSS` included.
pub(super) fn read(text: &str) -> Result<Vec<Action>, CommandError> {
    let (_, items) = operands_after_first(text)?;
    let (function, items) =
        items.split_first().ok_or(CommandError::Missing { of: "TSS", operand: "function" })?;
    let name = function.text.to_ascii_uppercase();
    if WITHOUT_EFFECT.contains(&&*name) {
        return Ok(Vec::new());
    }
    let acid = match function.items.as_deref() {
        Some([acid]) => word("TSS", "ACID", acid.text.to_ascii_uppercase())?,
        _ => return Err(CommandError::Missing { of: "TSS", operand: "ACID" }),
    };
    let operands = Operands::new("TSS", items);
    match &*name {
        "CREATE" => create(&acid, operands),
        "ADD" | "ADDTO" | "REPLACE" | "REP" => add(&acid, operands),
        "PERMIT" | "PER" => permit(&acid, operands),
        "REVOKE" => revoke(&acid, operands),
        "REMOVE" | "REM" => remove(&acid, operands),
        "DELETE" | "DEL" => {
            operands.finish()?;
            Ok(vec![action_or(&format!("DELUSER {acid}"), &format!("DELGROUP {acid}"))?])
        }
        _ => Err(CommandError::UnknownOperand { of: "TSS", operand: name, nearest: None }),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn create(acid: &str, mut operands: Operands) -> Result<Vec<Action>, CommandError> {
    let kind = operands.require("TYPE")?;
    let name = operands.text("NAME")?.map(|name| quoted(&name));
    let password = operands.values("PASS")?;
    operands.has("PASSWORD");
    // The department owns what it has; there is nothing here that it could own.
    operands.value("DEPT")?;
    operands.value("DEPARTMENT")?;
    operands.value("FAC")?;
    operands.finish()?;
    match &*kind {
        "GROUP" | "DEPT" | "DEPARTMENT" | "DIV" | "DIVISION" | "ZONE" => {
            let data = name.map(|name| format!(" DATA({name})")).unwrap_or_default();
            Ok(vec![action_or(&format!("ADDGROUP {acid}{data}"), &format!("ALTGROUP {acid}{data}"))?])
        }
        "USER" => {
            if password.first().is_some_and(|password| password != "NOPW") {
                let what = "passwords are not kept here: Linux keeps them (PAM)".to_owned();
                return Err(CommandError::Refused { what });
            }
            let name = name.map(|name| format!(" NAME({name})")).unwrap_or_default();
            let words = format!("{acid}{name} NOPASSWORD");
            Ok(vec![action_or(&format!("ADDUSER {words}"), &format!("ALTUSER {words}"))?])
        }
        _ => Err(CommandError::Value { of: "TSS CREATE", operand: "TYPE", value: kind }),
    }
}

fn add(acid: &str, mut operands: Operands) -> Result<Vec<Action>, CommandError> {
    match acid {
        "STC" => {
            let (procedure, user) = (operands.require("PROCNAME")?, operands.require("ACID")?);
            operands.finish()?;
            let words = format!("STARTED {procedure}.* STDATA(USER({user}))");
            return Ok(vec![action_or(&format!("RDEFINE {words}"), &format!("RALTER {words}"))?]);
        }
        "RDT" => {
            let class = operands.require("RESCLASS")?;
            let length = operands.value("MAXLEN")?;
            for name in ["ACLST", "DEFACC", "RESCODE", "ATTR"] {
                operands.take(name);
            }
            operands.finish()?;
            return define_class(&class, length.as_deref().unwrap_or("246"));
        }
        _ => {}
    }
    // Facilities to sign on to have no counterpart: whoever is defined may ask.
    operands.value("FAC")?;
    let mut actions = Vec::new();
    if let Some(gid) = operands.value("GID")? {
        let gid = if gid == "?" { "AUTOGID".to_owned() } else { format!("GID({gid})") };
        actions.push(action(&format!("ALTGROUP {acid} OMVS({gid})"))?);
    }
    let (groups, default) = (operands.values("GROUP")?, operands.value("DFLTGRP")?);
    for group in groups.iter().chain(&default) {
        actions.push(action(&format!("CONNECT {acid} GROUP({group})"))?);
    }
    let (uid, home) = (operands.value("UID")?, operands.path("HOME"));
    let program = operands.path("OMVSPGM");
    let unix = omvs(uid.as_deref(), home.as_deref(), program.as_deref());
    let default = default.map(|group| format!("DFLTGRP({group})"));
    let words: Vec<String> = default.into_iter().chain(unix).collect();
    if !words.is_empty() {
        actions.push(action(&format!("ALTUSER {acid} {}", words.join(" ")))?);
    }
    // What is left is a resource that is owned, which is a prefix: it protects all that begins so.
    for item in std::mem::take(&mut operands.items) {
        let (class, prefix) = resource(&item)?;
        let profile = match prefix.strip_suffix('.') {
            Some(prefix) => format!("{prefix}.**"),
            None => prefix,
        };
        let noop = format!("RALTER {class} '{profile}'");
        actions.push(action_or(&format!("RDEFINE {class} '{profile}' UACC(NONE)"), &noop)?);
    }
    Ok(actions)
}

/// Reads `CLASS(resource)`.
fn resource(item: &Item) -> Result<(String, String), CommandError> {
    let class = word("TSS", "class", item.text.to_ascii_uppercase())?;
    let wrong = || CommandError::Value { of: "TSS", operand: "resource", value: item.text.clone() };
    let resource = match item.items.as_deref() {
        Some([resource]) if resource.items.is_none() => {
            word("TSS", "resource", resource.text.to_ascii_uppercase()).map_err(|_| wrong())?
        }
        _ => {
            return Err(CommandError::UnknownOperand {
                of: "TSS",
                operand: item.text.clone(),
                nearest: None,
            });
        }
    };
    let known = CLASSES.iter().find(|(theirs, _)| *theirs == class).map(|(_, ours)| (*ours).to_owned());
    Ok((known.unwrap_or(class), resource))
}

/// Returns the highest of the levels that ACCESS names.
fn access(levels: &[String]) -> Result<AccessLevel, CommandError> {
    let level = |word: &String| match &**word {
        "NONE" => Ok(AccessLevel::None),
        "FETCH" | "EXECUTE" => Ok(AccessLevel::Execute),
        "READ" | "INQUIRE" => Ok(AccessLevel::Read),
        "UPDATE" | "WRITE" | "SET" => Ok(AccessLevel::Update),
        "CONTROL" => Ok(AccessLevel::Control),
        "ALL" | "ALTER" | "CREATE" | "SCRATCH" => Ok(AccessLevel::Alter),
        _ => Err(CommandError::Value { of: "TSS PERMIT", operand: "ACCESS", value: word.clone() }),
    };
    let levels = levels.iter().map(level).collect::<Result<Vec<_>, _>>()?;
    // Top Secret gives READ when nothing is said.
    Ok(levels.into_iter().max().unwrap_or(AccessLevel::Read))
}

/// Returns the one resource that is left and whom it is about.
fn resource_for(acid: &str, operands: &mut Operands) -> Result<(String, String, String), CommandError> {
    let id = if acid == "ALL" { "*" } else { acid };
    let [item] = &operands.items[..] else {
        return Err(CommandError::Missing { of: "TSS", operand: "one resource" });
    };
    let (class, name) = resource(item)?;
    Ok((class, name, id.to_owned()))
}

fn permit(acid: &str, mut operands: Operands) -> Result<Vec<Action>, CommandError> {
    let levels = operands.values("ACCESS")?;
    let (class, name, id) = resource_for(acid, &mut operands)?;
    define_and_permit(&class, &name, &id, access(&levels)?)
}

fn revoke(acid: &str, mut operands: Operands) -> Result<Vec<Action>, CommandError> {
    operands.values("ACCESS")?;
    let (class, name, id) = resource_for(acid, &mut operands)?;
    Ok(vec![action(&format!("PERMIT '{name}' CLASS({class}) ID({id}) DELETE"))?])
}

fn remove(acid: &str, mut operands: Operands) -> Result<Vec<Action>, CommandError> {
    let groups = operands.values("GROUP")?;
    operands.value("FAC")?;
    operands.finish()?;
    groups.iter().map(|group| action(&format!("REMOVE {acid} GROUP({group})"))).collect()
}
