//! The managed system with real objects, packages and processes.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

mod cycle;
mod disk;
mod faults;
mod network;
mod refusals;
mod servcheck;
mod world;
