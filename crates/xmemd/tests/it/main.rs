//! The server from outside: real processes, real users.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper of a test may do what the test itself may"
)]

mod authorisation;
mod crashes;
mod hostile;
mod lifecycle;
mod operators;
mod plugins;
mod replacement;
mod services;
mod wire;
mod world;
