//! The signed repository from the outside: what is published can be verified, anything else is refused.

mod fixture;
mod python;
mod repository;
