//! The library against a server made of its own parts: real sockets, real shared memory, real processes.

mod calls;
mod connect;
mod hostile;
mod operator;
mod plugins;
mod reconnect;
mod server;
