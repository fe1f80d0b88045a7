//! Which process a pidfd means, and whether it is still the one that was meant.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::process::Pid;
use rustix::time::Timespec;

/// When a process was started, in clock ticks since the host was: field 22 of `/proc/<pid>/stat`.
pub fn start_time(pid: u32) -> std::io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before it is in brackets and may have brackets and blanks itself.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    fields.split_whitespace().nth(19).and_then(|field| field.parse().ok()).ok_or_else(|| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, "/proc/<pid>/stat has no start time")
    })
}

/// What a descriptor means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A process of this number.
    Process(Pid),
    /// A process that has ended.
    Ended,
    /// One of another pid namespace.
    Elsewhere,
    /// No pidfd.
    None,
}

/// Looks at the kernel's own description of the descriptor.
pub(super) fn target(pidfd: BorrowedFd<'_>) -> std::io::Result<Target> {
    let description = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let line = description.lines().find_map(|line| line.strip_prefix("Pid:"));
    Ok(match line.and_then(|number| number.trim().parse::<i32>().ok()) {
        None => Target::None,
        Some(0) => Target::Elsewhere,
        Some(number) if number < 0 => Target::Ended,
        Some(number) => Pid::from_raw(number).map_or(Target::Ended, Target::Process),
    })
}

/// Whether the process of a pidfd runs: it was never over until now, so its number was its own all the time.
pub(super) fn lives(pidfd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    rustix::event::poll(&mut polled, Some(&Timespec::default())) == Ok(0)
}

/// Real, effective and saved uid of a process and the one for files.
pub(super) fn uids(pid: Pid) -> std::io::Result<[u32; 4]> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or("");
    let numbers: Vec<u32> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    numbers.try_into().map_err(|_other| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, "/proc/<pid>/status has no uids")
    })
}
