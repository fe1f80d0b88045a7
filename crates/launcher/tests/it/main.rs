//! The launcher with real scripts, processes, sockets and file systems.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

mod activation;
mod components;
mod degraded;
mod faults;
mod prepare;
mod run;
mod support;
mod tls;
mod together;
mod version_one;
mod world;
