//! Judging what a machine shows.

use std::path::Path;

use super::host::{HostFacts, ProcessFacts, StartProcedure};
use super::{Attribute, Remedy, ScheduleItem};
use crate::install::{quoted, words};

/// How unwilling to be killed a server is.
const OOM_SCORE: i32 = -900;

/// Says what KEY(4) and NOSWAP come to here.
#[must_use]
pub fn check(facts: &HostFacts) -> Vec<ScheduleItem> {
    let mut items = vec![users(facts)];
    items.extend(procedure(facts));
    items.extend(kernel(facts));
    items.extend(facts.processes.iter().flat_map(process));
    items
}

fn item(
    attribute: Attribute,
    what: impl Into<String>,
    (wanted, found): (impl Into<String>, impl Into<String>),
    is_met: bool,
    remedy: Remedy,
) -> ScheduleItem {
    let remedy = (!is_met).then_some(remedy);
    ScheduleItem { attribute, what: what.into(), wanted: wanted.into(), found: found.into(), is_met, remedy }
}

fn users(facts: &HostFacts) -> ScheduleItem {
    let missing = &facts.missing_users;
    let found = if missing.is_empty() {
        "all there".to_owned()
    } else {
        format!("not there: {}", missing.join(", "))
    };
    let remedy = Remedy::CreateUsers(missing.clone());
    item(Attribute::Key, "users", ("one for each kind of process", found), missing.is_empty(), remedy)
}

/// Lines of a unit, and what each belongs to.
fn unit_lines(facts: &HostFacts) -> Vec<(Attribute, &'static str, &'static str)> {
    let system = if facts.is_running_others { "full" } else { "strict" };
    vec![
        (Attribute::Key, "NoNewPrivileges", "yes"),
        (Attribute::Key, "LimitCORE", "0"),
        (Attribute::Key, "ProtectSystem", system),
        (Attribute::Noswap, "MemorySwapMax", "0"),
        (Attribute::Noswap, "LimitMEMLOCK", "64M"),
        (Attribute::Noswap, "OOMScoreAdjust", "-900"),
    ]
}

fn procedure(facts: &HostFacts) -> Vec<ScheduleItem> {
    let advice = |text: &str| Remedy::Advice(text.to_owned());
    match &facts.procedure {
        StartProcedure::Missing => {
            let remedy = advice("`tender xmem install` puts one in its place");
            vec![item(Attribute::Key, "start procedure", ("one", "there is none"), false, remedy)]
        }
        StartProcedure::Script { text, .. } => [
            (Attribute::Key, "ulimit -c 0", "start procedure: no core"),
            (Attribute::Noswap, "oom_score_adj", "start procedure: killed last"),
            (Attribute::Noswap, "ulimit -l", "start procedure: locked memory"),
        ]
        .into_iter()
        .map(|(attribute, word, what)| {
            let is_met = text.contains(word);
            let found = if is_met { word } else { "not there" };
            item(attribute, what, (word, found), is_met, advice("install it anew: `tender xmem install`"))
        })
        .collect(),
        StartProcedure::Unit { text, .. } => unit(facts, text),
    }
}

fn unit(facts: &HostFacts, text: &str) -> Vec<ScheduleItem> {
    let mut items = Vec::new();
    for (attribute, key, wanted) in unit_lines(facts) {
        let found = last(text, key).unwrap_or("not set");
        let remedy = Remedy::UnitLine(format!("{key}={wanted}"));
        items.push(item(attribute, format!("unit: {key}"), (wanted, found), found == wanted, remedy));
    }
    let paths: Vec<String> = all(text, "ReadWritePaths").flat_map(words).collect();
    for directory in &facts.written {
        let shown = directory.display().to_string();
        // With ProtectSystem=full only these places cannot be written.
        let is_closed = !facts.is_running_others
            || ["/usr", "/boot", "/efi", "/etc"].iter().any(|closed| directory.starts_with(closed));
        let is_listed =
            paths.iter().any(|path| directory.starts_with(Path::new(path.trim_start_matches(['-', '+']))));
        let is_met = is_listed || !is_closed;
        let found = if is_met { "can be written" } else { "can only be read" };
        let remedy = Remedy::UnitLine(format!("ReadWritePaths={}", quoted(&format!("-{shown}"))));
        items.push(item(Attribute::Key, format!("unit: {shown}"), ("can be written", found), is_met, remedy));
    }
    items
}

/// Returns the values of a key, in order; an empty one takes back those before.
fn all<'t>(text: &'t str, key: &str) -> impl Iterator<Item = &'t str> {
    let mut values = Vec::new();
    for line in text.lines() {
        let Some(value) = line.trim().strip_prefix(key).and_then(|rest| rest.trim_start().strip_prefix('='))
        else {
            continue;
        };
        match value.trim() {
            "" => values.clear(),
            value => values.push(value),
        }
    }
    values.into_iter()
}

fn last<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    all(text, key).last()
}

fn kernel(facts: &HostFacts) -> Vec<ScheduleItem> {
    let advice = |text: &str| Remedy::Advice(text.to_owned());
    let shown =
        |number: Option<u32>| number.map_or_else(|| "not known".to_owned(), |number| number.to_string());
    let mut items = vec![
        item(
            Attribute::Key,
            "kernel: fs.suid_dumpable",
            ("0 or 2", shown(facts.suid_dumpable)),
            facts.suid_dumpable != Some(1),
            advice("sysctl fs.suid_dumpable=2"),
        ),
        item(
            Attribute::Key,
            "kernel: vm.memfd_noexec",
            ("0 or 1", shown(facts.memfd_noexec)),
            facts.memfd_noexec != Some(2),
            advice("sysctl vm.memfd_noexec=1: with 2 no sealed copy of a module can be executed"),
        ),
    ];
    let found = if facts.has_memory_controller { "there" } else { "not there" };
    items.push(item(
        Attribute::Noswap,
        "kernel: memory controller",
        ("there", found),
        facts.has_memory_controller,
        advice("without it MemorySwapMax does nothing; secrets are locked all the same"),
    ));
    items
}

fn process(process: &ProcessFacts) -> Vec<ScheduleItem> {
    let name = format!("process {} {}", process.pid, process.role);
    let advice = |text: &str| Remedy::Advice(text.to_owned());
    let again = "start the server anew with its start procedure";
    let mut items = vec![
        item(
            Attribute::Noswap,
            format!("{name}: killed last"),
            (OOM_SCORE.to_string(), process.oom_score.to_string()),
            process.oom_score <= OOM_SCORE || is_expendable(process),
            Remedy::OomScore { pid: process.pid, score: OOM_SCORE },
        ),
        item(
            Attribute::Noswap,
            format!("{name}: swapped out"),
            ("0 KiB", format!("{} KiB", process.swapped_kib)),
            process.swapped_kib == 0,
            advice(again),
        ),
    ];
    if let Some(is_dumpable) = process.is_dumpable {
        let found = if is_dumpable { "yes" } else { "no" };
        let what = format!("{name}: can be dumped");
        items.push(item(
            Attribute::Key,
            what,
            ("no", found),
            !is_dumpable || is_guest(process),
            advice(again),
        ));
        let found = if process.is_without_new_privileges { "no" } else { "yes" };
        let what = format!("{name}: can gain privileges");
        items.push(item(
            Attribute::Key,
            what,
            ("no", found),
            process.is_without_new_privileges,
            advice(again),
        ));
        let found = if process.is_filtered { "filtered" } else { "not filtered" };
        let why = match cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            true => again.to_owned(),
            false => format!("there are no tables of system calls for {}", std::env::consts::ARCH),
        };
        let what = format!("{name}: system calls");
        items.push(item(Attribute::Key, what, ("filtered", found), process.is_filtered, Remedy::Advice(why)));
    }
    items
}

/// Says whether a process is one that is started again when it is killed, and rather killed than those that are not: what
/// clients can make large, and what does one kind of work.
fn is_expendable(process: &ProcessFacts) -> bool {
    is_guest(process) || ["@front", "@worker"].contains(&&*process.role)
}

/// Says whether a process is a plug-in: it holds no secrets of the server and may be killed before it.
fn is_guest(process: &ProcessFacts) -> bool {
    process.role.starts_with("MOD=") || process.role == "@auxiliary"
}
