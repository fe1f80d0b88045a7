//! One server a name: a lock that the kernel drops when its holder dies, and that names its holder.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// Its process.
    pub(crate) pid: u32,
    /// When it took the lock.
    pub(crate) since: String,
    /// Its version.
    pub(crate) version: String,
}

/// Says why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another process has it.
    #[error("held by process {}", .0.pid)]
    Held(Holder),
    /// The file is not what it should be, or cannot be used.
    #[error("use lock file `{}`", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Held while the server of a name runs.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock `lock` in a directory, at once or not at all.
    pub(crate) fn acquire(directory: &OwnedFd, path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        // A file that is replaced between opening and locking is not the one that others lock.
        for _ in 0..16 {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let opened = rustix::fs::openat(directory, "lock", flags, Mode::from_raw_mode(0o644));
            let mut file = File::from(opened.map_err(|error| failed(error.into()))?);
            // Whatever the umask took: who holds a name is no secret. Somebody else's file is left to fail below.
            rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644)).ok();
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(LockError::Held(holder(&mut file))),
                Err(error) => return Err(failed(error.into())),
            }
            let ours = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?;
            let there = rustix::fs::statat(directory, "lock", AtFlags::SYMLINK_NOFOLLOW);
            if there.is_ok_and(|there| (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)) {
                let mut lock = Self { file };
                lock.sign().map_err(failed)?;
                return Ok(lock);
            }
        }
        Err(failed(io::Error::other("it is replaced again and again")))
    }

    /// Takes over the lock that this program had before it executed itself anew.
    pub(crate) fn adopt(file: OwnedFd) -> io::Result<Self> {
        let mut lock = Self { file: file.into() };
        rustix::fs::flock(&lock.file, FlockOperation::NonBlockingLockExclusive)?;
        lock.sign()?;
        Ok(lock)
    }

    /// Writes down who holds it.
    fn sign(&mut self) -> io::Result<()> {
        let holder = Holder {
            pid: std::process::id(),
            since: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let text = serde_json::to_string(&holder).expect("a holder is plain text and numbers");
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// Reads who holds a lock; one that was just about to write is somebody unknown.
fn holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.take(4096).read_to_string(&mut text);
    read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_else(|| Holder {
        pid: 0,
        since: "just now".to_owned(),
        version: "unknown".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> OwnedFd {
        File::open(path).unwrap().into()
    }

    #[test]
    fn lock_held_names_its_holder_and_is_free_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let fd = open(dir.path());
        let lock = Lock::acquire(&fd, dir.path()).unwrap();
        let Err(LockError::Held(holder)) = Lock::acquire(&fd, dir.path()) else { panic!("held") };
        assert_eq!(holder.pid, std::process::id());
        drop(lock);
        Lock::acquire(&fd, dir.path()).unwrap();
    }

    #[test]
    fn lock_that_is_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("victim"), "precious").unwrap();
        std::os::unix::fs::symlink("victim", dir.path().join("lock")).unwrap();
        assert!(matches!(Lock::acquire(&open(dir.path()), dir.path()), Err(LockError::Io { .. })));
        assert_eq!(std::fs::read_to_string(dir.path().join("victim")).unwrap(), "precious");
    }
}
