//! Which processes belong to a component when no cgroup says so.
//!
//! A component's first process leads a session of its own, and the supervisor is the sub-reaper of everything below
//! it. So the tree of a component is: that session, all descendants of its members, and those children of the
//! supervisor that nobody else accounts for and that carry the component's marker. A process that escapes by forking
//! twice and taking a session of its own becomes a child of the supervisor at that moment, with the marker still in
//! its environment.

use std::collections::{BTreeSet, HashMap};

use rustix::process::{Pid, PidfdFlags, Signal};

use super::proc::{self, Stat};

/// The variable that marks every process of a component: `<uuid of the instance>/<component>`.
pub(crate) const MARKER: &str = "TENDER_COMPONENT";

/// All processes at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    processes: HashMap<i32, Stat>,
    children: HashMap<i32, Vec<i32>>,
    sessions: HashMap<i32, Vec<i32>>,
}

impl Snapshot {
    /// Looks at every process.
    pub(crate) fn take() -> Self {
        Self::of(proc::pids().into_iter().filter_map(Stat::of))
    }

    fn of(stats: impl IntoIterator<Item = Stat>) -> Self {
        let mut snapshot =
            Self { processes: HashMap::new(), children: HashMap::new(), sessions: HashMap::new() };
        for stat in stats {
            snapshot.children.entry(stat.parent).or_default().push(stat.pid);
            snapshot.sessions.entry(stat.session).or_default().push(stat.pid);
            snapshot.processes.insert(stat.pid, stat);
        }
        snapshot
    }

    /// Returns the living processes of a session and of some others, with all their descendants.
    pub(crate) fn tree(&self, session: Option<i32>, others: impl IntoIterator<Item = i32>) -> Vec<Stat> {
        let mut found = BTreeSet::new();
        let in_session = session.and_then(|session| self.sessions.get(&session));
        let mut open: Vec<i32> = others.into_iter().chain(session).collect();
        open.extend(in_session.into_iter().flatten());
        while let Some(pid) = open.pop() {
            if found.insert(pid) {
                open.extend(self.children.get(&pid).into_iter().flatten());
            }
        }
        let living = found.into_iter().filter_map(|pid| self.processes.get(&pid).copied());
        living.filter(|stat| !stat.is_zombie).collect()
    }

    /// Returns the processes of a session, zombies included.
    pub(crate) fn session(&self, session: i32) -> impl Iterator<Item = &Stat> {
        let members = self.sessions.get(&session).into_iter().flatten();
        members.filter_map(|pid| self.processes.get(pid))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Stat> {
        self.processes.values()
    }

    pub(crate) fn get(&self, pid: i32) -> Option<&Stat> {
        self.processes.get(&pid)
    }
}

/// Sends a signal to a process, unless the number means another one by now.
pub(crate) fn send(stat: &Stat, signal: Signal) {
    let Some(pid) = Pid::from_raw(stat.pid) else { return };
    let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
    // Opened first, compared afterwards: from here on the descriptor means what was compared.
    if Stat::of(stat.pid).is_some_and(|now| now.start_ticks == stat.start_ticks) {
        // A process that ended meanwhile needs no signal.
        rustix::process::pidfd_send_signal(&pidfd, signal).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: i32, parent: i32, session: i32) -> Stat {
        Stat { pid, parent, session, is_zombie: false, start_ticks: 1, cpu_ticks: 0, resident_pages: 0 }
    }

    #[test]
    fn tree_is_the_session_the_descendants_and_what_escaped_into_a_session_of_its_own() {
        let snapshot = Snapshot::of([
            stat(1, 0, 1),
            stat(10, 1, 10),
            stat(11, 10, 10),
            stat(12, 11, 12),
            stat(13, 1, 10),
            stat(20, 1, 20),
            stat(21, 20, 21),
            Stat { is_zombie: true, ..stat(14, 10, 10) },
            stat(30, 1, 30),
        ]);
        let pids = |stats: Vec<Stat>| stats.iter().map(|stat| stat.pid).collect::<Vec<_>>();
        assert_eq!(pids(snapshot.tree(Some(10), [20])), [10, 11, 12, 13, 20, 21]);
        assert_eq!(pids(snapshot.tree(None, [30])), [30]);
        assert_eq!(pids(snapshot.tree(Some(99), [])), [0; 0]);
    }

    #[test]
    fn send_to_a_number_that_means_another_process_by_now_does_nothing() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let now = Stat::of(i32::try_from(child.id()).unwrap()).unwrap();
        send(&Stat { start_ticks: now.start_ticks + 1, ..now }, Signal::KILL);
        assert!(child.try_wait().unwrap().is_none());
        send(&now, Signal::KILL);
        assert!(!child.wait().unwrap().success());
    }
}
