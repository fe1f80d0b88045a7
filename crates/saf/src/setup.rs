//! What the product needs defined before it runs, for each of four security products.
//!
//! The definitions are one list of values; each product turns it into its own commands. On a mainframe the commands are
//! printed, each with the command that shows whether it is needed. Here they are planned on the database: what is there
//! already stays as it is, and a difference is reported, never overwritten.

mod acf2;
mod racf;
mod top_secret;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::command::{Command, CommandError, Context, Draft, Plan};
use crate::database::{Database, FIRST_USER};
use crate::id::Id;
use crate::level::AccessLevel;
use crate::profile::Who;

/// A security product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Esm {
    /// Our own database.
    Tender,
    /// RACF.
    Racf,
    /// ACF2.
    Acf2,
    /// Top Secret.
    TopSecret,
}

/// Says that a word is no security product.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a security product: tender, racf, acf2 or tss")]
pub struct EsmError(String);

impl FromStr for Esm {
    type Err = EsmError;

    fn from_str(text: &str) -> Result<Self, EsmError> {
        match &*text.to_ascii_lowercase() {
            "tender" => Ok(Self::Tender),
            "racf" => Ok(Self::Racf),
            "acf2" => Ok(Self::Acf2),
            "tss" => Ok(Self::TopSecret),
            _ => Err(EsmError(text.to_owned())),
        }
    }
}

/// The names that an installation may choose; the defaults are those of the security job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupNames {
    /// Group of the administrators (ADMINGRP).
    pub admin_group: String,
    /// Group of the users of started tasks (STCGRP).
    pub task_group: String,
    /// User of the main server (ZOWEUSER).
    pub server_user: String,
    /// User of the cross-memory server (XMEMUSER).
    pub xmem_user: String,
    /// User of the auxiliary servers (AUXUSER).
    pub aux_user: String,
    /// User of the process of the cross-memory server that reads what callers send; only Linux has it.
    pub front_user: String,
    /// Group of what runs for others and is not trusted: front and auxiliary servers; only Linux has it.
    ///
    /// They must not be in the group of the administrators, in which the security job puts every started task: what a
    /// caller sent or a plug-in contains is decoded and run there.
    pub guest_group: String,
    /// Started task of the main server (ZOWESTC).
    pub server_task: String,
    /// Started task of the launcher (ZLNCHSTC).
    pub launcher_task: String,
    /// Started task of the cross-memory server (XMEMSTC).
    pub xmem_task: String,
    /// Started task of the auxiliary servers (AUXSTC).
    pub aux_task: String,
    /// First qualifier of the data sets (HLQ).
    pub prefix: String,
    /// Who may change the data sets (SYSPROG).
    pub system_group: String,
    /// The product's own class.
    pub class: String,
    /// Numbers by symbol (ADMINGID, STCGID, ZOWEUID, XMEMUID, AUXUID); one left out is chosen by the product.
    pub numbers: BTreeMap<String, u32>,
    /// Departments and owners of Top Secret by symbol (ADMINDEP, STCGDEP, STCUDEP, ZOWEDEP, FACACID).
    pub departments: BTreeMap<String, String>,
}

impl Default for SetupNames {
    fn default() -> Self {
        Self {
            admin_group: "ZWEADMIN".to_owned(),
            task_group: "ZWEADMIN".to_owned(),
            server_user: "ZWESVUSR".to_owned(),
            xmem_user: "ZWESIUSR".to_owned(),
            aux_user: "ZWESIUSR".to_owned(),
            front_user: "ZWESFRNT".to_owned(),
            guest_group: "ZWEGUEST".to_owned(),
            server_task: "ZWESVSTC".to_owned(),
            launcher_task: "ZWESLSTC".to_owned(),
            xmem_task: "ZWESISTC".to_owned(),
            aux_task: "ZWESASTC".to_owned(),
            prefix: "ZWE".to_owned(),
            system_group: "ZWEADMIN".to_owned(),
            class: "ZOWE".to_owned(),
            numbers: BTreeMap::new(),
            departments: BTreeMap::new(),
        }
    }
}

impl SetupNames {
    /// Returns the symbols of the security job with their values, for scripts that use them.
    pub fn symbols(&self) -> BTreeMap<String, String> {
        let named = [
            ("ADMINGRP", &self.admin_group),
            ("STCGRP", &self.task_group),
            ("ZOWEUSER", &self.server_user),
            ("XMEMUSER", &self.xmem_user),
            ("ZISUSER", &self.xmem_user),
            ("AUXUSER", &self.aux_user),
            ("ZOWESTC", &self.server_task),
            ("ZLNCHSTC", &self.launcher_task),
            ("XMEMSTC", &self.xmem_task),
            ("ZISSTC", &self.xmem_task),
            ("AUXSTC", &self.aux_task),
            ("HLQ", &self.prefix),
            ("SYSPROG", &self.system_group),
        ];
        let mut symbols: BTreeMap<String, String> =
            named.into_iter().map(|(symbol, value)| (symbol.to_owned(), value.clone())).collect();
        symbols.extend(self.numbers.iter().map(|(symbol, number)| (symbol.clone(), number.to_string())));
        symbols.extend(self.departments.clone());
        symbols
    }

    /// Returns the user of the auxiliary servers.
    ///
    /// The security job gives them that of the cross-memory server. On Linux they run what others have written, in
    /// processes of their own, and must not share a uid with the server that watches them.
    fn aux_user(&self, esm: Esm) -> &str {
        if esm == Esm::Tender && self.aux_user == self.xmem_user { LINUX_AUX_USER } else { &self.aux_user }
    }

    /// Returns the group of the auxiliary servers.
    fn aux_group(&self, esm: Esm) -> &String {
        if esm == Esm::Tender { &self.guest_group } else { &self.task_group }
    }

    fn department(&self, symbol: &str) -> Option<&str> {
        self.departments.get(symbol).map(String::as_str)
    }
}

/// Something to be defined.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Definition<'a> {
    /// Classes to be active.
    Classes(&'static [&'static str]),
    /// A group.
    Group { id: &'a str, number: Option<u32>, department: Option<&'a str>, title: &'static str },
    /// A user of started tasks.
    User {
        id: &'a str,
        group: &'a str,
        number: Option<u32>,
        department: Option<&'a str>,
        title: &'static str,
    },
    /// A started task and its user.
    Task { task: &'a str, user: &'a str, group: &'a str, title: &'static str },
    /// A resource and who may use it.
    Resource {
        class: &'a str,
        name: &'static str,
        users: Vec<&'a str>,
        groups: Vec<&'a str>,
        level: AccessLevel,
        owner: Option<&'a str>,
        title: &'static str,
    },
    /// The product's data sets.
    DataSets { prefix: &'a str, group: &'a str },
    /// The product's own class.
    Class { name: &'a str },
}

/// What is needed to make one definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupStep {
    /// What it is for.
    pub title: String,
    /// The command that shows whether it is needed, where the product has one.
    pub check: Option<String>,
    /// The commands that make it.
    pub commands: Vec<String>,
}

/// The option set of the product's own class.
const CLASS_POSIT: u16 = 607;
/// User of the auxiliary servers on Linux where none is chosen.
const LINUX_AUX_USER: &str = "ZWESAUX";
/// The classes that must be active.
const CLASSES: &[&str] = &["FACILITY", "STARTED", "UNIXPRIV", "SURROGAT", "PTKTDATA"];
/// Longest profile name of the product's own class.
const CLASS_LENGTH_MAX: u16 = 246;

/// What the main server needs besides the gate of the cross-memory server.
const SERVER_RESOURCES: &[(&str, &str, AccessLevel, bool, &str)] = &[
    ("FACILITY", "BPX.DAEMON", AccessLevel::Update, true, "switch to the identity of a user"),
    ("FACILITY", "BPX.SERVER", AccessLevel::Update, true, "act as a user in a thread"),
    ("FACILITY", "BPX.JOBNAME", AccessLevel::Read, true, "give its processes names"),
    ("FACILITY", "IRR.RUSERMAP", AccessLevel::Read, true, "map certificates to users"),
    ("FACILITY", "IRR.IDIDMAP.QUERY", AccessLevel::Read, true, "map distributed identities to users"),
    ("FACILITY", "IRR.RAUDITX", AccessLevel::Read, true, "write audit records"),
    ("FACILITY", "IRR.DIGTCERT.LISTRING", AccessLevel::Read, true, "read its own key ring"),
    (
        "APPL",
        "OMVSAPPL",
        AccessLevel::Read,
        false,
        "be let in by the application check, where the site has one",
    ),
    (
        "UNIXPRIV",
        "SUPERUSER.FILESYS",
        AccessLevel::Control,
        false,
        "write files of its users (not needed from v3 on)",
    ),
];

fn definitions(names: &SetupNames, esm: Esm) -> Vec<Definition<'_>> {
    let number = |symbol: &str| names.numbers.get(symbol).copied();
    let mut list = vec![Definition::Classes(CLASSES)];
    list.push(Definition::Group {
        id: &names.admin_group,
        number: number("ADMINGID"),
        department: names.department("ADMINDEP"),
        title: "administrators",
    });
    if names.task_group != names.admin_group {
        list.push(Definition::Group {
            id: &names.task_group,
            number: number("STCGID"),
            department: names.department("STCGDEP"),
            title: "users of started tasks",
        });
    }
    list.extend(users(names, esm));
    for (task, user, group, title) in [
        (&names.server_task, &*names.server_user, &names.task_group, "main server"),
        (&names.launcher_task, &*names.server_user, &names.task_group, "launcher"),
        (&names.xmem_task, &*names.xmem_user, &names.task_group, "cross-memory server"),
        (&names.aux_task, names.aux_user(esm), names.aux_group(esm), "auxiliary servers"),
    ] {
        list.push(Definition::Task { task, user, group, title });
    }
    list.extend(gates(names, esm));
    for (class, name, level, is_for_linux, title) in SERVER_RESOURCES {
        if esm != Esm::Tender || *is_for_linux {
            let users = vec![&*names.server_user];
            let owner = names.department("FACACID").filter(|_| *class == "FACILITY");
            let groups = Vec::new();
            list.push(Definition::Resource { class, name, users, groups, level: *level, owner, title });
        }
    }
    // Files on Linux are guarded by Linux.
    if esm != Esm::Tender {
        list.push(Definition::DataSets { prefix: &names.prefix, group: &names.system_group });
    }
    list.push(Definition::Class { name: &names.class });
    for (class, name, title) in [
        (&*names.class, "APIML.SERVICES", "see the details of services; permit whom you like"),
        ("SURROGAT", "*.ZWES", "act for the user before the period; permit whom you must"),
        (
            "PTKTDATA",
            "IRRPTAUTH.**",
            "have one-time tickets made (UPDATE) and evaluated (READ); permit whom you must",
        ),
    ] {
        let (users, groups, level) = (Vec::new(), Vec::new(), AccessLevel::Read);
        list.push(Definition::Resource { class, name, users, groups, level, owner: None, title });
    }
    list
}

/// Returns the users of started tasks, each once, after the group that only Linux has.
fn users(names: &SetupNames, esm: Esm) -> Vec<Definition<'_>> {
    let group = &*names.task_group;
    let mut users = vec![
        (&*names.server_user, group, "ZOWEUID", "ZOWEDEP", "main server"),
        (&*names.xmem_user, group, "XMEMUID", "STCUDEP", "cross-memory server"),
        (names.aux_user(esm), names.aux_group(esm), "AUXUID", "STCUDEP", "auxiliary servers"),
    ];
    let mut list = Vec::new();
    if esm == Esm::Tender {
        let title = "front of the cross-memory server";
        users.push((&*names.front_user, &*names.guest_group, "FRONTUID", "STCUDEP", title));
        let title = "processes that are not trusted";
        list.push(Definition::Group { id: &names.guest_group, number: None, department: None, title });
    }
    for (index, &(id, group, uid, department, title)) in users.iter().enumerate() {
        if users[..index].iter().all(|(earlier, ..)| *earlier != id) {
            let (number, department) = (names.numbers.get(uid).copied(), names.department(department));
            list.push(Definition::User { id, group, number, department, title });
        }
    }
    list
}

/// Returns what guards the cross-memory server: the gate, its services, its operator commands, its explanations.
fn gates(names: &SetupNames, esm: Esm) -> Vec<Definition<'_>> {
    let mut callers = vec![names.aux_user(esm), &*names.server_user];
    callers.dedup();
    let is_linux = esm == Esm::Tender;
    let operators = if is_linux { vec![FIRST_USER] } else { Vec::new() };
    // Root is matched by profiles like everybody, and written down; who sets a machine up can call what only asks.
    callers.extend(&operators);
    // Where started tasks are in the group of the administrators, it would make operators of what they run.
    let is_shared = is_linux && names.task_group == names.admin_group;
    let admins = if is_shared { Vec::new() } else { vec![&*names.admin_group] };
    let (read, update) = (AccessLevel::Read, AccessLevel::Update);
    let gates = [
        ("ZWES.IS", callers.clone(), Vec::new(), read, "call the cross-memory server"),
        ("ZWES.IS.SRV.**", callers, Vec::new(), read, "use each of its services"),
        ("ZWES.IS.OPER.**", operators.clone(), admins.clone(), update, "give it operator commands"),
        ("ZWES.IS.EXPLAIN", operators, admins, read, "be told why it refuses"),
    ];
    let owner = names.department("FACACID");
    let class = "FACILITY";
    let definition = |(name, users, groups, level, title)| Definition::Resource {
        class,
        name,
        users,
        groups,
        level,
        owner,
        title,
    };
    gates.into_iter().map(definition).collect()
}

/// Returns what has to be defined, in a security product's own commands, in order.
pub fn setup_steps(names: &SetupNames, esm: Esm) -> Vec<SetupStep> {
    let step = match esm {
        Esm::Tender | Esm::Racf => racf::step,
        Esm::Acf2 => acf2::step,
        Esm::TopSecret => top_secret::step,
    };
    let mut steps: Vec<SetupStep> = definitions(names, esm).iter().map(step).collect();
    steps.push(match esm {
        Esm::Tender | Esm::Racf => racf::refresh(),
        Esm::Acf2 => acf2::refresh(),
        Esm::TopSecret => top_secret::refresh(),
    });
    steps.retain(|step| !step.commands.is_empty());
    steps
}

/// Returns the steps as text: comments say what each is for and how to see whether it is needed.
pub fn setup_text(names: &SetupNames, esm: Esm) -> String {
    let mut text = String::new();
    let comment = |text: &mut String, what: &str| {
        for line in wrapped(what, LINE_MAX - "/*  */".len()) {
            let line = if esm == Esm::Acf2 { format!("* {line}\n") } else { format!("/* {line} */\n") };
            text.push_str(&line);
        }
    };
    for step in setup_steps(names, esm) {
        comment(&mut text, &step.title);
        if let Some(check) = &step.check {
            comment(&mut text, &format!("needed unless this finds it: {check}"));
        }
        for command in &step.commands {
            let lines = wrapped(command, LINE_MAX - "   -".len());
            let last = lines.len() - 1;
            for (index, line) in lines.iter().enumerate() {
                let indent = if index == 0 { "" } else { "  " };
                let goes_on = if index == last { "" } else { " -" };
                writeln!(text, "{indent}{line}{goes_on}").expect("writing to a string cannot fail");
            }
        }
        text.push('\n');
    }
    text
}

/// The longest line: a job's input ends at column 72.
const LINE_MAX: usize = 71;

/// Breaks text at blanks outside of quotes.
fn wrapped(text: &str, max: usize) -> Vec<String> {
    let mut is_quoted = false;
    let is_break = |found: char| {
        is_quoted ^= found == '\'';
        found == ' ' && !is_quoted
    };
    let mut lines = vec![String::new()];
    for word in text.split(is_break) {
        let last = lines.last_mut().expect("there is always one");
        if last.is_empty() {
            last.push_str(word);
        } else if last.len() + 1 + word.len() <= max {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Returns what setting up would change in a database of ours.
///
/// What is defined already stays as it is, with a warning where it differs; running it again changes nothing.
pub fn setup_database(
    database: &Database,
    names: &SetupNames,
    context: &Context,
) -> Result<Plan, CommandError> {
    let mut draft = Draft::new(database.clone(), context.clone());
    for step in setup_steps(names, Esm::Tender) {
        for text in &step.commands {
            let command = Command::parse(text)?;
            if let Some(difference) = permits_otherwise(&draft, text) {
                draft.warn(difference);
                continue;
            }
            match command.draft(&mut draft) {
                Err(CommandError::AlreadyDefined { key, .. }) => {
                    draft.warn(format!("{key} is already defined, and otherwise; it stays as it is"));
                }
                ended => ended?,
            }
        }
    }
    Ok(draft.into_plan(database))
}

/// Returns what is already there instead of what a PERMIT would set.
fn permits_otherwise(draft: &Draft, text: &str) -> Option<String> {
    let words: Vec<&str> = text.split([' ', '(', ')']).filter(|word| !word.is_empty()).collect();
    let ["PERMIT", profile, "CLASS", class, "ID", id, "ACCESS", level] = words[..] else { return None };
    let found = draft.database.profile(&class.parse().ok()?, profile)?;
    let access = *found.access.get(&Who::Id(id.parse::<Id>().ok()?))?;
    let wanted: AccessLevel = level.parse().ok()?;
    (access != wanted)
        .then(|| format!("profile {class} {profile} gives {id} {access} and not {wanted}; it stays as it is"))
}

/// Returns groups and users as a file for systemd-sysusers, for machines that do not have them yet.
///
/// `installed` are the users that the installer of the cross-memory server makes, with a file of its own: they are put into
/// their groups here, and not made a second time.
pub fn sysusers_text(names: &SetupNames, installed: &[&str]) -> String {
    let mut text = String::new();
    for definition in definitions(names, Esm::Tender) {
        let number = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let line = match definition {
            Definition::Group { id, number: gid, .. } => format!("g {} {}\n", id.to_lowercase(), number(gid)),
            Definition::User { id, group, number: uid, title, .. } => {
                let (user, group) = (id.to_lowercase(), group.to_lowercase());
                let member = format!("m {user} {group}\n");
                let is_installed = uid.is_none() && installed.contains(&&*user);
                let made = format!("u {user} {} \"{title}\" - -\n", number(uid));
                if is_installed { member } else { made + &member }
            }
            _ => continue,
        };
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests;
