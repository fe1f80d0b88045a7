//! The supervisor as a process of its own, with real components, looked at from outside.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

mod console;
mod faults;
mod kept;
mod lifecycle;
mod order;
mod output;
mod probes;
mod reload;
mod trees;
mod world;
