//! Ways to names: every step from the root to the directory is opened, looked at, and used by its descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::order::Refusal;

/// Names of files that are not complete yet begin so.
pub(super) const UNFINISHED: &str = ".tender-place-";
/// Unfinished files that are older belong to nobody any more, in seconds.
const ABANDONED_S: i64 = 600;

/// A name in a directory that belongs to root.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) directory: OwnedFd,
    pub(super) name: String,
}

impl Place {
    /// Goes from a root to a name below it.
    pub(super) fn open(root: &Path, name: &Path) -> Result<Self, Refusal> {
        let mut steps = Vec::new();
        for component in name.components() {
            match component {
                Component::Normal(step) => steps.push(step),
                _ => return Err(Refusal::invalid("name", "is relative, without `.` and `..`")),
            }
        }
        // `components` passes over these.
        let text = name.to_str().unwrap_or("");
        if text.split('/').any(|step| step.is_empty() || step == ".") || text.contains('\0') {
            return Err(Refusal::invalid("name", "is relative, without `.` and `..` and empty steps"));
        }
        let last =
            steps.pop().and_then(|last| last.to_str()).ok_or_else(|| Refusal::invalid("name", "is empty"))?;
        check_last("name", last)?;
        let mut directory = step(CWD, root)?;
        for one in steps {
            directory = step(&directory, Path::new(one))?;
        }
        Ok(Self { directory, name: last.to_owned() })
    }

    /// Makes what happened in the directory durable.
    pub(super) fn sync(&self) -> Result<(), Refusal> {
        rustix::fs::fsync(&self.directory)
            .map_err(|error| Refusal::system("make the directory durable", error))
    }

    /// Removes what a worker that was killed left unfinished.
    pub(super) fn tidy(&self) {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_str().is_ok_and(|name| self.is_abandoned(name)) {
                let _next_time = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
            }
        }
    }

    /// Whether it is unfinished and its worker has ended, or it is so old that its worker's number may be another's.
    fn is_abandoned(&self, name: &str) -> bool {
        let Some((worker, _)) = name.strip_prefix(UNFINISHED).and_then(|rest| rest.split_once('-')) else {
            return false;
        };
        let process = |pid: &str| rustix::fs::statat(CWD, format!("/proc/{pid}"), AtFlags::empty());
        if worker.bytes().all(|digit| digit.is_ascii_digit())
            && process("self").is_ok()
            && matches!(process(worker), Err(Errno::NOENT))
        {
            return true;
        }
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
        rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| now - stat.st_ctime > ABANDONED_S)
    }
}

pub(super) fn check_last(field: &str, name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(Refusal::invalid(field, "is a single name"));
    }
    if name.starts_with(UNFINISHED) {
        return Err(Refusal::invalid(field, format!("must not begin with `{UNFINISHED}`")));
    }
    Ok(())
}

/// Opens the next directory, which may be no link, belongs to root and can be written by nobody else.
fn step(from: impl AsFd, path: &Path) -> Result<OwnedFd, Refusal> {
    let shown = path.display();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let resolve = if path.is_absolute() { resolve } else { resolve | ResolveFlags::BENEATH };
    let directory =
        rustix::fs::openat2(from, path, flags, Mode::empty(), resolve).map_err(|error| match error {
            Errno::LOOP | Errno::XDEV => {
                Refusal::not_allowed(format!("`{shown}` is or leads over a symbolic link"))
            }
            error => Refusal::system(format!("open directory `{shown}`"), error),
        })?;
    let stat = rustix::fs::fstat(&directory)
        .map_err(|error| Refusal::system(format!("look at directory `{shown}`"), error))?;
    // Root's in the product; a worker without root places into what is its own.
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Refusal::not_allowed(format!("directory `{shown}` belongs to uid {}", stat.st_uid)));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(Refusal::not_allowed(format!("directory `{shown}` can be written by others")));
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_leaves_its_root_is_refused() {
        let root = Path::new("/nowhere-at-all");
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/../x",
            "/etc/passwd",
            "a/./b",
            "a//b",
            "a/",
            "./a",
            "a\0b",
            ".tender-place-1",
        ] {
            let refused = Place::open(root, Path::new(name)).unwrap_err();
            assert!(matches!(refused, Refusal::Invalid { .. }), "{name}: {refused}");
        }
    }
}
