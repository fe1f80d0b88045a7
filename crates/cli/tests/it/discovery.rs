//! Discovery as its clients see it: real clients, unmodified, over real sockets.

mod announcements;
pub(crate) mod client;
mod component;
mod definitions;
pub(crate) mod etcd;
mod gateways;
mod hostile;
mod node;
mod peers;
mod python;
mod quorum;
mod registry;
pub(crate) mod server;
mod start;
