//! A supervisor at work, looked at from outside.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::contender::{Contender, Ours, Service};
use super::started_dir;
use crate::failure::Failure;
use crate::processes::{self, Process, cpu_ns, pause};
use crate::program;

/// Nothing measured here takes longer.
const LIMIT: Duration = Duration::from_secs(120);
/// How often is looked whether something has happened.
const LOOK: Duration = Duration::from_micros(200);
/// Time for a supervisor to come to rest before it is measured.
const REST: Duration = Duration::from_secs(2);
/// Time for it to stop before it is killed.
const STOP: Duration = Duration::from_secs(3);

/// A supervisor at work; dropped, it is stopped with all its children.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    names: &'static [&'static str],
    started: PathBuf,
    began: Instant,
}

impl Running {
    pub(super) fn start(
        contender: &Contender,
        ours: &Ours,
        work: &Path,
        services: &[Service],
    ) -> Result<Self, Failure> {
        let started = started_dir(work);
        fs::create_dir_all(&started).map_err(Failure::file("make", &started))?;
        let mut command = (contender.prepare)(work, ours, services)?;
        let began = Instant::now();
        let child =
            command.spawn().map_err(|source| Failure::Start { program: program::line(&command), source })?;
        Ok(Self { child, names: contender.processes, started, began })
    }

    /// Waits until so many children have started; returns the milliseconds since the start of the supervisor.
    pub(super) fn wait_started(&mut self, count: usize) -> Result<f64, Failure> {
        wait(&format!("{count} children start"), || {
            fs::read_dir(&self.started).is_ok_and(|entries| entries.count() >= count)
        })?;
        Ok(self.began.elapsed().as_secs_f64() * 1000.0)
    }

    /// Gives it time to come to rest.
    pub(super) fn settle(&self) {
        pause(REST);
    }

    /// Returns the processes of the supervisor itself.
    pub(super) fn supervisors(&self) -> Vec<i32> {
        let own = self.tree().into_iter().map(|process| process.pid);
        own.filter(|pid| name(*pid).is_some_and(|name| self.names.contains(&name.as_str()))).collect()
    }

    /// Returns the memory of the supervisor's processes, shared pages divided among those who share them.
    pub(super) fn memory_bytes(&self) -> Result<u64, Failure> {
        processes::memory_bytes(&self.supervisors())
    }

    /// Returns the processor time of the supervisor's processes during a time, in milliseconds.
    pub(super) fn cpu_ms_in(&self, time: Duration) -> Result<f64, Failure> {
        let pids = self.supervisors();
        let before = cpu_ns(&pids)?;
        pause(time);
        Ok((cpu_ns(&pids)? - before) as f64 / 1e6)
    }

    /// Kills a child and returns the milliseconds until its successor has written down its number.
    pub(super) fn kill_and_wait(&self, number: usize) -> Result<f64, Failure> {
        let path = self.started.join(format!("s{number:03}"));
        let text = || fs::read_to_string(&path).unwrap_or_default();
        let before = text();
        let pid = before.lines().last().and_then(|line| Pid::from_raw(line.trim().parse().ok()?));
        let unexpected = || Failure::Unexpected {
            what: "a child writes down its number".to_owned(),
            found: before.clone(),
        };
        let pid = pid.ok_or_else(unexpected)?;
        let began = Instant::now();
        rustix::process::kill_process(pid, Signal::KILL).map_err(|_| unexpected())?;
        wait("a killed child is followed by another", || text().len() > before.len())?;
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    }

    /// Returns the supervisor with all its descendants.
    fn tree(&self) -> BTreeSet<Process> {
        processes::tree(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let tree = self.tree();
        signal("-TERM", &[self.child.id().to_string()]);
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            pause(LOOK);
        }
        // Some leave their children running; only those that are still the same processes are killed.
        let left = tree.into_iter().filter(Process::is_there);
        let left: Vec<String> = left.map(|process| process.pid.to_string()).collect();
        if !left.is_empty() {
            signal("-KILL", &left);
        }
        // It has ended or was killed: this only takes its status.
        self.child.wait().map(drop).unwrap_or_default();
    }
}

fn signal(signal: &str, pids: &[String]) {
    let mut kill = Command::new("kill");
    // Those that have ended meanwhile are none of our business.
    kill.arg(signal).args(pids).stderr(Stdio::null()).status().map(drop).unwrap_or_default();
}

fn wait(what: &str, is_so: impl Fn() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        if Instant::now() > deadline {
            return Err(Failure::Unexpected { what: what.to_owned(), found: "it takes too long".to_owned() });
        }
        std::thread::park_timeout(LOOK);
    }
    Ok(())
}

fn name(pid: i32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}

/// Returns the bytes in the files of a directory and below.
pub(super) fn size_of(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(facts) if facts.is_dir() => size_of(&entry.path()),
            Ok(facts) => facts.len(),
            // Rotated away in between.
            Err(_) => 0,
        })
        .sum()
}
