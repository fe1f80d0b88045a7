//! The `tender` command as people and machines use it: real processes, real FTPS, real directories.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod activation;
mod attacks;
mod authorisation;
mod bad_input;
mod commands;
mod components;
mod configuration;
mod cross_memory;
mod discovery;
mod emergency;
mod exit_codes;
mod faults;
mod front_door;
mod installation;
mod network_faults;
mod packages;
mod pages;
mod real_servers;
mod rules;
mod runtime;
mod scenario;
mod secrets;
mod systems;
mod world;
