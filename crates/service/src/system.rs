//! Managed systems: who is meant, how several are worked on at once, and how a request is carried through.

mod ask;
pub(crate) mod changes;
pub(crate) mod contact;
mod guard;

use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use tender_package::name::NameError;
use tender_package::{Outcome, Severity, SystemName, Table, Vrm};

pub(crate) use ask::{ask, check_info, visit};
pub use guard::{Loss, SystemContent};
pub(crate) use guard::{level_with_content, losses};

use crate::error::{Refusal, ServiceError};
use crate::link::Address;
use crate::shapes::SystemRecord;
use crate::tables::systems::{self, SystemRow};

/// Which systems are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every system of the release.
    All,
    /// A system, or a nickname of several.
    Named(SystemName),
}

impl FromStr for Target {
    type Err = NameError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if word.eq_ignore_ascii_case("ALL") { Ok(Self::All) } else { SystemName::new(word).map(Self::Named) }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("ALL"),
            Self::Named(name) => name.fmt(f),
        }
    }
}

/// Returns the systems meant, in order; what a nickname stands for is settled here and not looked at again.
pub(crate) fn expand(
    tables: &Connection,
    vrm: &Vrm,
    target: &Target,
) -> Result<Vec<SystemRow>, ServiceError> {
    let name = match target {
        Target::All => return systems::all(tables, vrm),
        Target::Named(name) => name,
    };
    let members = systems::members(tables, name)?;
    if members.is_empty() {
        return Ok(vec![systems::expect(tables, vrm, name)?]);
    }
    members.iter().map(|member| systems::expect(tables, vrm, member)).collect()
}

/// Returns where a system listens.
pub(crate) fn address(record: &SystemRecord) -> Address {
    Address {
        system: record.name.clone(),
        host: record.host.clone(),
        port: record.port,
        is_tls_required: record.is_tls_required,
    }
}

/// Works on several systems, a few at a time; each has its own result, and none waits for a slow one to end.
pub(crate) fn each(
    systems: &[SystemRow],
    parallel_max: usize,
    work: &(dyn Fn(&SystemRow) -> Result<Outcome, ServiceError> + Sync),
) -> Vec<(SystemName, Outcome)> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Outcome)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..parallel_max.clamp(1, systems.len().max(1)) {
            scope.spawn(|| {
                while let Some((index, system)) = take(&next, systems) {
                    let outcome = work(system).unwrap_or_else(|error| error.outcome());
                    results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, outcome));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(index, outcome)| (systems[index].record.name.clone(), outcome)).collect()
}

fn take<'s>(next: &AtomicUsize, systems: &'s [SystemRow]) -> Option<(usize, &'s SystemRow)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    systems.get(index).map(|system| (index, system))
}

/// Refuses a system whose SYSTEM ADD has not ended: nobody has verified yet what it is and what it runs.
pub(crate) fn refuse_unadded(system: &SystemRow) -> Result<(), Refusal> {
    if system.is_added {
        return Ok(());
    }
    let text = format!("system {} is still being added", system.record.name);
    Err(Refusal::new(166, text).hint("run its SYSTEM ADD again, which says what is missing"))
}

/// Puts the results of several systems together; the worst return code is that of all.
pub(crate) fn gather(title: String, results: Vec<(SystemName, Outcome)>) -> Outcome {
    let mut all = Outcome::default();
    let mut table = Table::new(title, &["system", "rc", "result"]);
    let mut data = serde_json::Map::new();
    for (system, outcome) in results {
        let last = outcome.messages.iter().max_by_key(|message| message.severity);
        let text = last.map_or_else(String::new, |message| message.text.clone());
        table.row([system.to_string(), u8::from(outcome.code).to_string(), text]);
        all.code = all.code.max(outcome.code);
        let mut value = outcome.data;
        if !value.is_object() {
            value = serde_json::json!({ "result": value });
        }
        if let Some(object) = value.as_object_mut() {
            object.insert("rc".to_owned(), u8::from(outcome.code).into());
            object.insert("messages".to_owned(), serde_json::json!(outcome.messages));
        }
        data.insert(system.to_string(), value);
        // The table says what went well; only what needs attention is said once more, with its way on.
        for mut message in outcome.messages.into_iter().filter(|message| message.severity > Severity::I) {
            message.text = format!("{system}: {}", message.text);
            all.messages.push(message);
        }
        all.tables.extend(outcome.tables.into_iter().map(|mut table| {
            table.title = format!("{system}: {}", table.title);
            table
        }));
    }
    all.tables.push(table);
    all.data = serde_json::json!({ "systems": data });
    all
}
