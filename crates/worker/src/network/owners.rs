//! Which processes have which sockets open: a walk through `/proc/<pid>/fd`.

use std::collections::HashMap;
use std::time::Instant;

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::Owner;

/// What a walk found.
#[derive(Debug)]
pub(super) struct Owners {
    pub(super) by_inode: HashMap<u64, Vec<Owner>>,
    /// Whether every process was looked at.
    pub(super) complete: bool,
}

/// Looks at all processes, or at one, until `deadline`.
pub(super) fn find(only: Option<u32>, deadline: Instant) -> Owners {
    let mut owners = Owners { by_inode: HashMap::new(), complete: true };
    let processes = match only {
        Some(pid) => vec![pid],
        None => numbers("/proc").unwrap_or_else(|_| {
            owners.complete = false;
            Vec::new()
        }),
    };
    for pid in processes {
        if Instant::now() >= deadline {
            owners.complete = false;
            break;
        }
        match look(pid, &mut owners.by_inode, deadline) {
            // It has ended meanwhile, and owns nothing any more.
            Ok(true) | Err(Errno::NOENT | Errno::SRCH) => {}
            Ok(false) | Err(_) => owners.complete = false,
        }
    }
    owners
}

/// Notes the sockets of one process; false when time ran out.
fn look(pid: u32, by_inode: &mut HashMap<u64, Vec<Owner>>, deadline: Instant) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(format!("/proc/{pid}/fd"), flags, Mode::empty())?;
    let mut name = None;
    for entry in Dir::read_from(&directory)? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        let entry = entry?;
        let Ok(target) = rustix::fs::readlinkat(&directory, entry.file_name(), Vec::new()) else { continue };
        let Some(inode) = socket(target.as_bytes()) else { continue };
        let name = name.get_or_insert_with(|| name_of(pid)).clone();
        let owners = by_inode.entry(inode).or_default();
        if owners.last().is_none_or(|last| last.pid != pid) {
            owners.push(Owner { pid, name });
        }
    }
    Ok(true)
}

fn socket(target: &[u8]) -> Option<u64> {
    let digits = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn name_of(pid: u32) -> String {
    let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    // A process may call itself anything.
    let shown = |char: char| if char.is_control() { '?' } else { char };
    String::from_utf8_lossy(&name).trim_end_matches('\n').chars().map(shown).collect()
}

fn numbers(directory: &str) -> Result<Vec<u32>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty())?;
    let mut numbers = Vec::new();
    for entry in Dir::read_from(&directory)? {
        numbers.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_link_is_its_inode() {
        assert_eq!(socket(b"socket:[42]"), Some(42));
        assert_eq!(socket(b"socket:[x]"), None);
        assert_eq!(socket(b"pipe:[42]"), None);
        assert_eq!(socket(b"/tmp/socket:[42]"), None);
    }
}
