//! In memory: gone with the process, and of this process alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;

use super::{Created, Store, StoreError};
use crate::entry::{Entry, Owner};
use crate::limits::{Eviction, Limits};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: BTreeMap<Owner, BTreeMap<String, Held>>,
    /// Every entry by the number of its last change: the first was changed longest ago.
    order: BTreeMap<u64, (Owner, String)>,
    changes: u64,
}

#[derive(Debug)]
struct Held {
    entry: Entry,
    change: u64,
}

impl MemoryStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no thread panics while it changes the entries")
    }
}

impl Kept {
    fn get(&self, owner: &Owner, key: &str) -> Option<&Held> {
        self.entries.get(owner)?.get(key)
    }

    fn put(&mut self, owner: &Owner, entry: Entry) {
        self.changes += 1;
        self.order.insert(self.changes, (owner.clone(), entry.key.clone()));
        let held = Held { change: self.changes, entry };
        let replaced = self.entries.entry(owner.clone()).or_default().insert(held.entry.key.clone(), held);
        if let Some(replaced) = replaced {
            self.order.remove(&replaced.change);
        }
    }

    fn remove(&mut self, owner: &Owner, key: &str) -> Option<Entry> {
        let of_owner = self.entries.get_mut(owner)?;
        let removed = of_owner.remove(key)?;
        if of_owner.is_empty() {
            self.entries.remove(owner);
        }
        self.order.remove(&removed.change);
        Some(removed.entry)
    }

    fn count(&self) -> u64 {
        self.order.len() as u64
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn list(&self, owner: &Owner) -> Result<Vec<Entry>, StoreError> {
        let kept = self.kept();
        let entries = kept.entries.get(owner).into_iter().flat_map(BTreeMap::values);
        Ok(entries.map(|held| held.entry.clone()).collect())
    }

    async fn get(&self, owner: &Owner, key: &str) -> Result<Option<Entry>, StoreError> {
        Ok(self.kept().get(owner, key).map(|held| held.entry.clone()))
    }

    async fn create(&self, owner: &Owner, entry: Entry, limits: &Limits) -> Result<Created, StoreError> {
        let mut kept = self.kept();
        if kept.get(owner, &entry.key).is_some() {
            return Ok(Created::Exists);
        }
        if limits.entries_max == 0
            || (kept.count() >= limits.entries_max && limits.eviction == Eviction::Reject)
        {
            return Ok(Created::Full);
        }
        while kept.count() >= limits.entries_max {
            let Some((_, (oldest, key))) = kept.order.pop_first() else { break };
            kept.remove(&oldest, &key);
        }
        kept.put(owner, entry);
        Ok(Created::Done)
    }

    async fn update(&self, owner: &Owner, entry: Entry) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let is_there = kept.get(owner, &entry.key).is_some();
        if is_there {
            kept.put(owner, entry);
        }
        Ok(is_there)
    }

    async fn delete(&self, owner: &Owner, key: &str) -> Result<Option<Entry>, StoreError> {
        Ok(self.kept().remove(owner, key))
    }

    async fn delete_all(&self, owner: &Owner) -> Result<u64, StoreError> {
        let mut kept = self.kept();
        let removed = kept.entries.remove(owner).unwrap_or_default();
        for held in removed.values() {
            kept.order.remove(&held.change);
        }
        Ok(removed.len() as u64)
    }

    async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.kept().count())
    }
}
