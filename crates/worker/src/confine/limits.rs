//! Limits of resources.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};

/// Limits that hold for a process and what it starts; what is `None` stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Longest core dump, in bytes.
    pub core_bytes: Option<u64>,
    /// Open descriptors.
    pub descriptors: Option<u64>,
    /// Processes and threads of the user.
    pub processes: Option<u64>,
    /// Address space, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time, in seconds.
    pub processor_s: Option<u64>,
    /// Longest file, in bytes.
    pub file_bytes: Option<u64>,
}

impl Default for ResourceLimits {
    fn default() -> Self {
        Self {
            core_bytes: Some(0),
            descriptors: None,
            processes: None,
            memory_bytes: None,
            processor_s: None,
            file_bytes: None,
        }
    }
}

impl ResourceLimits {
    /// Sets them, soft and hard; one that is above the hard limit there is now becomes that.
    pub(crate) fn apply(&self) -> Result<(), Errno> {
        let all = [
            (Resource::Core, self.core_bytes),
            (Resource::Nofile, self.descriptors),
            (Resource::Nproc, self.processes),
            (Resource::As, self.memory_bytes),
            (Resource::Cpu, self.processor_s),
            (Resource::Fsize, self.file_bytes),
        ];
        for (resource, limit) in all {
            let Some(limit) = limit else { continue };
            let hard = rustix::process::getrlimit(resource).maximum.map_or(limit, |hard| hard.min(limit));
            let new = Rlimit { current: Some(hard), maximum: Some(hard) };
            rustix::process::setrlimit(resource, new)?;
        }
        Ok(())
    }
}
