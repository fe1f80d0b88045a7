//! What servers that share a registry tell each other of an instance: taken as it was decided there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Entry, Evicted, Kept, Override, Registered, Registry, entry_of};
use crate::discovery::instance::{Action, Instance, Lease, Status};

impl Entry {
    /// Says whether an instance that is kept elsewhere has come here: two heartbeats in a row arrive, so that none went to
    /// another server. What another server passes on says nothing.
    pub(super) fn has_come(&self, is_replication: bool, now_ms: u64) -> bool {
        let pause_ms = self.instance.lease.renewal_interval_s.saturating_mul(1500);
        self.kept == Kept::Elsewhere
            && !is_replication
            && self.heard_ms > 0
            && now_ms.saturating_sub(self.heard_ms) <= pause_ms
    }

    /// Says whether it was heard of here within its lease.
    pub(crate) fn is_heard(&self, now_ms: u64) -> bool {
        let lease_ms = self.instance.lease.duration_s.saturating_mul(1000);
        self.heard_ms > 0 && self.heard_ms.saturating_add(lease_ms) >= now_ms
    }
}

impl Registry {
    /// Returns every entry, in order of services and ids.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.applications.values().flat_map(BTreeMap::values)
    }

    /// Takes an instance as another server has it, with what was decided about its status there; of one that the server itself
    /// keeps only what an operator made of it.
    ///
    /// [`Registered::Kept`] says that it was the same before.
    pub(crate) fn adopt(&mut self, mut instance: Instance, kept: Kept, now_ms: u64) -> Registered {
        let stored = self.get(&instance.app, &instance.id).cloned();
        if stored.as_ref().is_some_and(|stored| stored.kept == Kept::Own) {
            self.adopt_ruling(&instance, now_ms);
            return Registered::Own;
        }
        if let Some(limit) = self.limit_for(&instance) {
            return Registered::Full(limit);
        }
        self.set_ruling(&instance, now_ms);
        instance.is_coordinating = false;
        instance.lease.evicted_ms = 0;
        let (is_renewed, heard_ms) = stored.as_ref().map_or((false, 0), |one| (one.is_renewed, one.heard_ms));
        if let Some(stored) = &stored {
            let renewed_ms = stored.instance.lease.renewed_ms;
            instance.lease.renewed_ms = instance.lease.renewed_ms.max(renewed_ms);
            if is_same(&stored.instance, &instance) {
                if let Ok(entry) = entry_of(&mut self.applications, &instance.app, &instance.id) {
                    (entry.kept, entry.heard_ms) = (kept, heard_ms);
                }
                return Registered::Kept;
            }
            self.bytes -= stored.instance.weight();
        }
        instance.action = if stored.is_some() { Action::Modified } else { Action::Added };
        self.bytes += instance.weight();
        let instance = Arc::new(instance);
        self.changed(&instance, now_ms);
        let ids: &mut BTreeMap<_, _> = self.applications.entry(instance.app.clone()).or_default();
        ids.insert(instance.id.clone(), Entry { instance, is_renewed, kept, heard_ms });
        if stored.is_some() {
            return Registered::Replaced;
        }
        self.count += 1;
        Registered::New
    }

    /// Takes an instance away because another server says so, unless the server itself keeps it.
    pub(crate) fn lose(&mut self, app: &str, id: &str, now_ms: u64) -> Option<Arc<Instance>> {
        self.get(app, id).filter(|entry| entry.kept != Kept::Own)?;
        self.remove(app, id, now_ms)
    }

    /// Returns who is kept here, has been silent for two thirds of its lease, and is to be kept all the same, because many are
    /// silent at once ([`Policy::preserving_part`](super::Policy::preserving_part)); `preserved` says how many they are.
    pub(crate) fn preserved(&mut self, now_ms: u64) -> Evicted {
        let is_silent = |entry: &&Entry| {
            let lease = &entry.instance.lease;
            entry.kept == Kept::Here
                && lease.renewed_ms.saturating_add(lease.duration_s.saturating_mul(667)) < now_ms
        };
        let entries = self.applications.values().flat_map(BTreeMap::values);
        let silent: Vec<_> = entries.filter(is_silent).map(|entry| Arc::clone(&entry.instance)).collect();
        if silent.len() < self.policy.preserving_from || !self.is_preserving(now_ms) {
            return Evicted { instances: Vec::new(), preserved: 0 };
        }
        Evicted { preserved: silent.len(), instances: silent }
    }

    /// Takes over what an operator made of an instance at another server, where the server itself keeps the instance.
    fn adopt_ruling(&mut self, theirs: &Instance, now_ms: u64) {
        let (app, id) = (&theirs.app, &theirs.id);
        let ours = self.overrides.get(&(app.clone(), id.clone())).map(|one| one.status);
        let said = Some(theirs.overridden).filter(|status| *status != Status::Unknown);
        match (ours, said) {
            (ours, Some(status)) if ours != Some(status) => self.set_status(app, id, status, now_ms).ok(),
            (Some(_), None) => self.remove_status(app, id, Status::Up, now_ms).ok(),
            _ => None,
        };
    }

    fn set_ruling(&mut self, instance: &Instance, now_ms: u64) {
        let key = (instance.app.clone(), instance.id.clone());
        if instance.overridden == Status::Unknown {
            self.overrides.remove(&key);
        } else {
            self.overrides.insert(key, Override { status: instance.overridden, used_ms: now_ms });
        }
    }
}

/// Says whether two instances differ in nothing that readers see, but for the times of their leases.
fn is_same(ours: &Instance, theirs: &Instance) -> bool {
    let lease = Lease { renewed_ms: theirs.lease.renewed_ms, ..ours.lease };
    let (updated_ms, action) = (theirs.updated_ms, theirs.action);
    Instance { lease, updated_ms, action, ..ours.clone() } == *theirs
}
