//! Processes of what is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// What is known of a process: two with the same number and start are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: i32,
    /// When it began, in ticks of the kernel's clock.
    pub(crate) start_ticks: u64,
}

impl Process {
    /// Returns the process of this number and its parent, if there is one.
    pub(crate) fn of(pid: i32) -> Option<(Self, i32)> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        Some((Self { pid, start_ticks: fields.get(19)?.parse().ok()? }, fields.get(1)?.parse().ok()?))
    }

    /// Says whether it still runs.
    pub(crate) fn is_there(&self) -> bool {
        Self::of(self.pid).is_some_and(|(now, _)| now == *self)
    }
}

/// Returns a process and everything that descends from it.
pub(crate) fn tree(root: u32) -> BTreeSet<Process> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some((process, parent)) = pid.and_then(Process::of) {
            children.entry(parent).or_default().push(process);
        }
    }
    let root = i32::try_from(root).expect("process numbers fit in 31 bits");
    let mut found: BTreeSet<Process> = Process::of(root).map(|(process, _)| process).into_iter().collect();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        for process in children.get(&pid).into_iter().flatten() {
            if found.insert(*process) {
                open.push(process.pid);
            }
        }
    }
    found
}

/// Returns the processor time of all threads of processes, in nanoseconds.
pub(crate) fn cpu_ns(pids: &[i32]) -> Result<u64, Failure> {
    let mut sum = 0;
    for pid in pids {
        let tasks = PathBuf::from(format!("/proc/{pid}/task"));
        for task in fs::read_dir(&tasks).map_err(Failure::file("read", &tasks))?.flatten() {
            // A thread may end meanwhile.
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            sum += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// Returns the memory of processes, shared pages divided among those who share them.
pub(crate) fn memory_bytes(pids: &[i32]) -> Result<u64, Failure> {
    let mut bytes = 0;
    for pid in pids {
        let path = PathBuf::from(format!("/proc/{pid}/smaps_rollup"));
        let text = fs::read_to_string(&path).map_err(Failure::file("read", &path))?;
        bytes += kilobytes(&text, "Pss:").unwrap_or(0) * 1024;
    }
    Ok(bytes)
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Lets time pass.
pub(crate) fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_of_this_process_are_read() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(cpu_ns(&[pid]).unwrap() > 0 && memory_bytes(&[pid]).unwrap() > 0);
        assert_eq!(kilobytes("Rss: 9 kB\nPss:     120 kB\n", "Pss:"), Some(120));
    }

    #[test]
    fn this_process_is_in_the_tree_of_its_parent() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let (process, parent) = Process::of(pid).unwrap();
        assert!(process.start_ticks > 0 && process.is_there());
        assert!(tree(u32::try_from(parent).unwrap()).contains(&process));
    }
}
