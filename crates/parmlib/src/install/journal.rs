//! What has to be taken back when a run does not reach its end.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::accounts;
use super::failure::InstallError;
use super::found::present;

/// One thing to take back. Whether it was done or not makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Undo {
    /// A directory that was not there.
    Directory { path: PathBuf },
    /// A file; `digest` is what it was to hold, `backup` the name under which the one before is kept.
    File { path: PathBuf, digest: String, staged: PathBuf, backup: Option<PathBuf> },
    /// A user that was not there.
    User { name: String },
}

/// Held while something is installed.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    directory: PathBuf,
    /// The lock goes with the descriptor.
    _lock: File,
}

impl Journal {
    /// Takes the lock, at once or not at all.
    pub(super) fn open(directory: &Path) -> Result<Self, InstallError> {
        std::fs::create_dir_all(directory).map_err(|fault| InstallError::io("make", directory, fault))?;
        let lock_path = directory.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|fault| InstallError::io("open", &lock_path, fault))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(InstallError::Busy { path: lock_path }),
            Err(error) => return Err(InstallError::io("lock", &lock_path, error.into())),
        }
        Ok(Self { path: directory.join("journal"), directory: directory.to_owned(), _lock: lock })
    }

    /// Takes back what a run that was cut off has left; says whether there was one.
    pub(super) fn recover(&self) -> Result<bool, InstallError> {
        let text = match std::fs::read(&self.path) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(false),
            read => read.map_err(|fault| InstallError::io("read", &self.path, fault))?,
        };
        let entries: Vec<Undo> = serde_json::from_slice(&text)
            .map_err(|source| InstallError::Journal { path: self.path.clone(), source })?;
        self.take_back(&entries, "an earlier run was cut off")?;
        Ok(true)
    }

    /// Writes down, durably, what has to be taken back.
    pub(super) fn begin(&self, entries: &[Undo]) -> Result<(), InstallError> {
        let beside = self.path.with_extension("new");
        let text = serde_json::to_vec(entries).expect("paths of a plan are text");
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written
            .and_then(|()| std::fs::rename(&beside, &self.path))
            .and_then(|()| sync(&self.directory))
            .map_err(|fault| InstallError::io("write", &self.path, fault))
    }

    /// Forgets what has to be taken back: from here on the new state is the state.
    pub(super) fn end(&self) -> Result<(), InstallError> {
        absent(std::fs::remove_file(&self.path))
            .and_then(|()| sync(&self.directory))
            .map_err(|fault| InstallError::io("remove", &self.path, fault))
    }

    /// Takes everything back, the last first, and forgets it.
    pub(super) fn take_back(&self, entries: &[Undo], cause: &str) -> Result<(), InstallError> {
        for entry in entries.iter().rev() {
            entry.carry_out().map_err(|(path, source)| InstallError::HalfDone {
                path,
                cause: cause.to_owned(),
                source,
            })?;
        }
        self.end()
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Takes "it is not there" as done.
fn absent(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

impl Undo {
    fn carry_out(&self) -> Result<(), (PathBuf, io::Error)> {
        match self {
            Self::Directory { path } => match absent(std::fs::remove_dir(path)) {
                // Somebody has put something there; it stays his.
                Err(fault) if fault.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
                removed => removed.map_err(|fault| (path.clone(), fault)),
            },
            Self::File { path, digest, staged, backup } => {
                take_back_file(path, digest, backup.as_deref()).map_err(|fault| (path.clone(), fault))?;
                absent(std::fs::remove_file(staged)).map_err(|fault| (staged.clone(), fault))?;
                let directory = path.parent().unwrap_or(Path::new("/"));
                absent(sync(directory)).map_err(|fault| (directory.to_owned(), fault))
            }
            Self::User { name } => {
                accounts::remove(name).map_err(|fault| (PathBuf::from(name), io::Error::other(fault)))
            }
        }
    }
}

/// Takes one file back. Only what this product wrote is replaced or removed: somebody else may have been quicker.
fn take_back_file(path: &Path, digest: &str, backup: Option<&Path>) -> io::Result<()> {
    let is_ours = match present(path) {
        Ok(present) => present.is_some_and(|present| present.digest.to_string() == digest),
        Err(InstallError::NotAFile { .. }) => false,
        Err(fault) => return Err(io::Error::other(fault)),
    };
    absent(match (is_ours, backup) {
        (true, Some(backup)) => std::fs::rename(backup, path),
        (true, None) => std::fs::remove_file(path),
        (false, Some(backup)) => std::fs::remove_file(backup),
        (false, None) => Ok(()),
    })
}
