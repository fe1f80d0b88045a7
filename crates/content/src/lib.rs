//! Content: objects by digest, trees, servlinks and drift scans.
//!
//! This crate knows bytes and paths. It does not know releases, systems, SQL or the network.
//!
//! Reading order: [`digest`] and [`path`] name things, [`tree`] lists the parts of one component.

pub mod digest;
pub mod path;
pub mod tree;

pub use digest::Digest;
pub use path::PartPath;
pub use tree::{Node, Tree};
