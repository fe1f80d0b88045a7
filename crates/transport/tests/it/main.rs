//! Both ends of the transport against each other, and the server against clients of other makes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod enrolment;
mod files;
mod limits;
mod login;
mod paths;
mod real_clients;
mod resume;
mod words;
mod world;
