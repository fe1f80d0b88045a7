//! What services cache: entries of owners, in memory, on disk, in etcd or in Redis.
//!
//! ```text
//! request ──► route ──► owner, of the certificate ──► limits ──► Store: memory │ disk │ etcd │ Redis
//! ```
//!
//! One rule book, four places: [`Store`] says what every store does, and one suite of tests holds all of them to it.
//! [`Caching`] serves them over HTTP.

mod entry;
mod limits;
mod service;
mod store;

pub use entry::{Entry, InvalidEntry, Owner, now_ms};
pub use limits::{Eviction, Limits};
pub use service::{Caching, OwnerRules, StoreEvent, StoreEventSink};
pub use store::disk::DiskStore;
pub use store::etcd::EtcdStore;
pub use store::memory::MemoryStore;
pub use store::redis::{RedisSettings, RedisStore};
pub use store::{Created, Store, StoreError};
