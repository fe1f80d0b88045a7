//! The gateway between real connections: clients that speak bytes, services that do.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod certified;
mod connections;
mod discovery;
mod faults;
mod login;
mod personal;
mod routing;
mod tls;
mod tunnels;
mod world;
