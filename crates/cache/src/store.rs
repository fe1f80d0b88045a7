//! What every store does.

pub(crate) mod disk;
pub(crate) mod etcd;
pub(crate) mod memory;
pub(crate) mod redis;

use std::fmt::Debug;
use std::path::PathBuf;

use async_trait::async_trait;

use crate::entry::{Entry, Owner};
use crate::limits::Limits;

/// What came of creating an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is there now.
    Done,
    /// There was one of its key, and it stays as it was.
    Exists,
    /// There is no room for it.
    Full,
}

/// Keeps entries of owners.
///
/// Each operation happens as a whole or not at all, also when several services use the same store at once. The limit on
/// the number of entries holds for the store as a whole; a store that several services share may hold more for the moment
/// in which they create at once.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// Returns all entries of an owner, by key.
    async fn list(&self, owner: &Owner) -> Result<Vec<Entry>, StoreError>;

    /// Returns an entry.
    async fn get(&self, owner: &Owner, key: &str) -> Result<Option<Entry>, StoreError>;

    /// Adds an entry unless there is one of its key.
    async fn create(&self, owner: &Owner, entry: Entry, limits: &Limits) -> Result<Created, StoreError>;

    /// Replaces an entry; says whether there was one.
    async fn update(&self, owner: &Owner, entry: Entry) -> Result<bool, StoreError>;

    /// Removes an entry and returns it.
    async fn delete(&self, owner: &Owner, key: &str) -> Result<Option<Entry>, StoreError>;

    /// Removes all entries of an owner; returns how many there were.
    async fn delete_all(&self, owner: &Owner) -> Result<u64, StoreError>;

    /// Returns how many entries there are, of all owners together; fails when the store does not work.
    async fn count(&self) -> Result<u64, StoreError>;
}

/// Says why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its file cannot be used.
    #[error("use the store `{}`", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
    /// Another process has its file.
    #[error("the store `{}` is used by another process", path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// The thread that writes ended; the process is about to.
    #[error("the store `{}` is closed", path.display())]
    Closed {
        /// Where.
        path: PathBuf,
    },
    /// etcd did not answer, or refused.
    #[error("use etcd")]
    Etcd(#[from] tender_etcd::EtcdError),
    /// Redis did not answer, or refused.
    #[error("use Redis at {address}")]
    Redis {
        /// Where, without the password.
        address: String,
        /// Why.
        #[source]
        source: ::redis::RedisError,
    },
    /// Something else is where an entry should be.
    #[error("what the store keeps as `{key}` is no entry of ours")]
    Foreign {
        /// Its key there.
        key: String,
    },
    /// Others wrote at the same time, again and again.
    #[error("others wrote at the same time, {attempts} times in a row")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
}
