//! The state of everything, looked up when somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::kept;
use super::pump::lost;
use super::unit::Unit;
use super::{Containment, Engine};
use crate::clock;
use crate::console::{ComponentStatus, ConsoleMessage, InstanceStatus, State};
use crate::messages::message;
use crate::process::proc::Stat;
use crate::process::tree::Snapshot;

impl Engine {
    pub(super) fn status(&self) -> InstanceStatus {
        // One look at all processes serves every component that has no cgroup.
        let needs_snapshot = self.units.values().any(|unit| unit.group.is_none() && unit.run.is_some());
        let snapshot = needs_snapshot.then(Snapshot::take);
        let listening = Listening::now();
        let components = self
            .order
            .iter()
            .filter_map(|id| Some((*id, self.units.get(id)?)))
            .map(|(id, unit)| self.component_status(id, unit, snapshot.as_ref(), &listening))
            .collect();
        InstanceStatus {
            id: self.instance.id.clone(),
            job_name: self.instance.job_name.clone(),
            version: self.instance.version.clone(),
            pid: std::process::id(),
            uptime_ms: clock::monotonic_ms().saturating_sub(self.began_ms),
            is_ready: self.is_ready(),
            containment: match &self.containment {
                Containment::Cgroups(_) => "cgroup2".to_owned(),
                Containment::SubReaper(why) => format!("sub-reaper: {why}"),
            },
            components,
            left_out: self.left_out.clone(),
            conditions: self.journal.failure().into_iter().collect(),
        }
    }

    fn component_status(
        &self,
        id: u32,
        unit: &Unit,
        snapshot: Option<&Snapshot>,
        listening: &Listening,
    ) -> ComponentStatus {
        let now_ms = clock::monotonic_ms();
        let tree = match snapshot {
            Some(snapshot) if unit.group.is_none() => self.tree_in(snapshot, id),
            _ => self.tree(id),
        };
        let has_process = !tree.is_empty();
        let group = unit.group.as_ref().filter(|_| has_process);
        let wants_output =
            matches!(unit.life.state, State::Failed | State::Backoff | State::Starting | State::Degraded);
        let conditions = conditions(unit);
        let condition = || conditions.first().map(|condition| condition.text.clone());
        let reason = unit.life.reason.clone().or_else(condition).or_else(|| unit.status.clone());
        let since_ms = |at_ms: u64| now_ms.saturating_sub(at_ms);
        ComponentStatus {
            name: unit.name().to_owned(),
            job_name: unit.component.job_name.clone(),
            state: unit.life.state,
            pid: unit.pid().and_then(|pid| u32::try_from(pid).ok()),
            uptime_ms: unit.life.started_ms.map(since_ms),
            restarts: unit.life.runs.saturating_sub(1),
            failures: unit.life.failures,
            next_start_ms: unit.life.next_start_ms.map(|at_ms| at_ms.saturating_sub(now_ms)),
            cpu_ms: has_process
                .then(|| group.and_then(|group| group.cpu_ms()).unwrap_or_else(|| cpu_ms(&tree))),
            memory_bytes: has_process
                .then(|| group.and_then(|group| group.memory_bytes()).unwrap_or_else(|| memory_bytes(&tree))),
            ports: ports(listening.ports(&tree), unit),
            last_exit: unit.last_exit.clone(),
            reason,
            conditions,
            last_output: if wants_output { unit.output.last_lines() } else { Vec::new() },
        }
    }
}

/// Says what is not as it should be with a component, whatever its state.
fn conditions(unit: &Unit) -> Vec<ConsoleMessage> {
    let log = unit.output.file();
    let not_written = log.trouble().map(|trouble| {
        let since = clock::stamp(trouble.since_ms);
        let text =
            format!("its log is not written since {since} UTC: {}; {} lost", trouble.why, lost(trouble));
        message("ZWEL0085W", text)
    });
    let held =
        unit.group_trouble.as_ref().map(|why| message("ZWEL0094W", format!("no cgroup holds it: {why}")));
    let limits = unit.limits_note.as_ref().map(|note| message("ZWEL0084W", note.clone()));
    not_written.into_iter().chain(held).chain(limits).collect()
}

/// Adds up processor time; that of processes which ended and were not waited for in the tree is not in it.
fn cpu_ms(tree: &[Stat]) -> u64 {
    tree.iter().map(|stat| stat.cpu_ticks).sum::<u64>() * 1000 / rustix::param::clock_ticks_per_second()
}

/// Adds up resident memory; what processes share is in it as often as it is shared.
fn memory_bytes(tree: &[Stat]) -> u64 {
    tree.iter().map(|stat| stat.resident_pages).sum::<u64>() * rustix::param::page_size() as u64
}

/// TCP sockets that listen on this machine, as far as this network namespace goes.
struct Listening {
    by_inode: BTreeMap<u64, u16>,
}

impl Listening {
    fn now() -> Self {
        let mut by_inode = BTreeMap::new();
        for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
            // A kernel without IPv6 has no such file.
            let text = fs::read_to_string(path).unwrap_or_default();
            by_inode.extend(text.lines().skip(1).filter_map(parse_line));
        }
        Self { by_inode }
    }

    fn ports(&self, tree: &[Stat]) -> Vec<u16> {
        let mut ports = BTreeSet::new();
        if self.by_inode.is_empty() {
            return Vec::new();
        }
        for stat in tree {
            let entries = fs::read_dir(format!("/proc/{}/fd", stat.pid)).into_iter().flatten().flatten();
            for link in entries.filter_map(|entry| fs::read_link(entry.path()).ok()) {
                let inode = link
                    .to_str()
                    .and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
                ports.extend(inode.and_then(|inode: u64| self.by_inode.get(&inode)));
            }
        }
        ports.into_iter().collect()
    }
}

/// Adds what is kept for the next run: it is the component's own, too.
fn ports(of_tree: Vec<u16>, unit: &Unit) -> Vec<u16> {
    let all: BTreeSet<u16> = of_tree.into_iter().chain(kept::ports(&unit.kept)).collect();
    all.into_iter().collect()
}

/// Reads a line of `/proc/net/tcp`: inode and port of a socket that listens.
fn parse_line(line: &str) -> Option<(u64, u16)> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let port = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
    Some((fields.get(9)?.parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_socket_is_read_and_others_are_not() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 x";
        assert_eq!(parse_line(line), Some((4711, 8080)));
        assert_eq!(parse_line(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(parse_line(""), None);
    }

    #[test]
    fn port_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let own = Stat::of(rustix::process::getpid().as_raw_nonzero().get()).unwrap();
        assert!(Listening::now().ports(&[own]).contains(&listener.local_addr().unwrap().port()));
    }
}
