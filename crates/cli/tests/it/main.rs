//! The `tender` command as people and machines use it: real processes, real FTPS, real directories.

mod bad_input;
mod commands;
mod faults;
mod scenario;
mod systems;
mod world;
