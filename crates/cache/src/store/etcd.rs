//! In etcd: shared by all services of a cluster, and outliving each of them.
//!
//! ```text
//! <prefix>/<owner, percent-encoded>/<key>  ──►  <milliseconds since 1970> LF <value>
//! ```
//!
//! What was changed longest ago is what etcd says it is: revisions are its clock.

use async_trait::async_trait;
use tender_etcd::{Client, Compare, Order, Record, Step};

use super::{Created, Store, StoreError};
use crate::entry::{Entry, Owner};
use crate::limits::{Eviction, Limits};

/// How often something is tried while others write.
const ATTEMPTS_MAX: u32 = 64;
/// Entries that are fetched at once: of the largest values as much as an answer may hold.
const PAGE: u32 = 50;
/// Entries that make room at once: a transaction has up to 128 steps.
const EVICTED_MAX: u64 = 50;

/// A store in etcd.
#[derive(Debug)]
pub struct EtcdStore {
    client: Client,
    /// Ends in a slash.
    prefix: Vec<u8>,
}

impl EtcdStore {
    /// Keeps entries below a prefix, such as `/tender/cache`; services that name the same one share them.
    #[must_use]
    pub fn new(client: Client, prefix: &str) -> Self {
        Self { client, prefix: format!("{}/", prefix.trim_end_matches('/')).into_bytes() }
    }

    fn of_owner(&self, owner: &Owner) -> Vec<u8> {
        let mut prefix = self.prefix.clone();
        for byte in owner.as_str().bytes() {
            match byte {
                b'/' | b'%' => prefix.extend(format!("%{byte:02X}").into_bytes()),
                _ => prefix.push(byte),
            }
        }
        prefix.push(b'/');
        prefix
    }

    fn place(&self, owner: &Owner, key: &str) -> Vec<u8> {
        let mut place = self.of_owner(owner);
        place.extend(key.as_bytes());
        place
    }

    /// Returns the entries that must go for another one; nothing when there is no room to be made.
    async fn surplus(&self, limits: &Limits) -> Result<Option<Vec<Record>>, StoreError> {
        if limits.entries_max == 0 {
            return Ok(None);
        }
        let count = self.client.count(&self.prefix).await?;
        if count < limits.entries_max {
            return Ok(Some(Vec::new()));
        }
        if limits.eviction == Eviction::Reject {
            return Ok(None);
        }
        // Others may have created at the same time, so that there are more than there may be.
        let surplus = (count - limits.entries_max + 1).min(EVICTED_MAX);
        let surplus = u32::try_from(surplus).unwrap_or(u32::MAX);
        Ok(Some(self.client.list(&self.prefix, surplus, Order::OldestChange).await?.records))
    }
}

fn read(record: &Record, key: &str) -> Result<Entry, StoreError> {
    let held = std::str::from_utf8(&record.value).unwrap_or_default();
    Entry::of_held(key, held)
        .ok_or_else(|| StoreError::Foreign { key: String::from_utf8_lossy(&record.key).into_owned() })
}

#[async_trait]
impl Store for EtcdStore {
    async fn list(&self, owner: &Owner) -> Result<Vec<Entry>, StoreError> {
        let prefix = self.of_owner(owner);
        let records = self.client.list_all(&prefix, PAGE).await?;
        let key = |record: &Record| String::from_utf8_lossy(&record.key[prefix.len()..]).into_owned();
        records.iter().map(|record| read(record, &key(record))).collect()
    }

    async fn get(&self, owner: &Owner, key: &str) -> Result<Option<Entry>, StoreError> {
        let record = self.client.get(&self.place(owner, key)).await?;
        record.map(|record| read(&record, key)).transpose()
    }

    async fn create(&self, owner: &Owner, entry: Entry, limits: &Limits) -> Result<Created, StoreError> {
        let place = self.place(owner, &entry.key);
        for _ in 0..ATTEMPTS_MAX {
            let Some(surplus) = self.surplus(limits).await? else {
                let is_there = self.client.get(&place).await?.is_some();
                return Ok(if is_there { Created::Exists } else { Created::Full });
            };
            if surplus.iter().any(|record| record.key == place) {
                return Ok(Created::Exists);
            }
            let mut conditions = vec![Compare::Absent(place.clone())];
            let unchanged = |record: &Record| Compare::Unchanged(record.key.clone(), record.mod_revision);
            conditions.extend(surplus.iter().map(unchanged));
            let mut steps: Vec<_> = surplus.into_iter().map(|record| Step::Delete(record.key)).collect();
            steps.push(Step::Put(place.clone(), entry.held().into_bytes(), 0));
            steps.push(Step::Count(self.prefix.clone()));
            let done = self.client.transact(&conditions, &steps).await?;
            let is_beyond = done.counts.last().is_some_and(|count| *count > limits.entries_max);
            if done.succeeded && is_beyond && limits.eviction == Eviction::Reject {
                // Others created at the same time and were first: the last place was theirs.
                let own = Compare::Unchanged(place.clone(), done.revision);
                self.client.transact(&[own], &[Step::Delete(place)]).await?;
                return Ok(Created::Full);
            }
            if done.succeeded {
                return Ok(Created::Done);
            }
            if self.client.get(&place).await?.is_some() {
                return Ok(Created::Exists);
            }
        }
        Err(StoreError::Contended { attempts: ATTEMPTS_MAX })
    }

    async fn update(&self, owner: &Owner, entry: Entry) -> Result<bool, StoreError> {
        let place = self.place(owner, &entry.key);
        let steps = [Step::Put(place.clone(), entry.held().into_bytes(), 0)];
        Ok(self.client.transact(&[Compare::Present(place)], &steps).await?.succeeded)
    }

    async fn delete(&self, owner: &Owner, key: &str) -> Result<Option<Entry>, StoreError> {
        let place = self.place(owner, key);
        for _ in 0..ATTEMPTS_MAX {
            let Some(record) = self.client.get(&place).await? else { return Ok(None) };
            let unchanged = Compare::Unchanged(place.clone(), record.mod_revision);
            if self.client.transact(&[unchanged], &[Step::Delete(place.clone())]).await?.succeeded {
                return read(&record, key).map(Some);
            }
        }
        Err(StoreError::Contended { attempts: ATTEMPTS_MAX })
    }

    async fn delete_all(&self, owner: &Owner) -> Result<u64, StoreError> {
        Ok(self.client.delete_prefix(&self.of_owner(owner)).await?)
    }

    async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.client.count(&self.prefix).await?)
    }
}
