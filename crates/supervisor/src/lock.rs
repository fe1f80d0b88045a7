//! One supervisor an instance: a lock that the kernel drops when its holder dies, and that names its holder.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

/// Held while the components of one HA instance are run.
#[derive(Debug)]
pub struct InstanceLock {
    file: File,
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id, on its host.
    pub pid: u32,
    /// The name of its host.
    pub host: String,
    /// Its host's boot: another one means that the process cannot live any more.
    pub boot_id: String,
    /// When it took the lock, by the clock of its host.
    pub since: String,
}

/// Says why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "the instance is run by process {} on {} since {}; stop that one first",
        holder.pid, holder.host, holder.since
    )]
    Held {
        /// Who.
        holder: Holder,
    },
    /// The lock file could not be used.
    #[error("use lock file `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl InstanceLock {
    /// Takes the lock of an HA instance, `<directory>/.lock-<ha id>`, at once or not at all.
    ///
    /// A holder that was killed leaves nothing behind that counts: the kernel drops its lock. The lock passes on to a
    /// forked child that keeps the file open, and is free once both are gone.
    pub fn acquire(directory: &Path, ha_id: &str) -> Result<Self, LockError> {
        let path = Self::path(directory, ha_id);
        let failed = |source| LockError::Io { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(failed)?;
                return Err(LockError::Held { holder: Holder::parse(&text) });
            }
            Err(error) => return Err(failed(error.into())),
        }
        let mut lock = Self { file };
        lock.sign().map_err(failed)?;
        Ok(lock)
    }

    /// Returns where the lock of an HA instance is.
    #[must_use]
    pub fn path(directory: &Path, ha_id: &str) -> PathBuf {
        directory.join(format!(".lock-{ha_id}"))
    }

    /// Returns who holds the lock of an HA instance, without touching it.
    #[must_use]
    pub fn holder(directory: &Path, ha_id: &str) -> Option<Holder> {
        let mut file = File::open(Self::path(directory, ha_id)).ok()?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                file.read_to_string(&mut text).ok()?;
                Some(Holder::parse(&text))
            }
            // Closing the file gives the shared lock back.
            _ => None,
        }
    }

    /// Writes down that this process is the holder; a process that was forked by the holder says so with this.
    pub fn sign(&mut self) -> std::io::Result<()> {
        let holder = Holder {
            pid: std::process::id(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            boot_id: crate::process::proc::boot_id(),
            since: Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        };
        let text = serde_json::to_string(&holder).expect("a holder is plain strings and numbers");
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }
}

impl Holder {
    /// Reads what a holder wrote; one that was just about to write is somebody unknown.
    fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Self {
            pid: 0,
            host: "an unknown host".to_owned(),
            boot_id: String::new(),
            since: "just now".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_held_names_its_holder_and_is_free_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(InstanceLock::holder(dir.path(), "ha1"), None);
        let lock = InstanceLock::acquire(dir.path(), "ha1").unwrap();
        let error = InstanceLock::acquire(dir.path(), "ha1").unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        assert_eq!(InstanceLock::holder(dir.path(), "ha1").unwrap().pid, std::process::id());
        InstanceLock::acquire(dir.path(), "ha2").unwrap();
        drop(lock);
        InstanceLock::acquire(dir.path(), "ha1").unwrap();
    }

    #[test]
    fn lock_of_a_holder_that_has_not_signed_yet_is_held_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let lock = InstanceLock::acquire(dir.path(), "ha1").unwrap();
        lock.file.set_len(0).unwrap();
        assert!(matches!(InstanceLock::acquire(dir.path(), "ha1"), Err(LockError::Held { .. })));
    }
}
