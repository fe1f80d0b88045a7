//! What is promised of the crate as a whole.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

mod generate;
mod second_opinion;
mod stores;
mod watching;
