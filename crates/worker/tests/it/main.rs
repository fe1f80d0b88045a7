//! Workers as processes of their own, looked at from outside.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper of a test may do what the test itself may"
)]

mod confine;
mod inspect;
mod network;
mod order;
mod password;
mod place;
mod port;
mod runas;
mod world;
