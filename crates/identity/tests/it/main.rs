//! Proofs of identity from outside: several processes on one directory, killed at any moment, on a disk that is full.

#![expect(clippy::unwrap_used, reason = "a helper of a test may do what the test itself may")]

mod full_disk;
mod killed;
mod together;
mod world;
