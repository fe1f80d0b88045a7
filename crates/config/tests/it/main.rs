//! Whole configurations, from files to what components get.

mod convert;
mod environment;
mod fixture;
mod instance;
mod load;
mod manifest;
