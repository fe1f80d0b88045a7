//! Who is registered: a value that changes by what happens to it, at the times it is told.
//!
//! ```text
//!              register                    no heartbeat for the lease, or cancel
//! (not there) ──────────► registered ─────────────────────────────────────────► (not there, DELETED in the changes)
//!                          │      ▲
//!                 override │      │ override removed, or registered anew
//!                          ▼      │
//!                        status of an operator
//! ```
//!
//! Source: the registry of the Eureka protocol; where it is more exact than the Java server (the length of a lease, who
//! is taken away), [`Policy`] can make it the same.

mod adopt;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::instance::{Action, Instance, Status, app_key};

/// How the registry decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// A lease that was renewed once ends after twice its duration, as the Java server counts.
    pub is_double_lease: bool,
    /// Nobody is taken away while fewer heartbeats than this part of those expected arrive; 0 switches that off.
    pub preserving_part: f64,
    /// So many silent instances are not taken away then; fewer are, whatever arrives: one that fails alone has failed.
    pub preserving_from: usize,
    /// For how long a change is told, in milliseconds.
    pub delta_ms: u64,
    /// For how long an override is kept that nobody asks for, in milliseconds.
    pub override_ms: u64,
    /// Instances that there may be.
    pub instances_max: usize,
    /// Bytes that all instances together may say of themselves, with those that are gone and still told of.
    pub bytes_max: usize,
    /// Bytes that one instance may say of itself, with what is added to it.
    pub instance_bytes_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            is_double_lease: false,
            preserving_part: 0.85,
            preserving_from: 3,
            delta_ms: 180_000,
            override_ms: 3_600_000,
            instances_max: 50_000,
            bytes_max: 512 << 20,
            instance_bytes_max: 4 << 20,
        }
    }
}

/// By what it is known that an instance is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// By its heartbeats, which arrive here.
    Here,
    /// By heartbeats that arrive at another server, which says when it is gone.
    Elsewhere,
    /// By the server itself, which keeps it: it says nothing about the network.
    Own,
}

/// An instance that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it said, with the times of its lease; shared with documents that are being written.
    pub instance: Arc<Instance>,
    /// It has sent a heartbeat since it was registered.
    is_renewed: bool,
    kept: Kept,
    /// When it was heard of here last; 0 for never.
    heard_ms: u64,
}

impl Entry {
    /// Returns by what it is known that it is there.
    pub(crate) fn kept(&self) -> Kept {
        self.kept
    }
}

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// It was not there before.
    New,
    /// It takes the place of what was there.
    Replaced,
    /// What was there is newer by the client's own time and stays; its lease is renewed.
    Kept,
    /// The server itself keeps the instance of this name: what others say of it is not taken.
    Own,
    /// A limit is reached: it is not taken.
    Full(Limit),
}

/// What there may be no more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Instances ([`Policy::instances_max`]).
    #[error("there are {max} instances, the most there may be")]
    Instances {
        /// The limit.
        max: usize,
    },
    /// Bytes of all instances ([`Policy::bytes_max`]).
    #[error("all instances together would say more than {max} bytes of themselves, the most they may")]
    Bytes {
        /// The limit.
        max: usize,
    },
    /// Bytes of one instance ([`Policy::instance_bytes_max`]).
    #[error("the instance would say more than {max} bytes of itself, the most it may")]
    InstanceBytes {
        /// The limit.
        max: usize,
    },
}

/// What became of a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heartbeat {
    /// The lease is renewed.
    Renewed,
    /// Another server has an older state of the instance than ours, which is this.
    Older(Arc<Instance>),
}

/// Says why a call about an instance changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not registered.
    #[error("instance `{id}` of `{app}` is not registered")]
    Unknown {
        /// The service.
        app: String,
        /// The instance.
        id: String,
    },
    /// The client has changed since: it must register again.
    #[error("instance `{id}` of `{app}` is registered with an older state than its own")]
    Newer {
        /// The service.
        app: String,
        /// The instance.
        id: String,
    },
    /// What it would add is more than there may be.
    #[error(transparent)]
    Full(#[from] Limit),
}

/// What is to be written of a registry: frozen, so that it can be written while the registry goes on.
#[derive(Debug)]
pub struct View {
    /// Which state it is of.
    pub version: u64,
    /// Counts of all that is registered, by status.
    pub hash: String,
    /// Services in order of their names, each with its instances.
    pub applications: Vec<(String, Vec<Arc<Instance>>)>,
}

impl View {
    /// Makes a view of some instances, with the hash of these.
    #[must_use]
    pub fn of(version: u64, applications: BTreeMap<String, Vec<Arc<Instance>>>) -> Self {
        let applications: Vec<_> = applications.into_iter().collect();
        let instances = applications.iter().flat_map(|(_, instances)| instances);
        let hash = hash(instances.map(|instance| instance.status));
        Self { version, hash, applications }
    }

    /// Returns how many instances it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.applications.iter().map(|(_, instances)| instances.len()).sum()
    }
}

/// What became of silent instances.
#[derive(Debug, PartialEq, Eq)]
pub struct Evicted {
    /// Those that were taken away.
    pub instances: Vec<Arc<Instance>>,
    /// How many were not, because many are silent at once.
    pub preserved: usize,
}

#[derive(Debug, Clone, Copy)]
struct Override {
    status: Status,
    used_ms: u64,
}

#[derive(Debug)]
struct Changed {
    at_ms: u64,
    instance: Arc<Instance>,
}

impl Changed {
    /// Returns the bytes that are kept only to tell of it.
    fn gone_bytes(&self) -> usize {
        if self.instance.action == Action::Deleted { self.instance.weight() } else { 0 }
    }
}

/// Heartbeats of this minute and of the one before.
#[derive(Debug, Default)]
struct Renewals {
    minute: u64,
    now: u64,
    before: u64,
}

impl Renewals {
    fn turn(&mut self, now_ms: u64) {
        let minute = now_ms / 60_000;
        if minute != self.minute {
            self.before = if minute == self.minute + 1 { self.now } else { 0 };
            (self.minute, self.now) = (minute, 0);
        }
    }
}

/// Who is registered.
#[derive(Debug, Default)]
pub struct Registry {
    policy: Policy,
    applications: BTreeMap<String, BTreeMap<String, Entry>>,
    /// By service and instance: two services may have instances of one name.
    overrides: BTreeMap<(String, String), Override>,
    changes: BTreeMap<(String, String), Changed>,
    renewals: Renewals,
    version: u64,
    count: usize,
    bytes: usize,
    /// Bytes of instances that are gone and still among the changes.
    gone_bytes: usize,
}

impl Registry {
    /// Makes an empty registry.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Returns which state it is in: greater after every change that readers can see.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns an instance; `app` may be in any case.
    #[must_use]
    pub fn get(&self, app: &str, id: &str) -> Option<&Entry> {
        self.applications.get(&app_key(app))?.get(id)
    }

    /// Returns the instances of a service; `app` may be in any case.
    pub fn of(&self, app: &str) -> impl Iterator<Item = &Arc<Instance>> {
        let entries = self.applications.get(&app_key(app)).into_iter().flat_map(BTreeMap::values);
        entries.map(|entry| &entry.instance)
    }

    /// Returns every instance, in order of services and ids.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.applications.values().flat_map(BTreeMap::values).map(|entry| &entry.instance)
    }

    /// Returns how many instances there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns what operators made of instances: service, instance, status.
    pub fn overrides(&self) -> impl Iterator<Item = (&str, &str, Status)> {
        self.overrides.iter().map(|((app, id), one)| (app.as_str(), id.as_str(), one.status))
    }

    /// Takes an announcement.
    pub fn register(&mut self, instance: Instance, now_ms: u64) -> Registered {
        if let Some(entry) =
            self.applications.get_mut(&instance.app).and_then(|ids| ids.get_mut(&instance.id))
        {
            if entry.kept == Kept::Own {
                return Registered::Own;
            }
            if entry.instance.dirty_ms > instance.dirty_ms {
                entry.heard_ms = now_ms;
                Arc::make_mut(&mut entry.instance).lease.renewed_ms = now_ms;
                return Registered::Kept;
            }
        }
        if let Some(limit) = self.limit_for(&instance) {
            return Registered::Full(limit);
        }
        self.put(instance, Kept::Here, now_ms)
    }

    /// Says which limit an announcement would go over; makes room by forgetting what is gone.
    fn limit_for(&mut self, instance: &Instance) -> Option<Limit> {
        let Policy { instances_max, bytes_max, instance_bytes_max, .. } = self.policy;
        let stored = self.get(&instance.app, &instance.id).map(|entry| entry.instance.weight());
        if stored.is_none() && self.count >= instances_max {
            return Some(Limit::Instances { max: instances_max });
        }
        if instance.weight() > instance_bytes_max {
            return Some(Limit::InstanceBytes { max: instance_bytes_max });
        }
        let bytes = self.bytes - stored.unwrap_or(0) + instance.weight();
        if bytes > bytes_max {
            return Some(Limit::Bytes { max: bytes_max });
        }
        if bytes + self.gone_bytes > bytes_max {
            self.forget_gone();
        }
        None
    }

    /// Puts an instance in the place of what is there.
    fn put(&mut self, mut instance: Instance, kept: Kept, now_ms: u64) -> Registered {
        let stored = self.get(&instance.app, &instance.id).map(|entry| &entry.instance);
        let known = stored.map(|stored| (stored.status, stored.lease.up_ms, stored.weight()));
        if instance.overridden != Status::Unknown {
            let said = Override { status: instance.overridden, used_ms: now_ms };
            let key = (instance.app.clone(), instance.id.clone());
            self.overrides.entry(key).or_insert(said);
        }
        let ruled = self.ruling(&instance.app, &instance.id, now_ms);
        instance.overridden = ruled.unwrap_or(Status::Unknown);
        instance.status = resolved(instance.status, ruled, known.map(|(status, ..)| status));
        let lease = &mut instance.lease;
        (lease.registered_ms, lease.renewed_ms, lease.evicted_ms) = (now_ms, now_ms, 0);
        lease.up_ms = known.map_or(0, |(_, up_ms, _)| up_ms);
        if instance.status == Status::Up && lease.up_ms == 0 {
            lease.up_ms = now_ms;
        }
        (instance.action, instance.updated_ms) = (Action::Added, now_ms);
        let instance = Arc::new(instance);
        self.bytes = self.bytes - known.map_or(0, |(.., weight)| weight) + instance.weight();
        self.changed(&instance, now_ms);
        let ids = self.applications.entry(instance.app.clone()).or_default();
        let heard_ms = if kept == Kept::Here { now_ms } else { 0 };
        ids.insert(instance.id.clone(), Entry { instance, is_renewed: false, kept, heard_ms });
        if known.is_some() {
            return Registered::Replaced;
        }
        self.count += 1;
        Registered::New
    }

    /// Takes a heartbeat; `dirty_ms` is the client's own last change, as far as it says it.
    ///
    /// Errors: [`Refused`], after which a client registers again.
    pub fn heartbeat(
        &mut self,
        app: &str,
        id: &str,
        dirty_ms: Option<u64>,
        is_replication: bool,
        now_ms: u64,
    ) -> Result<Heartbeat, Refused> {
        let ruled = self.ruling(app, id, now_ms);
        let entry = entry_of(&mut self.applications, app, id)?;
        if entry.instance.status == Status::Unknown && ruled.is_none() {
            return Err(unknown(app, id));
        }
        let stored_ms = entry.instance.dirty_ms;
        if dirty_ms.is_some_and(|dirty_ms| dirty_ms > stored_ms) {
            return Err(Refused::Newer { app: app_key(app), id: id.to_owned() });
        }
        Arc::make_mut(&mut entry.instance).lease.renewed_ms = now_ms;
        entry.is_renewed = true;
        if entry.has_come(is_replication, now_ms) {
            entry.kept = Kept::Here;
        }
        entry.heard_ms = now_ms;
        let is_expected = entry.kept == Kept::Here;
        let older = is_replication && dirty_ms.is_some_and(|dirty_ms| dirty_ms < stored_ms);
        let answer = if older { Heartbeat::Older(Arc::clone(&entry.instance)) } else { Heartbeat::Renewed };
        self.renewals.turn(now_ms);
        self.renewals.now += u64::from(is_expected);
        Ok(answer)
    }

    /// Renews an instance that the server itself keeps, or takes it: such heartbeats say nothing about the network and
    /// are not counted.
    ///
    /// A status that an operator gave it holds until it is removed; then it has its own again, because nobody else would
    /// say it anew.
    pub fn keep(&mut self, instance: Instance, now_ms: u64) {
        let is_ruled = self.ruling(&instance.app, &instance.id, now_ms).is_some();
        if let Ok(entry) = entry_of(&mut self.applications, &instance.app, &instance.id)
            && entry.kept == Kept::Own
            && (is_ruled || entry.instance.status == instance.status)
        {
            Arc::make_mut(&mut entry.instance).lease.renewed_ms = now_ms;
            return;
        }
        self.take_own(instance, now_ms);
    }

    /// Takes an instance that the server itself keeps, in the place of what is there, whatever that says and however much
    /// there is.
    pub fn take_own(&mut self, instance: Instance, now_ms: u64) {
        if let Ok(entry) = entry_of(&mut self.applications, &instance.app, &instance.id) {
            // It is another that takes the place, or the same anew: what the former was does not bind it.
            Arc::make_mut(&mut entry.instance).status = instance.status;
        }
        self.put(instance, Kept::Own, now_ms);
    }

    /// Takes an instance away that the server itself kept; one that others announced under its name stays.
    pub fn release(&mut self, app: &str, id: &str, now_ms: u64) {
        if self.get(app, id).is_some_and(|entry| entry.kept == Kept::Own) {
            self.remove(&app_key(app), id, now_ms);
        }
    }

    /// Takes an instance away because it says so.
    pub fn cancel(&mut self, app: &str, id: &str, now_ms: u64) -> Result<(), Refused> {
        self.remove(&app_key(app), id, now_ms).map(drop).ok_or_else(|| unknown(app, id))
    }

    /// Overrides the status of an instance.
    pub fn set_status(&mut self, app: &str, id: &str, status: Status, now_ms: u64) -> Result<(), Refused> {
        self.modify(app, id, now_ms, |instance| (instance.overridden, instance.status) = (status, status))?;
        self.overrides.insert((app_key(app), id.to_owned()), Override { status, used_ms: now_ms });
        Ok(())
    }

    /// Removes the override of an instance, which then has the status `then` until it says another.
    pub fn remove_status(&mut self, app: &str, id: &str, then: Status, now_ms: u64) -> Result<(), Refused> {
        self.modify(app, id, now_ms, |instance| {
            (instance.overridden, instance.status) = (Status::Unknown, then);
        })?;
        self.overrides.remove(&(app_key(app), id.to_owned()));
        Ok(())
    }

    /// Merges metadata into that of an instance.
    ///
    /// Errors: [`Refused`], also when the instance or all together would say more than they may; then nothing is merged.
    pub fn add_metadata(
        &mut self,
        app: &str,
        id: &str,
        more: BTreeMap<String, String>,
        now_ms: u64,
    ) -> Result<(), Refused> {
        let entry = self.get(app, id).ok_or_else(|| unknown(app, id))?;
        let Policy { bytes_max, instance_bytes_max, .. } = self.policy;
        let (before, after) = (entry.instance.weight(), entry.instance.weight_with(&more));
        if after > before && after > instance_bytes_max {
            return Err(Limit::InstanceBytes { max: instance_bytes_max }.into());
        }
        let bytes = self.bytes - before + after;
        if after > before && bytes > bytes_max {
            return Err(Limit::Bytes { max: bytes_max }.into());
        }
        if bytes + self.gone_bytes > bytes_max {
            self.forget_gone();
        }
        self.modify(app, id, now_ms, |instance| {
            instance.metadata.extend(more.into_iter().filter(|(key, _)| !key.is_empty()));
        })
    }

    /// Takes away what has not been heard of for longer than its lease; returns what that was.
    ///
    /// While heartbeats fail to arrive from many at once it is more likely the network that is broken: then nothing is
    /// taken away ([`Policy::preserving_part`], [`Policy::preserving_from`]).
    pub fn evict(&mut self, now_ms: u64) -> Evicted {
        let is_double = self.policy.is_double_lease;
        let is_over = |entry: &&Entry| {
            let lease = &entry.instance.lease;
            let times = if is_double && entry.is_renewed { 2 } else { 1 };
            lease.renewed_ms.saturating_add(lease.duration_s.saturating_mul(1000 * times)) < now_ms
        };
        let entries = self.applications.values().flat_map(BTreeMap::values);
        let over: Vec<(String, String)> = entries
            .filter(|entry| entry.kept != Kept::Elsewhere)
            .filter(is_over)
            .map(|entry| (entry.instance.app.clone(), entry.instance.id.clone()))
            .collect();
        if over.len() >= self.policy.preserving_from && self.is_preserving(now_ms) {
            return Evicted { instances: Vec::new(), preserved: over.len() };
        }
        let instances = over.into_iter().filter_map(|(app, id)| self.remove(&app, &id, now_ms)).collect();
        Evicted { instances, preserved: 0 }
    }

    /// Says whether so few heartbeats arrive that it is more likely the network that is broken.
    pub fn is_preserving(&mut self, now_ms: u64) -> bool {
        self.renewals.turn(now_ms);
        let entries = self.applications.values().flat_map(BTreeMap::values);
        let entries = entries.filter(|entry| entry.kept == Kept::Here);
        let expected: f64 =
            entries.map(|entry| 60.0 / entry.instance.lease.renewal_interval_s.max(1) as f64).sum();
        let arrived = self.renewals.before.max(self.renewals.now) as f64;
        self.policy.preserving_part > 0.0 && arrived < expected * self.policy.preserving_part
    }

    /// Returns the whole.
    #[must_use]
    pub fn view(&self) -> View {
        let listed = self.applications.iter().map(|(name, ids)| {
            (name.clone(), ids.values().map(|entry| Arc::clone(&entry.instance)).collect())
        });
        View { version: self.version, hash: self.hash(), applications: listed.collect() }
    }

    /// Returns what has changed of late, with the hash of the whole.
    #[must_use]
    pub fn delta(&self, now_ms: u64) -> View {
        let mut applications: BTreeMap<&str, Vec<Arc<Instance>>> = BTreeMap::new();
        let since_ms = now_ms.saturating_sub(self.policy.delta_ms);
        for change in self.changes.values().filter(|change| change.at_ms >= since_ms) {
            applications.entry(&change.instance.app).or_default().push(Arc::clone(&change.instance));
        }
        let applications = applications.into_iter().map(|(name, instances)| (name.to_owned(), instances));
        View { version: self.version, hash: self.hash(), applications: applications.collect() }
    }

    /// Forgets changes and overrides that are too old to be told; says whether there were such changes.
    pub fn forget(&mut self, now_ms: u64) -> bool {
        let Policy { delta_ms, override_ms, .. } = self.policy;
        let (before, gone_bytes) = (self.changes.len(), &mut self.gone_bytes);
        self.changes.retain(|_, change| {
            let is_kept = change.at_ms.saturating_add(delta_ms) >= now_ms;
            if !is_kept {
                *gone_bytes -= change.gone_bytes();
            }
            is_kept
        });
        let applications = &self.applications;
        // Nobody asks here for what another server asks for.
        let is_elsewhere = |(app, id): &(String, String)| {
            let entry = applications.get(app).and_then(|ids| ids.get(id));
            entry.is_some_and(|entry| entry.kept == Kept::Elsewhere)
        };
        self.overrides
            .retain(|key, one| one.used_ms.saturating_add(override_ms) >= now_ms || is_elsewhere(key));
        self.changes.len() != before
    }

    /// Returns the counts of statuses by which clients check that they have missed nothing.
    #[must_use]
    pub fn hash(&self) -> String {
        hash(self.all().map(|instance| instance.status))
    }

    fn modify(
        &mut self,
        app: &str,
        id: &str,
        now_ms: u64,
        change: impl FnOnce(&mut Instance),
    ) -> Result<(), Refused> {
        let entry = entry_of(&mut self.applications, app, id)?;
        let before = entry.instance.weight();
        let instance = Arc::make_mut(&mut entry.instance);
        change(instance);
        if instance.status == Status::Up && instance.lease.up_ms == 0 {
            instance.lease.up_ms = now_ms;
        }
        instance.lease.renewed_ms = now_ms;
        (instance.action, instance.updated_ms) = (Action::Modified, now_ms);
        let instance = Arc::clone(&entry.instance);
        self.bytes = self.bytes - before + instance.weight();
        self.changed(&instance, now_ms);
        Ok(())
    }

    fn remove(&mut self, app: &str, id: &str, now_ms: u64) -> Option<Arc<Instance>> {
        let ids = self.applications.get_mut(app)?;
        let mut removed = ids.remove(id)?.instance;
        if ids.is_empty() {
            self.applications.remove(app);
        }
        self.overrides.remove(&(app.to_owned(), id.to_owned()));
        self.count -= 1;
        self.bytes -= removed.weight();
        let instance = Arc::make_mut(&mut removed);
        instance.lease.evicted_ms = now_ms;
        (instance.action, instance.updated_ms) = (Action::Deleted, now_ms);
        self.changed(&removed, now_ms);
        if self.bytes + self.gone_bytes > self.policy.bytes_max {
            self.forget_gone();
        }
        Some(removed)
    }

    fn changed(&mut self, instance: &Arc<Instance>, now_ms: u64) {
        self.version += 1;
        if self.changes.len() >= 2 * self.policy.instances_max {
            self.forget_gone();
        }
        let key = (instance.app.clone(), instance.id.clone());
        let change = Changed { at_ms: now_ms, instance: Arc::clone(instance) };
        self.gone_bytes += change.gone_bytes();
        if let Some(before) = self.changes.insert(key, change) {
            self.gone_bytes -= before.gone_bytes();
        }
    }

    /// Forgets who is gone, rather than keeping what nobody bounds.
    ///
    /// Whoever misses only that has more than there is: the hash differs, and the whole is fetched.
    fn forget_gone(&mut self) {
        self.changes.retain(|_, change| change.instance.action != Action::Deleted);
        self.gone_bytes = 0;
    }

    /// Returns what an operator made of an instance, and remembers that somebody asked.
    fn ruling(&mut self, app: &str, id: &str, now_ms: u64) -> Option<Status> {
        if self.overrides.is_empty() {
            return None;
        }
        let one = self.overrides.get_mut(&(app_key(app), id.to_owned()))?;
        one.used_ms = now_ms;
        Some(one.status)
    }
}

fn hash(statuses: impl Iterator<Item = Status>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for status in statuses {
        *counts.entry(status.name()).or_default() += 1;
    }
    counts.into_iter().map(|(name, count)| format!("{name}_{count}_")).collect()
}

fn entry_of<'a>(
    applications: &'a mut BTreeMap<String, BTreeMap<String, Entry>>,
    app: &str,
    id: &str,
) -> Result<&'a mut Entry, Refused> {
    let ids = applications.get_mut(&app_key(app));
    ids.and_then(|ids| ids.get_mut(id)).ok_or_else(|| unknown(app, id))
}

fn unknown(app: &str, id: &str) -> Refused {
    Refused::Unknown { app: app_key(app), id: id.to_owned() }
}

/// Decides which status counts: what the instance says when it is not to be used, then what an operator made of it, then
/// what it was taken out to before, then what it says.
fn resolved(said: Status, ruled: Option<Status>, before: Option<Status>) -> Status {
    if matches!(said, Status::Down | Status::Starting) {
        return said;
    }
    match (ruled, before) {
        (Some(ruled), _) => ruled,
        (None, Some(Status::OutOfService)) => Status::OutOfService,
        _ => said,
    }
}

#[cfg(test)]
mod tests;
