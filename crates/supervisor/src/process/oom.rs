//! Whether the kernel killed a process because the whole machine was out of memory.

use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

/// The kernel's log is not read further than this, in records.
const RECORDS_MAX: usize = 100_000;
/// A record is not longer (Linux, Documentation/ABI/testing/dev-kmsg), in bytes.
const RECORD_BYTES: usize = 8 << 10;

/// Remembers how often the kernel has killed for want of memory.
#[derive(Debug)]
pub(crate) struct OutOfMemory {
    kills: u64,
}

impl OutOfMemory {
    pub(crate) fn new() -> Self {
        Self { kills: kills() }
    }

    /// Says whether the kernel's log names a process among its victims; read only when there are new ones.
    ///
    /// A log that may not be read leaves the question open, which is a no.
    pub(crate) fn is_victim(&mut self, pid: i32) -> bool {
        let now = kills();
        if now == self.kills {
            return false;
        }
        let is_named = is_named(pid);
        // There may be more victims to ask for; once the log names none it is not read for nothing again.
        self.kills = if is_named { self.kills.saturating_add(1) } else { now };
        is_named
    }
}

fn kills() -> u64 {
    let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    parse_kills(&text).unwrap_or(0)
}

fn parse_kills(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

fn is_named(pid: i32) -> bool {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg");
    let Ok(mut log) = opened else { return false };
    let mut record = [0; RECORD_BYTES];
    for _ in 0..RECORDS_MAX {
        match log.read(&mut record) {
            Ok(length @ 1..) if is_record_of(&String::from_utf8_lossy(&record[..length]), pid) => {
                return true;
            }
            // One that was overwritten while it was read: the next one follows.
            Ok(1..) => {}
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            _ => return false,
        }
    }
    false
}

/// Says whether a record tells of the end of this process.
fn is_record_of(record: &str, pid: i32) -> bool {
    record.contains(&format!("Killed process {pid} ("))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn victim_is_read_from_the_kernels_words() {
        assert_eq!(parse_kills("nr_free_pages 5\noom_kill 12\nx 1\n"), Some(12));
        assert_eq!(parse_kills("oom_kill_other 12\n"), None);
        let record = "3,812,5;Out of memory: Killed process 4711 (java) total-vm:9kB, anon-rss:8kB\n";
        assert!(is_record_of(record, 4711) && !is_record_of(record, 471));
    }

    #[test]
    fn process_that_nobody_killed_is_no_victim() {
        assert!(!OutOfMemory::new().is_victim(i32::try_from(std::process::id()).unwrap()));
        // Counted anew, the log is read and does not name it.
        assert!(!OutOfMemory { kills: u64::MAX }.is_victim(i32::try_from(std::process::id()).unwrap()));
    }
}
