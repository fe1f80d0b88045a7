//! Processes that an earlier supervisor left behind when it was killed: found, named and stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::journal::Record;
use super::{Containment, Engine};
use crate::messages::message;
use crate::process::proc::{self, Stat};
use crate::process::tree::{self, MARKER, Snapshot};

/// Grace time of a process whose component is not known any more.
const GRACE: Duration = Duration::from_secs(10);
/// How long killed ones may take to vanish.
const KILL_LIMIT: Duration = Duration::from_secs(10);

impl Engine {
    /// Stops what is left of an earlier supervisor, and waits for it: its ports and files are needed.
    pub(super) fn clear_orphans(&mut self) {
        let record = self.journal.read();
        if self.is_first && record.processes.is_empty() {
            return;
        }
        let snapshot = Snapshot::take();
        let orphans = self.orphans(&snapshot, &record);
        if orphans.is_empty() {
            return;
        }
        for (component, stats) in &orphans {
            let names: Vec<String> =
                stats.iter().map(|stat| format!("{} ({})", stat.pid, proc::name(stat.pid))).collect();
            let text = format!(
                "processes of an earlier launcher are stopped: component {component}: {}",
                names.join(", ")
            );
            self.tell(message("ZWEL0083W", text));
        }
        let grace = orphans.keys().map(|name| self.grace(name)).max().unwrap_or(GRACE);
        let all: Vec<Stat> = orphans.into_values().flatten().collect();
        if !stop(&all, Signal::TERM, grace) {
            // Whatever it has started meanwhile goes with it.
            let left = self.orphans(&Snapshot::take(), &record).into_values().flatten();
            let left: Vec<Stat> = left.chain(all).collect();
            if !stop(&left, Signal::KILL, KILL_LIMIT) {
                let text = "processes of an earlier launcher live on after a kill; the host needs a look";
                self.tell(message("ZWEL0082E", text));
            }
        }
    }

    fn grace(&self, component: &str) -> Duration {
        let unit = self.names.get(component).and_then(|id| self.units.get(id));
        unit.map_or(GRACE, |unit| Duration::from_millis(unit.component.stop.grace_ms))
    }

    /// Finds what belongs to this instance, by component.
    fn orphans(&self, snapshot: &Snapshot, record: &Record) -> BTreeMap<String, Vec<Stat>> {
        let mut roots: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        let mut add = |component: &str, pid: i32| {
            roots.entry(component.to_owned()).or_default().insert(pid);
        };
        if let Containment::Cgroups(group) = &self.containment {
            for component in group.components() {
                let name = component.name();
                let name = name.split_once('.').map_or(name.as_str(), |(_, name)| name);
                component.members().into_iter().for_each(|pid| add(name, pid));
            }
        }
        for known in &record.processes {
            let now = snapshot.get(known.pid);
            if now.is_some_and(|now| now.start_ticks == known.start_ticks) {
                add(&known.component, known.pid);
            }
            // Its leader is gone, its session is not: the same program, and not older than the leader was.
            if snapshot.get(known.session).is_none() {
                let is_ours = |stat: &&Stat| {
                    stat.start_ticks >= known.start_ticks
                        && known.program.is_some()
                        && proc::program(stat.pid) == known.program
                };
                snapshot
                    .session(known.session)
                    .filter(is_ours)
                    .for_each(|stat| add(&known.component, stat.pid));
            }
        }
        for stat in snapshot.all() {
            let marker = proc::variable(stat.pid, MARKER);
            let name = marker
                .as_deref()
                .and_then(|marker| marker.strip_prefix(self.uuid.as_str())?.strip_prefix('/'));
            if let Some(name) = name {
                add(name.trim_end_matches("#helper"), stat.pid);
            }
        }
        let own = ancestors(snapshot);
        let trees = roots.into_iter().map(|(component, roots)| {
            let tree = snapshot.tree(None, roots.difference(&own).copied());
            (component, tree.into_iter().filter(|stat| !own.contains(&stat.pid)).collect::<Vec<_>>())
        });
        trees.filter(|(_, tree)| !tree.is_empty()).collect()
    }
}

/// Returns this process and those above it: a component may itself have started the launcher anew.
fn ancestors(snapshot: &Snapshot) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    let mut pid = rustix::process::getpid().as_raw_nonzero().get();
    while found.insert(pid) {
        match snapshot.get(pid) {
            Some(stat) => pid = stat.parent,
            None => break,
        }
    }
    found
}

/// Sends a signal to processes and waits until they have ended; returns whether they have.
fn stop(stats: &[Stat], signal: Signal, limit: Duration) -> bool {
    let mut open: Vec<OwnedFd> = Vec::new();
    for stat in stats {
        let pidfd = Pid::from_raw(stat.pid)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok())
            .filter(|_| Stat::of(stat.pid).is_some_and(|now| now.start_ticks == stat.start_ticks));
        tree::send(stat, signal);
        tree::send(stat, Signal::CONT);
        open.extend(pidfd);
    }
    let deadline = Instant::now() + limit;
    while !open.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 60, tv_nsec: 0 });
        let mut fds: Vec<PollFd<'_>> = open.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        if rustix::event::poll(&mut fds, Some(&timeout)).is_err() {
            continue;
        }
        let has_ended: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut ended = has_ended.into_iter();
        open.retain(|_| !ended.next().unwrap_or(false));
    }
    true
}
