//! What `/proc` tells of processes.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

/// One process, as its `stat` file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    /// It ended and waits for its parent to be told.
    pub(crate) is_zombie: bool,
    /// Since boot; with the pid it names a process once and for all.
    pub(crate) start_ticks: u64,
    /// Processor time of it and of its children that ended, in ticks.
    pub(crate) cpu_ticks: u64,
    /// Memory it has in use, in pages.
    pub(crate) resident_pages: u64,
}

impl Stat {
    /// Reads the facts of a process that exists.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        // One read into a small buffer: a file of /proc has no length, and 500 of these are read in a row.
        let mut buffer = [0_u8; 1024];
        let length = fs::File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut buffer).ok()?;
        Self::parse(pid, &buffer[..length])
    }

    /// Reads `pid (name) state parent …`; the name may hold anything, also brackets and blanks.
    fn parse(pid: i32, text: &[u8]) -> Option<Self> {
        let after_name = text.iter().rposition(|byte| *byte == b')')? + 2;
        let text = std::str::from_utf8(text.get(after_name..)?).ok()?;
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        // Numbered as in proc(5), which counts from 1 and has the state as number 3.
        let number = |at: usize| fields.get(at - 3).and_then(|field| field.parse::<u64>().ok());
        let signed = |at: usize| fields.get(at - 3).and_then(|field| field.parse::<i32>().ok());
        Some(Self {
            pid,
            parent: signed(4)?,
            session: signed(6)?,
            is_zombie: matches!(fields.first(), Some(&("Z" | "X"))),
            start_ticks: number(22)?,
            cpu_ticks: number(14)? + number(15)? + number(16)? + number(17)?,
            resident_pages: number(24)?,
        })
    }
}

/// Returns the numbers of all processes that this one can see.
pub(crate) fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Returns the children of this process, or none where the kernel has no list of them.
pub(crate) fn own_children() -> Option<Vec<i32>> {
    let mut children = Vec::new();
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let text = fs::read_to_string(task.path().join("children")).ok()?;
        children.extend(text.split_ascii_whitespace().filter_map(|word| word.parse::<i32>().ok()));
    }
    Some(children)
}

/// Returns the value that a variable had when a process was started, as far as it did not write over it.
pub(crate) fn variable(pid: i32, name: &str) -> Option<String> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let line = environ
        .split(|byte| *byte == 0)
        .find(|line| line.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'=')))?;
    Some(String::from_utf8_lossy(&line[name.len() + 1..]).into_owned())
}

/// Returns the program a process runs.
pub(crate) fn program(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Returns the short name of a process.
pub(crate) fn name(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .map_or_else(|_| "?".to_owned(), |name| name.trim_end().to_owned())
}

/// Returns what names this boot of the machine.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Returns a name that nobody else has.
pub(crate) fn new_uuid() -> std::io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_of_a_process_with_an_odd_name_is_read() {
        let text = b"7 (a) R (b) S 1 7 5 0 -1 4194304 10 0 0 0 1 2 3 4 20 0 1 0 999 1000 55 0";
        let stat = Stat::parse(7, text).unwrap();
        let expected = Stat {
            pid: 7,
            parent: 1,
            session: 5,
            is_zombie: false,
            start_ticks: 999,
            cpu_ticks: 10,
            resident_pages: 55,
        };
        assert_eq!(stat, expected);
        assert_eq!(Stat::parse(7, b"7 (cut"), None);
    }

    #[test]
    fn stat_of_this_process_is_what_the_system_says() {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let stat = Stat::of(pid).unwrap();
        assert_eq!(stat.parent, rustix::process::getppid().unwrap().as_raw_nonzero().get());
        assert!(stat.resident_pages > 0 && !stat.is_zombie);
        assert!(pids().contains(&pid));
    }

    #[test]
    fn variable_of_a_process_is_found_by_its_whole_name() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .env_clear()
            .env("TENDER_X_LONG", "1")
            .env("TENDER_X", "two")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let value = variable(pid, "TENDER_X");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(value.as_deref(), Some("two"));
        assert_eq!(variable(pid, "TENDER_X"), None);
    }
}
