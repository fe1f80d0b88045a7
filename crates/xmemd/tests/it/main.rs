//! The server from outside: real processes, real users.

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
