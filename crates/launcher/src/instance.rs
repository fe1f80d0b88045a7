//! Instances: a configuration, its writable directories, and which of its HA instances is meant.

pub mod init;
pub mod unit;
