//! Protocol and client library of the cross-memory server, and what a plug-in needs.
//!
//! [`frame`] and [`code`] are the wire and its numbers, [`service`] what the services are asked and answer. A client uses
//! `Client`, an operator `Control`, a plug-in `Plugin`. The server takes [`socket`] and [`ring`] apart from these
//! and speaks the same.

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
pub mod plugin;
#[cfg(not(loom))]
pub mod socket;
#[cfg(not(loom))]
mod sys;

#[cfg(not(loom))]
pub use client::{Call, CallError, Client, Options, Reply, ServiceError};
pub use handshake::{Hello, NameError, ServerName, Welcome};
pub use refusal::Refusal;
