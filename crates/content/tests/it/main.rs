//! Servlinks and directories as their users see them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod child;
mod crash;
mod hostile;
mod memory;
mod round_trip;
mod setup;
mod sizes;
