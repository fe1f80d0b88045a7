//! Reading the member again, and what that comes to in words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::boxes::{Boxed, Kind};
use super::{Root, start};
use crate::link::ToMonitor;
use crate::messages;
use crate::settings::Settings;

const DATABASE: &str = "ZWES.SAF.DATABASE";
const SERVER: &str = "the next start of the server";
/// Keys that do not count at once, or the beginnings of some, and when they do.
const LATER: &[(&str, &str)] = &[
    ("NAME", SERVER),
    ("COLD", SERVER),
    ("DEBUG", SERVER),
    ("RESET(LOOKUP)", SERVER),
    ("ZWES.NAME", SERVER),
    ("ZWES.USER.", SERVER),
    ("ZWES.AUDIT.", "REPLACE or the next start of the server"),
    ("ZWES.AUXILIARY.", "the next start of a plug-in"),
];

impl Root {
    /// Reads the member again; says what came of it.
    ///
    /// While the server is replaced both sets of boxes hear of it: either may be the one that goes on.
    pub(super) fn reload(&mut self) -> Vec<String> {
        let read = match start::read(&self.options, &self.places.parmlib, &self.print) {
            Ok(read) if read.is_usable => read,
            Ok(_) => return self.not_reloaded("the member has errors and is strict"),
            Err(error) => return self.not_reloaded(&error.text),
        };
        let database = start::database(&self.options, &read);
        if !database.exists() {
            return self.not_reloaded(&start::no_database(&database));
        }
        let fresh = Settings::from(&read.settings);
        let mut lines = changes(&self.settings, &fresh, self.options.database.as_deref());
        for line in &lines {
            self.print.line(crate::sysprint::stamped("ROOT", line));
        }
        let are_workers_old = !hold_workers_alike(&fresh, &self.settings);
        self.settings = fresh;
        if are_workers_old {
            // Workers are held to what they were started with; the next order starts others.
            self.boxes.values().filter(|boxed| matches!(boxed.kind, Kind::Worker(_))).for_each(Boxed::kill);
        }
        let is_another = database != self.places.database;
        self.places.database = database;
        for set in self.serving_sets() {
            let settings = ToMonitor::Settings(Box::new(self.settings.clone()));
            self.on_behalf_of(set, |root| root.tell_monitor(&settings, Vec::new()));
            if is_another && let Err(why) = self.renew_keeper(set) {
                lines.push(why);
            }
        }
        lines
    }

    fn not_reloaded(&self, why: &str) -> Vec<String> {
        let text = messages::RELOAD_FAILED.with(&[&why]);
        self.print.line(crate::sysprint::stamped("ROOT", &text));
        vec![text]
    }

    /// Returns the sets of boxes that have a monitor: one that is replaced still answers.
    fn serving_sets(&self) -> BTreeSet<u64> {
        let monitors = self.boxes.values().filter(|boxed| boxed.kind == Kind::Monitor && !boxed.is_ending);
        monitors.map(|boxed| boxed.set).collect()
    }
}

/// Says whether workers are held to the same by both.
fn hold_workers_alike(one: &Settings, other: &Settings) -> bool {
    one.runas_uids == other.runas_uids
        && one.ports == other.ports
        && one.places == other.places
        && one.is_inspect_on == other.is_inspect_on
}

/// Says what has changed, and what that comes to.
fn changes(old: &Settings, new: &Settings, database: Option<&Path>) -> Vec<String> {
    let differs = |one: &Settings, other: &Settings| {
        let missing = one.parameters.iter().filter(|parameter| !other.parameters.contains(parameter));
        missing.map(|(key, _)| key.clone()).collect::<BTreeSet<String>>()
    };
    let changed: Vec<String> = differs(new, old).union(&differs(old, new)).cloned().collect();
    let all = if changed.is_empty() { "nothing has changed".to_owned() } else { changed.join(", ") };
    let mut lines = vec![messages::RELOADED.with(&[&all])];
    let mut later: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for key in &changed {
        if let Some(when) = counts_from(key) {
            later.entry(when).or_default().push(key);
        }
    }
    lines.extend(
        later.into_iter().map(|(when, keys)| messages::RELOADED_LATER.with(&[&when, &keys.join(", ")])),
    );
    if let Some(database) = database.filter(|_| changed.iter().any(|key| key == DATABASE)) {
        let why = format!("the server was started with --database {}", database.display());
        lines.push(messages::RELOADED_WITHOUT.with(&[&DATABASE, &why]));
    }
    lines.extend(plugins(&old.plugins, &new.plugins));
    lines
}

/// Says when a key counts that does not count at once.
fn counts_from(key: &str) -> Option<&'static str> {
    let is_it = |name: &str| if name.ends_with('.') { key.starts_with(name) } else { key == name };
    LATER.iter().find(|(name, _)| is_it(name)).map(|(_, when)| *when)
}

/// Says what becomes of plug-ins that are new, that have another module, or that are not named any more.
fn plugins(old: &[(String, String)], new: &[(String, String)]) -> Vec<String> {
    let of = |list: &[(String, String)], id: &str| {
        list.iter().find(|(known, _)| known == id).map(|(_, module)| module.clone())
    };
    let mut lines = Vec::new();
    for (id, module) in new {
        let becomes = match of(old, id) {
            None => format!("module {module} is started"),
            Some(before) if before != *module => {
                format!(
                    "module {module} takes the place of {before} with REPLACE of the plug-in or the server, or at the \
                     next start"
                )
            }
            Some(_) => continue,
        };
        lines.push(messages::PLUGIN_RELOADED.with(&[id, &becomes]));
    }
    for (id, module) in old.iter().filter(|(id, _)| of(new, id).is_none()) {
        let becomes = format!("module {module} goes on until the server is replaced or started again");
        lines.push(messages::PLUGIN_RELOADED.with(&[id, &becomes]));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_that_are_new_other_or_gone_are_told_of_and_no_others() {
        let list = |text: &str| {
            text.split(' ')
                .map(|word| word.split_once('=').unwrap())
                .map(|(a, b)| (a.into(), b.into()))
                .collect()
        };
        let (old, new): (Vec<_>, Vec<_>) = (list("A=ONE B=TWO C=THREE"), list("A=ONE B=OTHER D=FOUR"));
        let lines = plugins(&old, &new);
        assert_eq!(lines.len(), 3, "{lines:?}");
        for (line, words) in
            lines.iter().zip([["B", "OTHER takes"], ["D", "FOUR is started"], ["C", "THREE goes on"]])
        {
            assert!(line.starts_with("ZWES0284I") && words.iter().all(|word| line.contains(word)), "{line}");
        }
        assert!(plugins(&old, &old).is_empty());
    }

    #[test]
    fn keys_that_count_later_are_known_by_name_or_family() {
        assert_eq!((counts_from("ZWES.USER.FRONT"), counts_from("ZWES.NAME")), (Some(SERVER), Some(SERVER)));
        assert_eq!(counts_from("ZWES.AUXILIARY.PROCESSES"), Some("the next start of a plug-in"));
        assert_eq!((counts_from("ZWES.NAMES"), counts_from("ZWES.SPIN_US")), (None, None));
    }
}
