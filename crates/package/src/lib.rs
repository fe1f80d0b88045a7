//! The package: every shape that passes from the principal to a managed system and back.
//!
//! Both ends of the protocol need these shapes and neither may know the other, so they stand in a crate of their
//! own: names, the level manifest, the signed repository, requests, what a managed system reports, and messages with
//! their return codes.
//! This crate knows no SQL and no sockets.

pub mod audit;
pub mod changes;
pub mod manifest;
pub mod message;
pub mod name;
pub mod report;
pub mod repository;
pub mod request;

pub use changes::{Changes, ChangesHead, Exception};
pub use manifest::{LevelManifest, LevelRef, Mode};
pub use message::{Message, Outcome, ReturnCode, Severity, Table};
pub use name::{ComponentName, FixId, LevelName, SystemName, Variant, Vrm};
