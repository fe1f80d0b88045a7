//! Servlinks and directories as their users see them.

mod hostile;
mod round_trip;
mod setup;
mod sizes;
