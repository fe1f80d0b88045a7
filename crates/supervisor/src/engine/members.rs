//! Which processes belong to which component.

use std::collections::BTreeSet;

use super::unit::Owner;
use super::{Containment, Engine};
use crate::process::proc::{self, Stat};
use crate::process::tree::{MARKER, Snapshot};

impl Engine {
    /// Returns the living processes of a component's tree.
    pub(super) fn tree(&self, id: u32) -> Vec<Stat> {
        let Some(unit) = self.units.get(&id) else { return Vec::new() };
        if let Some(group) = &unit.group {
            let stats = group.members().into_iter().filter_map(Stat::of);
            return stats.filter(|stat| !stat.is_zombie).collect();
        }
        self.tree_in(&Snapshot::take(), id)
    }

    /// Returns the living processes of a component's tree in a snapshot.
    pub(super) fn tree_in(&self, snapshot: &Snapshot, id: u32) -> Vec<Stat> {
        let Some(unit) = self.units.get(&id) else { return Vec::new() };
        let Some(run) = &unit.run else { return Vec::new() };
        let members =
            self.owners.iter().filter(|(_, owner)| **owner == Owner::Member(id)).map(|(pid, _)| *pid);
        // Once the leader was waited for, its number may be that of another component's leader.
        let is_ours = |stat: &&Stat| {
            !run.has_leader_ended
                || (self.owners.get(&stat.session).is_none_or(|owner| *owner == Owner::Leader(id))
                    && is_below(snapshot, stat.pid))
        };
        let session: Vec<i32> = snapshot.session(run.pid).filter(is_ours).map(|stat| stat.pid).collect();
        let leader = (!run.has_leader_ended).then_some(run.pid);
        snapshot.tree(None, members.chain(session).chain(leader))
    }

    /// Says whether a component has living processes besides those already waited for.
    pub(super) fn survivors(&mut self, id: u32) -> Vec<Stat> {
        if self.units.get(&id).is_some_and(|unit| unit.group.is_some()) {
            return self.tree(id);
        }
        self.adopt(Some(id));
        // Whatever survives its parents is a child of this process, with all below it.
        let members: Vec<i32> = self
            .owners
            .iter()
            .filter(|(_, owner)| **owner == Owner::Member(id))
            .map(|(pid, _)| *pid)
            .collect();
        members.into_iter().filter_map(Stat::of).filter(|stat| !stat.is_zombie).collect()
    }

    /// Finds the owners of children that came from below; `ended` is the component whose process just ended.
    fn adopt(&mut self, ended: Option<u32>) {
        for pid in children() {
            if self.owners.contains_key(&pid) {
                continue;
            }
            let Some(stat) = Stat::of(pid) else { continue };
            let owner = self.owner_of(&stat, ended);
            self.owners.insert(pid, owner);
        }
    }

    fn owner_of(&self, stat: &Stat, ended: Option<u32>) -> Owner {
        if let Some(marker) = proc::variable(stat.pid, MARKER) {
            return match marker.strip_prefix(self.uuid.as_str()).and_then(|rest| rest.strip_prefix('/')) {
                Some(name) => self.names.get(name).map_or(Owner::Stray, |id| Owner::Member(*id)),
                None => Owner::Stray,
            };
        }
        let by_session =
            self.units.iter().find(|(_, unit)| unit.run.as_ref().is_some_and(|run| run.pid == stat.session));
        if let Some((id, _)) = by_session {
            return Owner::Member(*id);
        }
        // It wrote over its environment and left its session: it came to us because its parent ended just now.
        ended.map_or(Owner::Stray, Owner::Member)
    }

    /// Kills what is left below this process when every component is at rest.
    pub(super) fn kill_strays(&mut self) {
        if matches!(self.containment, Containment::Cgroups(_)) {
            for unit in self.units.values() {
                if let Some(group) = &unit.group {
                    group.remove();
                }
            }
        }
        let strays: BTreeSet<i32> = children().into_iter().collect();
        let snapshot = Snapshot::take();
        for stat in snapshot.tree(None, strays) {
            crate::process::tree::send(&stat, rustix::process::Signal::KILL);
        }
    }
}

fn children() -> Vec<i32> {
    proc::own_children().unwrap_or_else(|| {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        Snapshot::take().all().filter(|stat| stat.parent == own).map(|stat| stat.pid).collect()
    })
}

/// Says whether a process is a descendant of this one.
fn is_below(snapshot: &Snapshot, mut pid: i32) -> bool {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    // A chain of parents is never longer than there are processes; a snapshot may have a loop by chance.
    for _ in 0..snapshot.all().count() {
        match snapshot.get(pid) {
            Some(stat) if stat.parent == own => return true,
            Some(stat) => pid = stat.parent,
            None => return false,
        }
    }
    false
}
