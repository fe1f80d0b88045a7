//! Keeps the processes of one instance running: one owner of state, one thread, one event queue.
//!
//! The supervisor is given a [`plan::Plan`] and carries it out. It knows neither configuration files nor manifests,
//! neither TLS nor service levels: what it needs of them is in the plan. That keeps the process which must never fail
//! small, in memory and in what can go wrong. Whoever makes plans (`tender-launcher`) does so in another process.

pub mod console;
pub mod plan;
