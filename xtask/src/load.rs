//! Loads: what is put on the product to measure it, or to find out what it does most.

pub(crate) mod gateway;
mod served;

pub(crate) use served::{Served, free_ports, work_dir};
