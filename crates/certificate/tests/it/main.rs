//! Certificates made and read here, against OpenSSL, Java's keytool and Python.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says why")]

mod convert;
mod faults;
mod hostile;
mod import;
mod renew;
mod service;
mod setup;
mod trust;
mod verify;
mod world;
