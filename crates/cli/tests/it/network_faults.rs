//! What happens to the front door as a whole when something of it fails: two gateways, two discovery services and services
//! that register themselves, each in a network namespace of its own, over TLS with certificates of `tender certificate`.
//!
//! ```text
//!      site a                          site b
//!   gw1 ds1 svc1 client ─ switch ─── switch ─ gw2 ds2 svc2 etcd
//! ```

mod etcd;
mod expired;
mod frozen;
mod killed;
mod load;
pub(crate) mod network;
mod partition;
mod replaced;
pub(crate) mod site;
mod slow;
