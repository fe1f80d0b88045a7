//! What a later supervisor needs to know of this one's processes, should this one be killed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Engine, Key};
use crate::clock;
use crate::console::ConsoleMessage;
use crate::messages::message;
use crate::process::proc::{self, Stat};

/// Time between two writes.
const PAUSE_MS: u64 = 100;

/// The journal of one supervisor.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// What is written is not what is.
    pub(super) is_stale: bool,
    /// Why it could not be written last.
    failure: Option<String>,
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) boot_id: String,
    pub(super) processes: Vec<Known>,
}

/// A process of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) component: String,
    pub(super) pid: i32,
    pub(super) start_ticks: u64,
    /// The session of its tree.
    pub(super) session: i32,
    pub(super) program: Option<PathBuf>,
}

impl Journal {
    pub(super) fn new(directory: &Path) -> Self {
        Self { path: directory.join("processes.json"), is_stale: false, failure: None }
    }

    /// Reads what an earlier supervisor of this boot wrote.
    pub(super) fn read(&self) -> Record {
        let bytes = fs::read(&self.path).unwrap_or_default();
        let record: Record = serde_json::from_slice(&bytes).unwrap_or_default();
        // Numbers and times of another boot mean nothing.
        if record.boot_id == proc::boot_id() { record } else { Record::default() }
    }

    /// Says why it is not written, if it is not.
    pub(super) fn failure(&self) -> Option<ConsoleMessage> {
        let why = self.failure.as_ref()?;
        Some(message("ZWEL0092W", format!("`{}` cannot be written: {why}", self.path.display())))
    }

    pub(super) fn remove(&self) {
        // One that stays is read by the next supervisor, which finds none of its processes.
        fs::remove_file(&self.path).ok();
    }
}

impl Engine {
    /// Has the journal written, now or soon.
    pub(super) fn keep_journal(&mut self) {
        if self.journal.is_stale && !self.timers.is_armed(Key::Journal) {
            self.timers.arm(Key::Journal, clock::monotonic_ms() + PAUSE_MS);
        }
    }

    /// Writes the journal; until then a marker and the cgroup say what belongs to whom.
    pub(super) fn write_journal(&mut self) {
        self.journal.is_stale = false;
        let runs = self.units.values().filter_map(|unit| Some((unit, unit.run.as_ref()?)));
        let processes = runs.flat_map(|(unit, run)| {
            let mut pids = vec![run.server];
            pids.extend((run.pid != run.server && !run.has_leader_ended).then_some(run.pid));
            pids.into_iter().filter_map(|pid| {
                Some(Known {
                    component: unit.component.name.clone(),
                    pid,
                    start_ticks: Stat::of(pid)?.start_ticks,
                    session: run.pid,
                    program: proc::program(pid),
                })
            })
        });
        let record = Record { boot_id: proc::boot_id(), processes: processes.collect() };
        let bytes = serde_json::to_vec(&record).expect("a record is plain strings and numbers");
        match replace(&self.journal.path, &bytes) {
            Ok(()) => self.journal.failure = None,
            Err(error) => {
                let is_new = self.journal.failure.replace(error.to_string()).is_none();
                if let Some(told) = self.journal.failure().filter(|_| is_new) {
                    self.tell(told);
                }
            }
        }
    }
}

/// Replaces a file in one step. A crash of the machine ends the processes too, so nothing is flushed to the disk.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    fs::rename(&temporary, path)
}
