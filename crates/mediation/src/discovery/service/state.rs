//! What the service knows: one registry behind one short lock, and the documents written of it.

mod noted;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use super::clock::Clock;
use super::counters::{Counters, Kind};
use crate::discovery::cluster::Journal;
use crate::discovery::registry::View;
use crate::discovery::snapshot::{Document, Edition, Form, LARGE, Part, Slot};
use crate::discovery::{Policy, Registry};

/// Large answers for one reader alone that are written at a time.
const WRITING_MAX: usize = 4;

/// What the service knows.
#[derive(Debug)]
pub(super) struct State {
    held: Mutex<Held>,
    /// Wakes who writes the registry to etcd.
    pub(super) news: Notify,
    pub(super) clock: Clock,
    pub(super) counters: Counters,
    /// The registry's version as of the last lock that was given back, readable without it.
    version: AtomicU64,
    /// Wakes who waits for a change; closed when nobody is to wait any more.
    changed: watch::Sender<bool>,
    forgotten: AtomicU64,
    slots: [Slot; 4],
    /// Bounds how many answers are written at a time that are large and for one reader alone.
    writing: Arc<Semaphore>,
    /// Makes tags of one start differ from those of another.
    started_ms: u64,
}

/// What is behind the lock.
#[derive(Debug)]
struct Held {
    registry: Registry,
    /// What etcd has and is to be told, where the registry is shared through it.
    journal: Option<Journal>,
}

/// The registry while it is locked; its version is told when this is given back.
///
/// What is done to it by these methods is noted for etcd, too; methods of the registry itself are not.
pub(super) struct Locked<'s> {
    held: MutexGuard<'s, Held>,
    state: &'s State,
}

impl std::ops::Deref for Locked<'_> {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.held.registry
    }
}

impl std::ops::DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Registry {
        &mut self.held.registry
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let version = self.held.registry.version();
        if self.state.version.swap(version, Ordering::AcqRel) != version {
            self.state.changed.send_modify(|_| {});
        }
        if self.held.journal.as_mut().is_some_and(Journal::take_news) {
            self.state.news.notify_waiters();
        }
    }
}

impl State {
    /// Makes it empty; `shared` makes what is to be shared through etcd, told when this starts.
    pub(super) fn new(policy: Policy, shared: impl FnOnce(u64) -> Option<Journal>) -> Self {
        let clock = Clock::start();
        let started_ms = clock.now_ms();
        Self {
            held: Mutex::new(Held { registry: Registry::new(policy), journal: shared(started_ms) }),
            news: Notify::new(),
            clock,
            counters: Counters::default(),
            version: AtomicU64::new(0),
            changed: watch::Sender::new(false),
            forgotten: AtomicU64::new(0),
            slots: Default::default(),
            writing: Arc::new(Semaphore::new(WRITING_MAX)),
            started_ms,
        }
    }

    /// Locks the registry; nothing may be awaited or written out meanwhile.
    pub(super) fn registry(&self) -> Locked<'_> {
        // Every change of the registry is whole before the next begins: a panic in between leaves a state that can be used.
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { held, state: self }
    }

    /// Waits until a document is no longer of the newest state, at most until a deadline; says whether it is so. Nobody
    /// waits once waiting is over.
    pub(super) async fn await_change(&self, part: Part, document: &Document, deadline: Instant) -> bool {
        let mut changed = self.changed.subscribe();
        let other = async {
            loop {
                let is_over = *changed.borrow_and_update();
                if self.edition(part) != document.edition {
                    return !is_over;
                }
                if is_over || changed.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout_at(deadline, other).await.unwrap_or(false)
    }

    /// Returns what is woken by changes; it says whether nobody is to wait for them any more.
    pub(super) fn changes(&self) -> watch::Receiver<bool> {
        self.changed.subscribe()
    }

    /// Lets nobody wait any more.
    pub(super) fn end_waiting(&self) {
        self.changed.send_replace(true);
    }

    /// Returns a document of the newest state.
    pub(super) async fn document(&self, part: Part, form: Form) -> Arc<Document> {
        let slot = match (part, form) {
            (Part::Whole, Form::Json) => 0,
            (Part::Whole, Form::Xml) => 1,
            (Part::Delta, Form::Json) => 2,
            (Part::Delta, Form::Xml) => 3,
        };
        self.slots[slot].get(form, || self.edition(part), || self.freeze(part)).await
    }

    fn edition(&self, part: Part) -> Edition {
        let forgotten = match part {
            Part::Whole => 0,
            Part::Delta => self.forgotten.load(Ordering::Acquire),
        };
        Edition { version: self.version.load(Ordering::Acquire), forgotten }
    }

    fn freeze(&self, part: Part) -> (View, Edition) {
        self.counters.count(Kind::Written);
        // What is forgotten after this is read makes the document look old, never new.
        let Edition { forgotten, .. } = self.edition(part);
        let registry = self.registry();
        let view = match part {
            Part::Whole => registry.view(),
            Part::Delta => registry.delta(self.clock.now_ms()),
        };
        let edition = Edition { version: view.version, forgotten };
        (view, edition)
    }

    /// Makes what is for one reader alone: beside the threads that answer, and only a few at a time, when it has many bytes.
    pub(super) async fn made<T: Send + 'static>(
        &self,
        bytes: usize,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if bytes < LARGE {
            return make();
        }
        let permit = Arc::clone(&self.writing).acquire_owned().await;
        let made = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            make()
        });
        made.await.expect("writing an answer does not fail")
    }

    /// Returns the tag by which clients know a document again.
    pub(super) fn tag(&self, part: Part, form: Form, document: &Document) -> String {
        let Edition { version, forgotten } = document.edition;
        format!("W/\"{:x}-{version}-{forgotten}-{part:?}-{form:?}\"", self.started_ms)
    }

    /// Lets the registry forget what is too old to be told.
    pub(super) fn forget(&self) {
        let now_ms = self.clock.now_ms();
        if self.registry().forget(now_ms) {
            self.forgotten.fetch_add(1, Ordering::Release);
            self.changed.send_modify(|_| {});
        }
    }

    /// Writes the document about the server itself, which only people read.
    pub(super) fn server_status(&self) -> serde_json::Value {
        let mut registry = self.registry();
        let now_ms = self.clock.now_ms();
        let is_preserving = registry.is_preserving(now_ms);
        serde_json::json!({
            "generalStats": {
                "environment": "tender",
                "server-uptime": format!("{} s", (now_ms - self.started_ms) / 1000),
                "self-preservation": if is_preserving { "active" } else { "inactive" },
            },
            "applicationStats": {
                "registered-instances": registry.count(),
                "apps__hashcode": registry.hash(),
            },
            "instanceInfo": {},
        })
    }

    /// Returns what operators made of instances, by their names; by service and name where several services have the
    /// same.
    pub(super) fn overrides(&self) -> BTreeMap<String, &'static str> {
        let registry = self.registry();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        registry.overrides().for_each(|(_, id, _)| *counts.entry(id).or_default() += 1);
        let named = registry.overrides().map(|(app, id, status)| {
            let name = if counts[id] > 1 { format!("{app}/{id}") } else { id.to_owned() };
            (name, status.name())
        });
        named.collect()
    }
}
