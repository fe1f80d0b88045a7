//! Protocol and client library of the cross-memory server, and what a plug-in needs.
//!
//! [`frame`] and [`code`] are the wire and its numbers, [`service`] what the services are asked and answer. A client uses
//! `Client`, an operator `control::Control`, a plug-in `plugin::Plugin`. The server takes [`socket`] and [`ring`] apart from these
//! and speaks the same.
//!
//! The ring's algorithm is checked with loom (see `ring/loom_tests.rs`) in seconds:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p tender-xmem --lib --release --target-dir target/loom loom_tests
//! ```
//!
//! and, on the heap in place of a mapping, with Miri where it is installed:
//!
//! ```text
//! cargo +nightly miri test -p tender-xmem --lib ring::tests
//! ```

pub mod code;
pub mod frame;
pub mod handshake;
mod refusal;
pub mod ring;
pub mod service;

// Under loom only the algorithm of the ring is built: loom's atomics can not be laid over shared memory.
#[cfg(not(loom))]
pub mod client;
#[cfg(not(loom))]
pub mod control;
#[cfg(not(loom))]
pub mod plugin;
#[cfg(not(loom))]
pub mod socket;
#[cfg(not(loom))]
mod sys;

#[cfg(not(loom))]
pub use client::{Call, CallError, Client, Options, Reply, ServiceError};
pub use handshake::{Hello, NameError, ServerName, Welcome};
pub use refusal::Refusal;
