//! Records as the commands that would define them, always the same for the same record.
//!
//! Listings show them, and a directory of text consists of them: reading them back gives the same record.

use std::fmt::Write as _;

use crate::class::{Class, Naming, RaclistPolicy, builtin_classes};
use crate::database::{Options, Record};
use crate::level::AccessLevel;
use crate::profile::{ConditionKind, Profile, StartedUser, Who};
use crate::user::{Group, User};

/// Returns the commands that define a record.
pub(crate) fn commands_of(record: &Record) -> Vec<String> {
    match record {
        Record::Options(found) => options(found),
        Record::Class(found) => class(found),
        Record::Group(found) => group(found),
        Record::User(found) => user(found),
        Record::Profile(found) => profile(found),
    }
}

/// Puts text in quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns a profile name as a command must spell it: one that begins like a comment only in quotes.
fn profile_name(name: &str) -> String {
    if name.starts_with("/*") { quoted(name) } else { name.to_owned() }
}

/// Collects the words of one command.
struct Words(String);

impl Words {
    fn new(first: &str) -> Self {
        Self(first.to_owned())
    }

    fn word(&mut self, word: &str) {
        self.0.push(' ');
        self.0.push_str(word);
    }

    fn with(&mut self, operand: &str, value: impl std::fmt::Display) {
        write!(self.0, " {operand}({value})").expect("writing to a string cannot fail");
    }

    fn text(&mut self, operand: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.with(operand, quoted(value));
        }
    }

    fn flag(&mut self, word: &str, is_so: bool) {
        if is_so {
            self.word(word);
        }
    }
}

fn options(options: &Options) -> Vec<String> {
    vec![format!("SETROPTS {}", if options.is_grouplist { "GRPLIST" } else { "NOGRPLIST" })]
}

pub(super) fn class(class: &Class) -> Vec<String> {
    let mut commands = Vec::new();
    if !class.is_builtin {
        let mut info = String::new();
        let raclist = match class.raclist {
            RaclistPolicy::Allowed => "ALLOWED",
            RaclistPolicy::Disallowed => "DISALLOWED",
            RaclistPolicy::Required => "REQUIRED",
        };
        let case = if class.is_case_sensitive { "ASIS" } else { "UPPER" };
        write!(
            info,
            "POSIT({}) MAXLENGTH({}) DEFAULTRC({}) DEFAULTUACC({}) CASE({case}) RACLIST({raclist})",
            class.posit, class.length_max, class.default_return_code, class.default_uacc
        )
        .expect("writing to a string cannot fail");
        debug_assert_eq!(class.naming, Naming::General, "only DATASET has other names");
        commands.push(format!("RDEFINE CDT {} CDTINFO({info})", class.name));
    }
    let before = builtin_classes().into_iter().find(|builtin| builtin.name == class.name);
    let was = |state: fn(&Class) -> bool| before.as_ref().is_some_and(state);
    let states = [
        ("CLASSACT", class.is_active, was(|class| class.is_active)),
        ("GENERIC", class.is_generic, was(|class| class.is_generic)),
        ("RACLIST", class.is_raclisted, was(|class| class.is_raclisted)),
    ];
    for (word, is_so, was_so) in states {
        if is_so != was_so {
            commands.push(format!("SETROPTS {}{word}({})", if is_so { "" } else { "NO" }, class.name));
        }
    }
    commands
}

pub(super) fn group(group: &Group) -> Vec<String> {
    let mut words = Words::new("ADDGROUP");
    words.word(group.id.as_str());
    if let Some(above) = &group.superior {
        words.with("SUPGROUP", above);
    }
    words.with("OWNER", &group.owner);
    words.text("DATA", group.data.as_ref());
    match &group.unix {
        None => {}
        Some(unix) => match unix.gid {
            Some(gid) => words.with("OMVS", format!("GID({gid})")),
            None => words.with("OMVS", "AUTOGID"),
        },
    }
    vec![words.0]
}

pub(super) fn user(user: &User) -> Vec<String> {
    let mut words = Words::new("ADDUSER");
    words.word(user.id.as_str());
    words.text("NAME", user.name.as_ref());
    words.with("OWNER", &user.owner);
    words.with("DFLTGRP", &user.default_group);
    let flags = user.flags;
    words.flag("SPECIAL", flags.is_special);
    words.flag("AUDITOR", flags.is_auditor);
    words.flag("OPERATIONS", flags.is_operations);
    words.flag("RESTRICTED", flags.is_restricted);
    words.flag("UAUDIT", flags.is_audited);
    words.flag("NOPASSWORD", flags.is_protected);
    words.flag("REVOKE", flags.is_revoked);
    words.text("DATA", user.data.as_ref());
    if let Some(unix) = &user.unix {
        let mut omvs = match unix.uid {
            Some(uid) => Words(format!("UID({uid})")),
            None => Words::new("AUTOUID"),
        };
        omvs.text("HOME", unix.home.as_ref());
        omvs.text("PROGRAM", unix.program.as_ref());
        words.with("OMVS", omvs.0);
    }
    let mut commands = vec![words.0];
    for (group, connect) in &user.groups {
        let mut words = Words::new("CONNECT");
        words.word(user.id.as_str());
        words.with("GROUP", group);
        words.with("AUTHORITY", connect.authority.as_str());
        words.flag("SPECIAL", connect.is_special);
        words.flag("REVOKE", connect.is_revoked);
        commands.push(words.0);
    }
    commands
}

pub(super) fn profile(profile: &Profile) -> Vec<String> {
    let mut words = Words::new("RDEFINE");
    words.word(profile.class.as_str());
    words.word(&profile_name(&profile.name));
    words.with("OWNER", &profile.owner);
    words.with("UACC", profile.uacc);
    words.with("AUDIT", profile.audit);
    words.flag("WARNING", profile.is_warning);
    if let Some(id) = &profile.notify {
        words.with("NOTIFY", id);
    }
    if profile.level > 0 {
        words.with("LEVEL", profile.level);
    }
    words.text("DATA", profile.data.as_ref());
    words.text("APPLDATA", profile.appl_data.as_ref());
    if let Some(started) = &profile.started {
        words.with("STDATA", started_data(started));
    }
    let mut commands = vec![words.0];
    // One command an entry: a change of one line shows as a change of one line.
    let permit = |who: &Who, access: AccessLevel| {
        let mut words = Words::new("PERMIT");
        words.word(&profile_name(&profile.name));
        words.with("CLASS", &profile.class);
        words.with("ID", who);
        words.with("ACCESS", access);
        words
    };
    for (who, access) in &profile.access {
        commands.push(permit(who, *access).0);
    }
    for entry in &profile.conditional {
        let mut words = permit(&entry.who, entry.access);
        let value = quoted(&entry.when.value);
        words.with("WHEN", format!("{}({value})", ConditionKind::as_str(entry.when.kind)));
        commands.push(words.0);
    }
    commands
}

fn started_data(started: &crate::profile::StartedData) -> String {
    let mut words = Words(String::new());
    let id = |user: &StartedUser| match user {
        StartedUser::Id(id) => id.to_string(),
        StartedUser::Member => "=MEMBER".to_owned(),
    };
    if let Some(user) = &started.user {
        words.with("USER", id(user));
    }
    if let Some(group) = &started.group {
        words.with("GROUP", id(group));
    }
    for (operand, is_so) in
        [("TRUSTED", started.is_trusted), ("PRIVILEGED", started.is_privileged), ("TRACE", started.is_traced)]
    {
        words.with(operand, if is_so { "YES" } else { "NO" });
    }
    words.0.trim_start().to_owned()
}
