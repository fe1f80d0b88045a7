//! The server from outside: real processes, real users.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper of a test may do what the test itself may"
)]

mod accounts;
mod authorisation;
mod busy;
mod crashes;
mod dependencies;
mod descriptors;
mod hostile;
mod large;
mod lifecycle;
mod load;
mod management;
mod operators;
mod plugins;
mod privileged;
mod replacement;
mod services;
mod soak;
mod strangers;
mod wire;
mod world;
