//! A cgroup (version 2) for one box: everything in it is limited together and killed together.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A directory in the cgroup file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    directory: PathBuf,
}

/// What the processes of a cgroup may use together; `None` for no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CgroupLimits {
    /// Memory, in bytes. None of it is swapped out.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Share of the processors beside others: 1 to 10000, usual is 100.
    pub processor_weight: Option<u32>,
}

impl Cgroup {
    /// Makes the directory, or takes the one that is there. Its parent must be a cgroup that may be written.
    pub fn create(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // In a file system that is no cgroup the directory can be made as well.
        if !directory.join("cgroup.procs").exists() {
            let _empty_again = fs::remove_dir(&directory);
            return Err(io::Error::new(io::ErrorKind::Unsupported, "not in a cgroup version 2 file system"));
        }
        Ok(Self { directory })
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Sets limits; returns those that the controllers of this cgroup cannot hold, with the reason.
    #[must_use]
    pub fn limit(&self, limits: CgroupLimits) -> Vec<String> {
        let mut missing = Vec::new();
        let mut set = |file: &str, value: Option<String>| {
            if let Some(value) = value
                && let Err(error) = fs::write(self.directory.join(file), value)
            {
                missing.push(format!("{file}: {error}"));
            }
        };
        set("memory.max", limits.memory_bytes.map(|bytes| bytes.to_string()));
        set("memory.swap.max", limits.memory_bytes.map(|_bytes| "0".to_owned()));
        set("pids.max", limits.processes.map(|processes| processes.to_string()));
        set("cpu.weight", limits.processor_weight.map(|weight| weight.to_string()));
        missing
    }

    /// Moves the calling process into it.
    pub fn enter(&self) -> io::Result<()> {
        fs::write(self.directory.join("cgroup.procs"), "0")
    }

    /// Kills every process in it, also those that are just being made.
    pub fn kill(&self) -> io::Result<()> {
        fs::write(self.directory.join("cgroup.kill"), "1")
    }

    /// Whether no process is in it or below it.
    pub fn is_empty(&self) -> io::Result<bool> {
        let events = fs::read_to_string(self.directory.join("cgroup.events"))?;
        Ok(events.lines().any(|line| line == "populated 0"))
    }

    /// Removes it; fails while a process is in it.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_dir(&self.directory)
    }
}
