//! Validate, configure, start: instance directories, components and what a launcher does with them.
//!
//! Nothing here prints: results are values, and what happens meanwhile goes to a [`progress::Progress`].

pub mod activation;
pub mod check;
pub mod component;
pub mod discover;
pub mod fingerprint;
pub mod https;
pub mod instance;
pub mod launch;
pub mod layout;
pub mod library;
pub mod logs;
pub mod message;
mod parallel;
pub mod ports;
pub mod prepare;
pub mod probe;
pub mod progress;
pub mod register;
pub mod script;
pub mod summary;
pub mod support;
pub mod verify;
