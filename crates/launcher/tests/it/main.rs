//! The launcher with real scripts, processes, sockets and file systems.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

mod activation;
mod components;
mod faults;
mod prepare;
mod run;
mod support;
mod world;
