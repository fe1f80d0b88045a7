//! What services cache: entries of owners, in memory, on disk, in etcd or in Redis.
//!
//! One rule book, four places: [`Store`] says what every store does, and one suite of tests holds all of them to it. How
//! requests get here and who an owner is, is for the service above to know.

mod entry;
mod limits;
mod store;

pub use entry::{Entry, InvalidEntry, Owner, now_ms};
pub use limits::{Eviction, Limits};
pub use store::disk::DiskStore;
pub use store::etcd::EtcdStore;
pub use store::memory::MemoryStore;
pub use store::redis::RedisStore;
pub use store::{Created, Store, StoreError};
