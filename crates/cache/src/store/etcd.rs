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
/// Entries that are fetched at once.
const PAGE: u32 = 500;

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

    /// Returns steps that make room, with the conditions under which they do; nothing when there is none to be made.
    async fn room(&self, limits: &Limits) -> Result<Option<(Vec<Compare>, Vec<Step>)>, StoreError> {
        if limits.entries_max == 0 {
            return Ok(None);
        }
        let count = self.client.count(&self.prefix).await?;
        if count < limits.entries_max {
            return Ok(Some((Vec::new(), Vec::new())));
        }
        if limits.eviction == Eviction::Reject {
            return Ok(None);
        }
        // Others may have created at the same time, so that there are more than there may be.
        let surplus = u32::try_from(count - limits.entries_max + 1).unwrap_or(u32::MAX).min(PAGE / 10);
        let oldest = self.client.list(&self.prefix, None, surplus, Order::OldestChange).await?.records;
        let unchanged = |record: &Record| Compare::Unchanged(record.key.clone(), record.mod_revision);
        let conditions = oldest.iter().map(unchanged).collect();
        Ok(Some((conditions, oldest.into_iter().map(|record| Step::Delete(record.key)).collect())))
    }
}

fn written(entry: &Entry) -> Vec<u8> {
    format!("{}\n{}", entry.created_ms, entry.value).into_bytes()
}

fn read(record: Record, key: &str) -> Result<Entry, StoreError> {
    let foreign = || StoreError::Foreign { key: String::from_utf8_lossy(&record.key).into_owned() };
    let text = std::str::from_utf8(&record.value).map_err(|_| foreign())?;
    let (created_ms, value) = text.split_once('\n').ok_or_else(foreign)?;
    let created_ms = created_ms.parse().map_err(|_| foreign())?;
    Ok(Entry { key: key.to_owned(), value: value.to_owned(), created_ms })
}

#[async_trait]
impl Store for EtcdStore {
    async fn list(&self, owner: &Owner) -> Result<Vec<Entry>, StoreError> {
        let prefix = self.of_owner(owner);
        let (mut entries, mut from) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let page = self.client.list(&prefix, from.as_deref(), PAGE, Order::Key).await?;
            let is_last = page.records.len() < PAGE as usize;
            from = page.records.last().map(|last| [last.key.as_slice(), &[0]].concat());
            for record in page.records {
                let key = String::from_utf8_lossy(&record.key[prefix.len()..]).into_owned();
                entries.push(read(record, &key)?);
            }
            if is_last {
                return Ok(entries);
            }
        }
    }

    async fn get(&self, owner: &Owner, key: &str) -> Result<Option<Entry>, StoreError> {
        let record = self.client.get(&self.place(owner, key)).await?;
        record.map(|record| read(record, key)).transpose()
    }

    async fn create(&self, owner: &Owner, entry: Entry, limits: &Limits) -> Result<Created, StoreError> {
        let place = self.place(owner, &entry.key);
        for _ in 0..ATTEMPTS_MAX {
            let room = self.room(limits).await?;
            let Some((mut conditions, mut steps)) = room else {
                let is_there = self.client.get(&place).await?.is_some();
                return Ok(if is_there { Created::Exists } else { Created::Full });
            };
            conditions.push(Compare::Absent(place.clone()));
            steps.push(Step::Put(place.clone(), written(&entry), 0));
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
        let steps = [Step::Put(place.clone(), written(&entry), 0)];
        Ok(self.client.transact(&[Compare::Present(place)], &steps).await?.succeeded)
    }

    async fn delete(&self, owner: &Owner, key: &str) -> Result<Option<Entry>, StoreError> {
        let place = self.place(owner, key);
        for _ in 0..ATTEMPTS_MAX {
            let Some(record) = self.client.get(&place).await? else { return Ok(None) };
            let unchanged = Compare::Unchanged(place.clone(), record.mod_revision);
            if self.client.transact(&[unchanged], &[Step::Delete(place.clone())]).await?.succeeded {
                return read(record, key).map(Some);
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
