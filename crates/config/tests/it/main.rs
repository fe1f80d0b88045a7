//! Whole configurations, from files to what components get.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod convert;
mod environment;
mod fixture;
mod instance;
mod load;
mod manifest;
