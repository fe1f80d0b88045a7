//! Workers as processes of their own, looked at from outside.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

mod confine;
mod inspect;
mod network;
mod order;
mod password;
mod place;
mod port;
mod runas;
mod world;
