//! The launcher with real scripts, processes, sockets and file systems.

mod activation;
mod components;
mod faults;
mod prepare;
mod run;
mod support;
mod world;
