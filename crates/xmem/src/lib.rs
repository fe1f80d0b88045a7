//! Protocol and client library of the cross-memory server, and what a plug-in needs.
//!
//! [`frame`] and [`code`] are the wire and its numbers, [`service`] what the services are asked and answer. A client uses
//! `Client`, an operator `Control`, a plug-in `Plugin`. The server takes `socket` and `ring` apart from these and
//! speaks the same.

pub mod code;
pub mod frame;
pub mod handshake;
pub mod plugin;
mod refusal;
pub mod service;

pub use handshake::{Hello, NameError, ServerName, Welcome};
pub use refusal::Refusal;
