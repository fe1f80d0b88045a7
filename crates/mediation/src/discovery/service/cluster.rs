//! The registry shared through etcd: what others write there is taken over, what clients say here is written there.
//!
//! ```text
//!            read all ──► watch ──► change, change, …
//!  begin ──►  ▲   │        │
//!             │   ▼        ▼  connection lost              compacted: read all
//!             └─ lost ◄────┘  (the registry stays as it is; clients are served; what they say waits)
//! ```
//!
//! etcd decides who is gone: a lease is renewed when a heartbeat arrives at any server, and by no clock of ours. The one
//! exception is what self-preservation is for: while so few heartbeats arrive here that it is more likely the network that is
//! broken, those who are heard of here are kept.

mod renewing;
mod writing;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tender_etcd::{Change, Client, EtcdError, Listed, Record};
use tokio::sync::watch;

use super::{Discovery, Settings, announce};
use crate::discovery::cluster::{Asked, Journal, Key, Told, key_prefix, read_key};
use crate::discovery::event::{ClusterEvent, Event};
use crate::discovery::registry::Refused;

/// For how long a start waits for what others registered.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to reach etcd.
const PAUSE: Duration = Duration::from_secs(1);
/// Instances that are read at once: of the largest as many as an answer may hold.
const PAGE: u32 = 40;

/// The etcd through which servers share one registry.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// How it is asked.
    pub client: Client,
    /// What all keys begin with, such as `/tender/registry`; servers that name the same one share a registry.
    pub prefix: String,
}

/// Makes what has to do with etcd, when there is one; named anew for each start.
pub(super) fn journal(settings: &Settings, started_ms: u64) -> Option<Journal> {
    let cluster = settings.cluster.as_ref()?;
    let at = settings.own.as_ref().map_or_else(String::new, |own| format!("{}:{}", own.host, own.port));
    let name = format!("{at}#{started_ms:x}-{:x}", std::process::id());
    Some(Journal::new(name, &cluster.prefix, settings.policy.is_double_lease))
}

/// Whether etcd answers.
#[derive(Debug)]
pub(super) struct Reach {
    since: Mutex<Since>,
    is_reached: watch::Sender<bool>,
}

#[derive(Debug, Clone, Copy)]
struct Since {
    /// Since when it does not answer; nothing while it does.
    lost: Option<Instant>,
    was_read: bool,
    is_told: bool,
}

impl Default for Reach {
    fn default() -> Self {
        let since = Since { lost: Some(Instant::now()), was_read: false, is_told: false };
        Self { since: Mutex::new(since), is_reached: watch::Sender::new(false) }
    }
}

impl Reach {
    fn since(&self) -> MutexGuard<'_, Since> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until etcd answers.
    async fn wait(&self) {
        // The sender is in our hands.
        self.is_reached.subscribe().wait_for(|is_reached| *is_reached).await.ok();
    }
}

/// How the registry is shared at the moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared {
    lost: Option<Instant>,
    was_read: bool,
    /// Instances of which etcd is still to be told.
    pub(super) waiting: usize,
}

impl Shared {
    pub(super) fn is_reached(&self) -> bool {
        self.lost.is_none()
    }

    /// Returns how old it is what others registered; since the start, when that was never read.
    pub(super) fn age_s(&self) -> u64 {
        self.lost.map_or(0, |since| since.elapsed().as_secs())
    }

    fn value(&self) -> Value {
        json!({
            "store": "etcd",
            "isReached": self.is_reached(),
            "ageSeconds": self.was_read.then(|| self.age_s()),
            "waiting": self.waiting,
        })
    }
}

impl Discovery {
    /// Says how the registry is shared, where it is.
    pub(super) fn shared(&self) -> Option<Shared> {
        let waiting = self.0.state.registry().shared().map(|(_, journal)| journal.waiting())?;
        let Since { lost, was_read, .. } = *self.0.reach.since();
        Some(Shared { lost, was_read, waiting })
    }

    /// Writes the document about health: a server without its etcd serves all the same.
    pub(super) fn health(&self) -> Value {
        let Some(shared) = self.shared() else { return json!({ "status": "UP" }) };
        let status = if shared.is_reached() { "UP" } else { "DOWN" };
        json!({
            "status": "UP",
            "components": { "registry": { "status": status, "details": shared.value() } },
        })
    }

    /// Writes the document about what this is.
    pub(super) fn info(&self) -> Value {
        let build = json!({ "name": "tender-discovery", "version": env!("CARGO_PKG_VERSION") });
        match self.shared() {
            Some(shared) => json!({ "build": build, "registry": shared.value() }),
            None => json!({ "build": build }),
        }
    }

    /// Reads what others registered, at the start, if etcd answers soon.
    pub(super) async fn read_shared(&self) {
        let Some(cluster) = &self.0.settings.cluster else { return };
        let prefix = key_prefix(&cluster.prefix);
        let read = async {
            // However much there is to be read: whether it answers is known soon.
            let answer = tokio::time::timeout(PATIENCE, cluster.client.count(prefix.as_bytes())).await;
            answer
                .map_err(|_| format!("no answer came in {} seconds", PATIENCE.as_secs()))?
                .map_err(|error| error.reason())?;
            self.read_all(cluster).await.map_err(|error| error.reason())
        };
        if let Err(reason) = read.await {
            self.lose_etcd(&reason);
        }
    }

    /// Goes on until it is dropped: takes over what others write, writes what clients say, renews leases.
    pub(super) async fn share_registry(&self) {
        let Some(cluster) = &self.0.settings.cluster else { return };
        tokio::join!(
            self.follow_etcd(cluster),
            self.write_to_etcd(cluster),
            self.renew_in_etcd(cluster),
            self.preserve_in_etcd()
        );
    }

    async fn follow_etcd(&self, cluster: &Cluster) {
        loop {
            match self.follow_once(cluster).await {
                Ok(never) => match never {},
                // Between reading and watching much was written: all is read again.
                Err(EtcdError::Compacted { .. }) => {}
                Err(error) => {
                    self.lose_etcd(&error.reason());
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn follow_once(&self, cluster: &Cluster) -> Result<std::convert::Infallible, EtcdError> {
        let revision = self.read_all(cluster).await?;
        let prefix = key_prefix(&cluster.prefix);
        let mut watch = cluster.client.watch(prefix.as_bytes(), revision + 1).await?;
        loop {
            let changes = watch.next().await?;
            self.take_changes(&prefix, changes);
        }
    }

    /// Reads all that others registered and takes it over; returns of which revision it is.
    async fn read_all(&self, cluster: &Cluster) -> Result<i64, EtcdError> {
        let prefix = key_prefix(&cluster.prefix);
        let Listed { records, revision, .. } = cluster.client.snapshot(prefix.as_bytes(), PAGE).await?;
        let (unchanged, records) = self.partition(&prefix, records);
        let now_ms = self.0.state.clock.now_ms();
        let read = tokio::task::spawn_blocking(move || {
            records.into_iter().map(|record| asked(&prefix, record, now_ms)).collect::<Vec<_>>()
        });
        let (mut all, mut wrong) = (Vec::new(), Vec::new());
        for read in read.await.expect("reading records does not fail") {
            match read {
                Ok(asked) => all.push(asked),
                Err(other) => wrong.push(other),
            }
        }
        let instances = all.len() + unchanged.len();
        let (told, waiting) = {
            let mut locked = self.0.state.registry();
            let now_ms = self.0.state.clock.now_ms();
            let Some((registry, journal)) = locked.shared() else { return Ok(revision) };
            let told = journal.all(registry, all, unchanged, revision, now_ms);
            (told, journal.waiting())
        };
        let prefix = key_prefix(&cluster.prefix);
        wrong.into_iter().for_each(|wrong| self.take_wrong(&prefix, wrong));
        self.find_etcd(instances, waiting);
        told.into_iter().for_each(|told| self.tell_shared(told));
        Ok(revision)
    }

    /// Parts what stands for the same as before, of which nothing has to be read, from the rest.
    fn partition(&self, prefix: &str, records: Vec<Record>) -> (Vec<Key>, Vec<Record>) {
        let mut locked = self.0.state.registry();
        let Some((_, journal)) = locked.shared() else { return (Vec::new(), records) };
        let (mut unchanged, mut others) = (Vec::new(), Vec::new());
        for record in records {
            match read_key(prefix, &record.key) {
                Ok(key) if journal.is_unchanged(&key, record.mod_revision, record.lease) => {
                    unchanged.push(key);
                }
                _ => others.push(record),
            }
        }
        (unchanged, others)
    }

    fn take_changes(&self, prefix: &str, changes: Vec<Change>) {
        for change in changes {
            let now_ms = self.0.state.clock.now_ms();
            let told = match change {
                Change::Put(record) => match asked(prefix, record, now_ms) {
                    Ok(asked) => {
                        let mut locked = self.0.state.registry();
                        locked
                            .shared()
                            .and_then(|(registry, journal)| journal.written(registry, asked, now_ms))
                    }
                    Err(wrong) => {
                        self.take_wrong(prefix, wrong);
                        None
                    }
                },
                Change::Deleted { key, revision } => read_key(prefix, &key).ok().and_then(|key| {
                    let mut locked = self.0.state.registry();
                    let (registry, journal) = locked.shared()?;
                    journal.deleted(registry, key, revision, now_ms)
                }),
            };
            if let Some(told) = told {
                self.tell_shared(told);
            }
        }
    }

    fn find_etcd(&self, instances: usize, waiting: usize) {
        let before = {
            let mut since = self.0.reach.since();
            std::mem::replace(&mut *since, Since { lost: None, was_read: true, is_told: false })
        };
        self.0.reach.is_reached.send_replace(true);
        match before {
            Since { lost: Some(since), is_told: true, .. } => {
                let away_s = since.elapsed().as_secs();
                self.tell(&Event::Cluster(ClusterEvent::Found { instances, away_s, waiting }));
            }
            Since { was_read: false, .. } => self.tell(&Event::Cluster(ClusterEvent::Read { instances })),
            // The first time that changes are followed all is read once more than at the start.
            Since { .. } => {}
        }
    }

    fn lose_etcd(&self, reason: &str) {
        let before = {
            let mut since = self.0.reach.since();
            let before = *since;
            since.lost.get_or_insert_with(Instant::now);
            since.is_told = true;
            before
        };
        self.0.reach.is_reached.send_replace(false);
        if !before.is_told {
            self.tell(&Event::Cluster(ClusterEvent::Lost {
                reason: reason.to_owned(),
                is_unread: !before.was_read,
            }));
        }
    }

    fn tell_shared(&self, told: Told) {
        match told {
            Told::Gone((app, id)) => self.tell(&Event::Cluster(ClusterEvent::Gone { app, id })),
            Told::Refused((app, id), limit) => {
                let reason = Refused::Full(limit).to_string();
                self.tell(&Event::Cluster(ClusterEvent::Record { key: format!("{app}/{id}"), reason }));
            }
        }
    }

    fn take_wrong(&self, prefix: &str, Wrong { record, reason }: Wrong) {
        let key = String::from_utf8_lossy(&record.key).into_owned();
        self.tell(&Event::Cluster(ClusterEvent::Record { key, reason }));
        let Ok(key) = read_key(prefix, &record.key) else { return };
        if let Some((registry, journal)) = self.0.state.registry().shared() {
            journal.spoilt(registry, key, record.mod_revision, record.lease);
        }
    }
}

/// A record that is not taken.
struct Wrong {
    record: Record,
    reason: String,
}

/// Reads a record; what clients may not say is not taken from others either.
fn asked(prefix: &str, record: Record, now_ms: u64) -> Result<Asked, Wrong> {
    let (pair, at) = ((&*record.key, &*record.value), (record.mod_revision, record.lease));
    let read = Asked::read(prefix, pair, at, now_ms).map_err(|error| error.to_string()).and_then(|asked| {
        match announce::checked(asked.record.instance.clone()) {
            Ok(_) => Ok(asked),
            Err(refusal) => Err(refusal.reason()),
        }
    });
    read.map_err(|reason| Wrong { record, reason })
}
