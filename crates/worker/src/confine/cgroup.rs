//! A cgroup (version 2) for one box: everything in it is limited together and killed together.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

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
        Self::made(directory)
    }

    /// Makes the directory as [`create`](Self::create) does, for one alone: one that is there already is an error.
    pub fn create_new(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        fs::create_dir(&directory)?;
        Self::made(directory)
    }

    fn made(directory: PathBuf) -> io::Result<Self> {
        // In a file system that is no cgroup the directory can be made as well.
        if !directory.join("cgroup.procs").exists() {
            let _empty_again = fs::remove_dir(&directory);
            return Err(io::Error::new(io::ErrorKind::Unsupported, "not in a cgroup version 2 file system"));
        }
        Ok(Self { directory })
    }

    /// Takes a directory that is one already.
    pub fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        if !directory.join("cgroup.procs").exists() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "not in a cgroup version 2 file system"));
        }
        Ok(Self { directory })
    }

    /// Finds the one that this process is in.
    pub fn own() -> io::Result<Self> {
        let cgroups = fs::read_to_string("/proc/self/cgroup")?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let none =
            || io::Error::new(io::ErrorKind::Unsupported, "no cgroup file system of version 2 is mounted");
        Self::open(locate(&cgroups, &mounts).ok_or_else(none)?)
    }

    /// Asks for controllers for the cgroups below it, as far as they are offered.
    ///
    /// A cgroup with controllers for those below may hold no process itself: one with this process alone in it is left
    /// for `aside`, a cgroup below it.
    pub fn offer(&self, controllers: &[&str], aside: &str) {
        let control = self.directory.join("cgroup.subtree_control");
        let (offered, enabled) = (self.words("cgroup.controllers"), words(&control));
        for name in controllers {
            let is = |list: &[String]| list.iter().any(|word| word == name);
            if !is(&offered) || is(&enabled) {
                continue;
            }
            let enable = || fs::write(&control, format!("+{name}"));
            let is_busy = enable().is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY));
            if is_busy && self.step_aside(aside).is_ok() {
                // A limit that cannot be held is told where it is set.
                enable().ok();
            }
        }
    }

    fn step_aside(&self, aside: &str) -> io::Result<()> {
        if self.words("cgroup.procs") != [std::process::id().to_string()] {
            return Err(io::Error::other("other processes live in this cgroup"));
        }
        Self::create(self.directory.join(aside))?.enter()
    }

    fn words(&self, file: &str) -> Vec<String> {
        words(&self.directory.join(file))
    }

    /// Whether it holds processes that this one cannot see: those of another PID namespace.
    #[must_use]
    pub fn has_strangers(&self) -> bool {
        self.words("cgroup.procs").iter().any(|pid| pid == "0")
    }

    /// The cgroups directly below it.
    #[must_use]
    pub fn below(&self) -> Vec<Self> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| Self { directory: entry.path() })
            .collect()
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
            let Some(value) = value else { return };
            let path = self.directory.join(file);
            if !path.exists() {
                missing.push(format!("{file}: the controller is not there"));
            } else if let Err(error) = fs::write(path, value) {
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

    /// Waits until no process is in it or below it, at most so long; says whether that is so.
    pub fn wait_until_empty(&self, timeout: Duration) -> io::Result<bool> {
        let events = fs::File::open(self.directory.join("cgroup.events"))?;
        let deadline = Instant::now() + timeout;
        let mut text = [0; 256];
        loop {
            // Reading is what makes the file tell of the next change.
            let length = rustix::io::pread(&events, &mut text, 0)?;
            let is_empty = text[..length].split(|byte| *byte == b'\n').any(|line| line == b"populated 0");
            let left = deadline.saturating_duration_since(Instant::now());
            if is_empty || left.is_zero() {
                return Ok(is_empty);
            }
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            match rustix::event::poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Removes it with those below it; fails while a process is in one of them.
    pub fn remove(&self) -> io::Result<()> {
        for below in self.below() {
            below.remove()?;
        }
        fs::remove_dir(&self.directory)
    }
}

fn words(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Finds the directory of a process's cgroup from its `cgroup` and `mountinfo` files.
fn locate(cgroups: &str, mounts: &str) -> Option<PathBuf> {
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        if after.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        let point = point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
        // Not `join` with nothing, which would end in a slash.
        Some(if below.as_os_str().is_empty() { PathBuf::from(point) } else { Path::new(&point).join(below) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_cgroup_is_found_where_it_is_mounted() {
        let mounts = "30 25 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n\
                      31 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let at = |cgroups, mounts| locate(cgroups, mounts).map(|path| path.display().to_string());
        let found = at("4:memory:/x\n0::/system.slice/a.service\n", mounts);
        assert_eq!(found.as_deref(), Some("/sys/fs/cgroup/unified/system.slice/a.service"));
        assert_eq!(at("0::/\n", mounts).as_deref(), Some("/sys/fs/cgroup/unified"));
        let inside = "30 25 0:26 /box /my\\040cg rw - cgroup2 c rw\n";
        assert_eq!(at("0::/box/in\n", inside).as_deref(), Some("/my cg/in"));
        assert_eq!((at("0::/else\n", inside), at("4:memory:/x\n", mounts)), (None, None));
    }
}
