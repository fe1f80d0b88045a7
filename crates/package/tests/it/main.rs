//! The signed repository from the outside: what is published can be verified, anything else is refused.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

mod fixture;
mod python;
mod repository;
