//! Processes: how they are started, how they end, and which belong together.

pub(crate) mod cgroup;
pub(crate) mod ending;
pub(crate) mod oom;
pub(crate) mod proc;
pub(crate) mod signal;
pub(crate) mod spawn;
pub(crate) mod sys;
pub(crate) mod tree;
