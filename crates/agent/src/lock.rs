//! One executor at a time: a lock that the kernel drops when its holder dies, and that names its holder.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;

use jiff::Timestamp;
use rustix::fs::FlockOperation;

use crate::home::Home;

/// Held while the slots, levels and objects may be changed.
#[derive(Debug)]
pub(crate) struct ExecutorLock {
    file: File,
}

impl Drop for ExecutorLock {
    /// Closing the file alone is not enough: a process that was forked meanwhile holds the file, and with it the
    /// lock, until it gets to its exec.
    fn drop(&mut self) {
        rustix::fs::flock(&self.file, FlockOperation::Unlock).ok();
    }
}

/// Says why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("this managed system is being changed by {holder}; wait for it to end")]
    Held {
        /// Who, as the holder wrote it down.
        holder: String,
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

impl ExecutorLock {
    pub(crate) fn acquire(home: &Home, purpose: &str) -> Result<Self, LockError> {
        let path = home.root().join("run/executor.lock");
        let failed = |source| LockError::Io { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(failed)?;
                let holder = if holder.trim().is_empty() { "another process" } else { holder.trim() };
                return Err(LockError::Held { holder: holder.to_owned() });
            }
            Err(error) => return Err(failed(error.into())),
        }
        let holder = format!("process {} ({purpose}) since {}\n", std::process::id(), Timestamp::now());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(failed)?;
        Ok(Self { file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::AgentConfig;

    #[test]
    fn lock_held_names_its_holder_and_is_free_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::create(dir.path(), &AgentConfig::named("VM01")).unwrap();
        let lock = ExecutorLock::acquire(&home, "test").unwrap();
        let error = ExecutorLock::acquire(&home, "test").unwrap_err();
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        drop(lock);
        ExecutorLock::acquire(&home, "test").unwrap();
    }
}
