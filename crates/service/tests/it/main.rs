//! The principal as a whole, against managed systems that only keep files.

#![expect(clippy::unwrap_used, reason = "what tests share is as much a test as they are")]

mod faults;
mod fleet;
mod levels;
mod site;
mod systems;
