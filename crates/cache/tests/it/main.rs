//! All stores against one contract, and what each of them is chosen for.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod contract;
mod disk;
mod servers;
mod service;
mod stores;
