//! The `tender` command as people and machines use it: real processes, real FTPS, real directories.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod bad_input;
mod commands;
mod emergency;
mod faults;
mod rules;
mod scenario;
mod systems;
mod world;
