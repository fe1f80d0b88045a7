//! What is promised of the crate as a whole.

mod generate;
mod second_opinion;
mod stores;
mod watching;
