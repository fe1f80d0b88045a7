//! The calls of etcd that the product needs: keys, transactions, leases, watches.
//!
//! Several hosts share through etcd what must outlive each of them: who is registered, what was revoked, what services
//! cache. etcd decides; nothing here replicates or elects.
//!
//! The messages are written down by hand (field numbers as in etcd's published API, version 3): generating them needs the
//! protocol compiler of another package on every machine that builds this program.

mod client;
mod error;
mod message;

pub use client::keys::{Compare, Done, Listed, Order, Record, Step, prefix_end};
pub use client::lease::KeptLease;
pub use client::renewal::{Renewals, Renewed};
pub use client::watch::{Change, Watch};
pub use client::{Client, Settings, Tls};
pub use error::EtcdError;
