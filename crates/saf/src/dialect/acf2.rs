//! ACF2: a conversation whose `SET` says what the commands after it are about.
//!
//! ```text
//! SET LID │ SET PROFILE(GROUP│USER) DIV(OMVS) │ SET CONTROL(GSO) │ SET XREF(ROL) │ SET RESOURCE(type) │ SET RULE
//!     └─ INSERT, CHANGE, DELETE of such records          RECKEY, and COMPILE … $KEY … lines … STORE ─┘
//! ```

use std::collections::BTreeMap;

use super::{
    Action, Operands, action, action_or, define_and_permit, define_class, omvs, operands_after_first, word,
};
use crate::command::{CommandError, Item, split};
use crate::level::AccessLevel;

/// The words that begin a command.
pub(super) const WORDS: &[&str] = &[
    "ACF", "SET", "T", "INSERT", "CHANGE", "DELETE", "RECKEY", "COMPILE", "STORE", "END", "QUIT", "F",
    "LIST", "DECOMP",
];

/// What records are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Setting {
    /// Nothing said yet.
    #[default]
    Nothing,
    /// Users.
    Lid,
    /// The Linux side of users.
    ProfileUser,
    /// The Linux side of groups.
    ProfileGroup,
    /// Options of the system.
    Gso,
    /// Roles.
    Role,
    /// Rules of resources of a type.
    Resource(String),
    /// Rules of data sets.
    Rule,
}

/// A rule whose lines are being read.
#[derive(Debug, Clone, Default)]
struct Rule {
    /// Its key: the first qualifiers of the resources.
    key: Option<String>,
    /// Its type, where the rule itself says it.
    kind: Option<String>,
}

/// What ACF2 was told so far.
#[derive(Debug, Default)]
pub(super) struct Acf2 {
    setting: Setting,
    rule: Option<Rule>,
    /// Types by the class they stand for.
    types: BTreeMap<String, String>,
}

/// What ACF2 calls the classes.
const TYPES: &[(&str, &str)] = &[
    ("FAC", "FACILITY"),
    ("PTK", "PTKTDATA"),
    ("SUR", "SURROGAT"),
    ("APL", "APPL"),
    ("UNI", "UNIXPRIV"),
    ("SRV", "SERVER"),
    ("ZWE", "ZOWE"),
];

impl Acf2 {
    /// Returns whether lines are lines of a rule.
    pub(super) fn is_in_rule(&self) -> bool {
        self.rule.is_some()
    }

    /// Reads one statement.
    pub(super) fn read(&mut self, text: &str) -> Result<Vec<Action>, CommandError> {
        if let Some(rule) = self.rule.clone() {
            return self.read_rule(rule, text);
        }
        let (word, items) = operands_after_first(text)?;
        match &*word {
            "SET" | "T" => {
                self.setting = setting(&items)?;
                Ok(Vec::new())
            }
            "INSERT" => self.insert(&items),
            "CHANGE" => self.change(&items),
            "DELETE" => self.delete(&items),
            "RECKEY" => self.reckey(&items),
            "COMPILE" => {
                self.rule = Some(Rule::default());
                Ok(Vec::new())
            }
            // Rebuilding and storing: what is defined is in force already.
            "ACF" | "STORE" | "END" | "QUIT" | "F" | "LIST" | "DECOMP" => Ok(Vec::new()),
            _ => Err(CommandError::UnknownCommand { word, nearest: None }),
        }
    }

    fn insert(&mut self, items: &[Item]) -> Result<Vec<Action>, CommandError> {
        let (name, operands) = named("INSERT", items)?;
        match self.setting {
            Setting::Lid => insert_user(&name, operands),
            Setting::ProfileGroup => group_profile(&name, operands),
            Setting::ProfileUser => user_profile(&name, operands),
            Setting::Role => role(&name, operands),
            Setting::Gso => self.option(&name, operands),
            _ => Err(CommandError::Refused { what: "INSERT without a SET that says of what".to_owned() }),
        }
    }

    fn change(&mut self, items: &[Item]) -> Result<Vec<Action>, CommandError> {
        let (name, operands) = named("CHANGE", items)?;
        match self.setting {
            Setting::Gso if name == "INFODIR" || name == "RESDIR" => Ok(Vec::new()),
            Setting::Gso => self.option(&name, operands),
            Setting::Lid => change_user(&name, operands),
            Setting::ProfileGroup => group_profile(&name, operands),
            Setting::ProfileUser => user_profile(&name, operands),
            Setting::Role => role(&name, operands),
            _ => Err(CommandError::Refused { what: "CHANGE without a SET that says of what".to_owned() }),
        }
    }

    fn delete(&mut self, items: &[Item]) -> Result<Vec<Action>, CommandError> {
        let (name, operands) = named("DELETE", items)?;
        operands.finish()?;
        match &self.setting {
            Setting::Lid => Ok(vec![action(&format!("DELUSER {name}"))?]),
            Setting::ProfileGroup | Setting::Role => Ok(vec![action(&format!("DELGROUP {name}"))?]),
            Setting::ProfileUser => Ok(vec![action(&format!("ALTUSER {name} NOOMVS"))?]),
            Setting::Gso => match name.split_once('.') {
                Some(("STC", task)) => Ok(vec![action(&format!("RDELETE STARTED {task}.*"))?]),
                _ => Err(CommandError::Value { of: "DELETE", operand: "record", value: name }),
            },
            _ => Err(CommandError::Refused { what: "DELETE without a SET that says of what".to_owned() }),
        }
    }

    /// Reads a GSO record: a started task or a class.
    fn option(&mut self, name: &str, mut operands: Operands) -> Result<Vec<Action>, CommandError> {
        match name.split_once('.') {
            Some(("STC", task)) => {
                let user = operands.require("LOGONID")?;
                let group =
                    operands.value("GROUP")?.map(|group| format!(" GROUP({group})")).unwrap_or_default();
                let task = operands.value("STCID")?.unwrap_or_else(|| task.to_owned());
                operands.finish()?;
                let words = format!("STARTED {task}.* STDATA(USER({user}){group} TRUSTED(NO))");
                Ok(vec![action_or(&format!("RDEFINE {words}"), &format!("RALTER {words}"))?])
            }
            Some(("CLASMAP", _)) => {
                let (class, kind) = (operands.require("RESOURCE")?, operands.require("RSRCTYPE")?);
                let length = operands.value("ENTITYLN")?;
                operands.finish()?;
                self.types.insert(kind, class.clone());
                define_class(&class, length.as_deref().unwrap_or("246"))
            }
            _ => Err(CommandError::Value { of: "INSERT", operand: "record", value: name.to_owned() }),
        }
    }

    fn class_of(&self, kind: &str) -> Result<String, CommandError> {
        // Resident types are written with an R before them.
        let kind = kind.strip_prefix("R-R").or_else(|| kind.strip_prefix("R-")).unwrap_or(kind);
        let known = TYPES.iter().find(|(theirs, _)| *theirs == kind).map(|(_, ours)| (*ours).to_owned());
        let found = self.types.get(kind).cloned().or(known);
        found.ok_or(CommandError::Value { of: "SET", operand: "RESOURCE", value: kind.to_owned() })
    }

    /// Reads `RECKEY key ADD(extension … )`.
    fn reckey(&self, items: &[Item]) -> Result<Vec<Action>, CommandError> {
        let (key, mut operands) = named("RECKEY", items)?;
        let (item, is_removed) = match (operands.take("ADD"), operands.take("DEL")) {
            (Some(item), None) => (item, false),
            (None, Some(item)) => (item, true),
            _ => return Err(CommandError::Missing { of: "RECKEY", operand: "ADD" }),
        };
        operands.finish()?;
        let line = item.items.ok_or(CommandError::NeedsValue { operand: "ADD" })?;
        let class = match &self.setting {
            Setting::Resource(kind) => self.class_of(kind)?,
            Setting::Rule => "DATASET".to_owned(),
            _ => return Err(CommandError::Refused { what: "RECKEY without a SET RESOURCE".to_owned() }),
        };
        rule_line(&class, &key, &line, is_removed)
    }

    /// Reads a line between COMPILE and STORE.
    fn read_rule(&mut self, mut rule: Rule, text: &str) -> Result<Vec<Action>, CommandError> {
        let items = split(text.trim_start().trim_start_matches('.'))?;
        let Some(first) = items.first() else { return Ok(Vec::new()) };
        let word = first.text.to_ascii_uppercase();
        if ["STORE", "END", "ENDDATA", "SET", "T", "F", "QUIT"].contains(&&*word) {
            self.rule = None;
            return if word == "SET" || word == "T" { self.read(text) } else { Ok(Vec::new()) };
        }
        if let Some(control) = word.strip_prefix('$') {
            let value = first
                .items
                .as_deref()
                .and_then(|items| items.first())
                .map(|item| item.text.to_ascii_uppercase());
            let mut operands = Operands::new("$KEY", &items[1..]);
            if control == "KEY" {
                rule.key = value;
                rule.kind = operands.value("TYPE")?;
                operands.finish()?;
            }
            self.rule = Some(rule);
            return Ok(Vec::new());
        }
        let key = rule.key.ok_or(CommandError::Missing { of: "COMPILE", operand: "$KEY" })?;
        let class = match (&rule.kind, &self.setting) {
            (Some(kind), _) | (None, Setting::Resource(kind)) => self.class_of(kind)?,
            _ => "DATASET".to_owned(),
        };
        rule_line(&class, &key, &items, false)
    }
}

fn named(of: &'static str, items: &[Item]) -> Result<(String, Operands), CommandError> {
    let (name, items) = items.split_first().ok_or(CommandError::Missing { of, operand: "name" })?;
    Ok((word(of, "name", name.text.to_ascii_uppercase())?, Operands::new(of, items)))
}

fn setting(items: &[Item]) -> Result<Setting, CommandError> {
    let first = items
        .first()
        .ok_or(CommandError::Missing { of: "SET", operand: "LID, PROFILE, CONTROL or RESOURCE" })?;
    let value =
        first.items.as_deref().and_then(|items| items.first()).map(|item| item.text.to_ascii_uppercase());
    match (&*first.text.to_ascii_uppercase(), value.as_deref()) {
        ("LID", None) => Ok(Setting::Lid),
        ("RULE", None) => Ok(Setting::Rule),
        ("PROFILE", Some("USER")) => Ok(Setting::ProfileUser),
        ("PROFILE", Some("GROUP")) => Ok(Setting::ProfileGroup),
        ("CONTROL", Some("GSO")) => Ok(Setting::Gso),
        ("XREF" | "X", Some("ROL" | "ROLE")) => Ok(Setting::Role),
        ("RESOURCE", Some(kind)) => Ok(Setting::Resource(kind.to_owned())),
        (word, _) => Err(CommandError::Value { of: "SET", operand: "what", value: word.to_owned() }),
    }
}

fn user_words(name: &str, operands: &mut Operands) -> Result<(String, Option<String>), CommandError> {
    let group = operands.value("GROUP")?;
    let called = operands.text("NAME")?.map(|name| format!(" NAME('{}')", name.replace('\'', "''")));
    let is_restricted = operands.has("RESTRICT");
    let is_task = operands.has("STC");
    if operands.has("PASSWORD") {
        let what = "passwords are not kept here: Linux keeps them (PAM)".to_owned();
        return Err(CommandError::Refused { what });
    }
    let words = [is_task.then_some(" NOPASSWORD"), is_restricted.then_some(" RESTRICTED")];
    let words: String = words.into_iter().flatten().collect();
    Ok((format!("{name}{}{words}", called.unwrap_or_default()), group))
}

fn insert_user(name: &str, mut operands: Operands) -> Result<Vec<Action>, CommandError> {
    let (words, group) = user_words(name, &mut operands)?;
    operands.finish()?;
    let mut actions = Vec::new();
    let default = group.map(|group| format!(" DFLTGRP({group})")).unwrap_or_default();
    actions.push(action_or(&format!("ADDUSER {words}{default}"), &format!("ALTUSER {words}"))?);
    Ok(actions)
}

fn change_user(name: &str, mut operands: Operands) -> Result<Vec<Action>, CommandError> {
    let (words, group) = user_words(name, &mut operands)?;
    operands.finish()?;
    let mut actions = Vec::new();
    let mut default = String::new();
    if let Some(group) = group {
        actions.push(action(&format!("CONNECT {name} GROUP({group})"))?);
        default = format!(" DFLTGRP({group})");
    }
    actions.push(action(&format!("ALTUSER {words}{default}"))?);
    Ok(actions)
}

fn group_profile(name: &str, mut operands: Operands) -> Result<Vec<Action>, CommandError> {
    let gid = match (operands.has("AUTOGID"), operands.value("GID")?) {
        (false, Some(gid)) => format!("GID({gid})"),
        _ => "AUTOGID".to_owned(),
    };
    operands.finish()?;
    let words = format!("{name} OMVS({gid})");
    Ok(vec![action_or(&format!("ADDGROUP {words}"), &format!("ALTGROUP {words}"))?])
}

fn user_profile(name: &str, mut operands: Operands) -> Result<Vec<Action>, CommandError> {
    let uid = if operands.has("AUTOUID") { Some("?".to_owned()) } else { operands.value("UID")? };
    let (home, program) = (operands.path("HOME"), operands.path("OMVSPGM"));
    operands.finish()?;
    let words = omvs(uid.as_deref(), home.as_deref(), program.as_deref());
    Ok(vec![action(&format!("ALTUSER {name} {}", words.as_deref().unwrap_or("OMVS")))?])
}

fn role(name: &str, mut operands: Operands) -> Result<Vec<Action>, CommandError> {
    let (mut members, excluded) = (operands.values("INCLUDE")?, operands.values("EXCLUDE")?);
    operands.has("ROLE");
    operands.has("ADD");
    operands.finish()?;
    members.retain(|member| !excluded.contains(member));
    let mut actions = vec![action_or(&format!("ADDGROUP {name}"), &format!("ALTGROUP {name}"))?];
    for member in members {
        actions.push(action(&format!("CONNECT {member} GROUP({name})"))?);
    }
    Ok(actions)
}

/// Reads a line of a rule: an extension of the key, whom it is about, and what it gives.
fn rule_line(class: &str, key: &str, line: &[Item], is_removed: bool) -> Result<Vec<Action>, CommandError> {
    let is_control = |item: &Item| {
        ["UID", "USER", "ROLE", "SERVICE", "ALLOW", "PREVENT", "LOG"]
            .iter()
            .any(|word| item.text.eq_ignore_ascii_case(word))
    };
    let (extension, operands) = match line.split_first() {
        Some((first, rest)) if first.items.is_none() && !is_control(first) => {
            (Some(first.text.to_ascii_uppercase()), rest)
        }
        _ => (None, line),
    };
    let mut operands = Operands::new("rule", operands);
    let (uid, user, role) = (operands.value("UID")?, operands.value("USER")?, operands.value("ROLE")?);
    let [Some(id)] = [uid.or(user).or(role)] else {
        return Err(CommandError::Missing { of: "rule", operand: "UID, USER or ROLE" });
    };
    let id = if id == "-" || id == "*" { "*" } else { &id };
    let is_prevented = operands.has("PREVENT");
    operands.has("ALLOW");
    operands.has("LOG");
    let access = if is_prevented { AccessLevel::None } else { access(class, &mut operands)? };
    operands.finish()?;
    let profile = word("rule", "key", profile_name(key, extension.as_deref()))?;
    if is_removed {
        return Ok(vec![action(&format!("PERMIT '{profile}' CLASS({class}) ID({id}) DELETE"))?]);
    }
    define_and_permit(class, &profile, id, access)
}

/// Returns how much a line gives: by SERVICE for resources, by READ(A) and the like for data sets.
fn access(class: &str, operands: &mut Operands) -> Result<AccessLevel, CommandError> {
    if class == "DATASET" {
        let mut highest = AccessLevel::None;
        for (word, level) in [
            ("EXEC", AccessLevel::Execute),
            ("READ", AccessLevel::Read),
            ("WRITE", AccessLevel::Update),
            ("ALLOC", AccessLevel::Alter),
        ] {
            // A allows, L allows and logs, P prevents.
            if operands.value(word)?.is_some_and(|value| value != "P") {
                highest = highest.max(level);
            }
        }
        return Ok(highest);
    }
    let level = |word: &String| match &**word {
        "READ" => Ok(AccessLevel::Read),
        "UPDATE" => Ok(AccessLevel::Update),
        "DELETE" => Ok(AccessLevel::Control),
        "ADD" => Ok(AccessLevel::Alter),
        _ => Err(CommandError::Value { of: "rule", operand: "SERVICE", value: word.clone() }),
    };
    let levels = operands.values("SERVICE")?.iter().map(level).collect::<Result<Vec<_>, _>>()?;
    // A line without services gives all of them.
    Ok(levels.into_iter().max().unwrap_or(AccessLevel::Alter))
}

/// Makes a profile name of key and extension; ACF2's `-` is any number of qualifiers, its `*` one character.
fn profile_name(key: &str, extension: Option<&str>) -> String {
    let mut name = key.to_owned();
    for qualifier in extension.into_iter().flat_map(|extension| extension.split('.')) {
        name.push('.');
        match qualifier.strip_suffix('-') {
            Some("") => name.push_str("**"),
            Some(prefix) => {
                name.push_str(&prefix.replace('*', "%"));
                name.push('*');
            }
            None => name.push_str(&qualifier.replace('*', "%")),
        }
    }
    name
}
