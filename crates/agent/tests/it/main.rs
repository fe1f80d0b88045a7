//! The managed system with real objects, packages and processes.

mod cycle;
mod disk;
mod faults;
mod network;
mod refusals;
mod servcheck;
mod world;
