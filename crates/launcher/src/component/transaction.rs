//! Replacing a component as one step: after a failure or a kill it is the old one or the new one.
//!
//! ```text
//! <extensions>/.tender/lock             one change at a time
//! <extensions>/.tender/work/            what is being read or put aside; emptied at every start
//! <extensions>/.tender/backup/<name>    the old component, until the new one is accepted
//! <extensions>/.tender/journal.json     what is going on
//!
//!           stage          journal          rename old away, new in       accept           drop backup, journal
//! nothing ───────► staged ─────────► begun ─────────────────────► placed ────────► accepted ─────────► nothing
//!                                      └── kill or failure: back ────┘                └── kill: forward
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use tender_content::durable::{self, DurableError};
use tender_content::fault;

use crate::component::ownership;
use crate::layout::{LayoutError, create_dir, remove_dir, remove_file};

/// Where a test may kill a change of components; each is passed by an upgrade.
pub const FAULT_POINTS: &[&str] = &[
    "component.staged",
    "component.journal",
    "component.backup",
    "component.placed",
    "component.hook",
    "component.accepted",
    "component.enabled",
    "component.cleaned",
];

/// Says why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// Another process changes components.
    #[error("components in `{}` are being changed by another process", directory.display())]
    Busy {
        /// The extension directory.
        directory: PathBuf,
    },
    /// The lock could not be used.
    #[error("lock `{}`", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file or directory could not be written, moved or removed.
    #[error("change components")]
    Write(#[from] DurableError),
    /// A directory could not be made or removed.
    #[error("change components")]
    Layout(#[from] LayoutError),
    /// What root made cannot be given to the owner of the directory.
    #[error("give `{}` to the owner of the extension directory", path.display())]
    Owner {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What the journal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Journal {
    /// The component.
    name: String,
    /// There was one before.
    is_replaced: bool,
    /// It is taken away and nothing comes instead: go forward.
    is_removal: bool,
    /// The new one is accepted: go forward.
    is_accepted: bool,
    /// What is still to be written into a configuration when it is accepted.
    enabling: Option<Enabling>,
}

/// A switch of `components.<name>.enabled` that belongs to a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enabling {
    /// The configuration file.
    pub file: PathBuf,
    /// The key, such as `components.redis.enabled`.
    pub key: String,
    /// The value.
    pub is_enabled: bool,
    /// What it was before, to go back to.
    pub was_enabled: bool,
}

/// The extension directory, held for one change.
#[derive(Debug)]
pub struct Extensions {
    directory: PathBuf,
    lock: File,
}

impl Drop for Extensions {
    fn drop(&mut self) {
        // Closing is not enough: a child that is between fork and exec has the file open as well.
        flock(&self.lock, FlockOperation::Unlock).ok();
    }
}

/// What was finished or undone of a change that had been killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The component.
    pub name: String,
    /// The change was finished; otherwise it was undone.
    pub is_finished: bool,
    /// The switch that belonged to it: finished changes have made it, undone ones may have.
    pub enabling: Option<Enabling>,
}

impl Extensions {
    /// Locks the directory and finishes or undoes what a killed change left.
    pub fn open(directory: &Path) -> Result<(Self, Option<Recovered>), TransactionError> {
        let private = directory.join(".tender");
        create_dir(&private, 0o700)?;
        let path = private.join("lock");
        let failed = |source| TransactionError::Lock { path: path.clone(), source };
        let lock = File::options().create(true).append(true).open(&path).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(TransactionError::Busy { directory: directory.to_owned() });
            }
            Err(error) => return Err(failed(error.into())),
        }
        let extensions = Self { directory: directory.to_owned(), lock };
        let recovered = extensions.recover()?;
        remove_dir(&extensions.work())?;
        create_dir(&extensions.work(), 0o700)?;
        create_dir(&private.join("backup"), 0o700)?;
        extensions.give_away(&private)?;
        Ok((extensions, recovered))
    }

    /// Gives what root made here to the owner of the directory.
    fn give_away(&self, path: &Path) -> Result<(), TransactionError> {
        let failed = |source| TransactionError::Owner { path: path.to_owned(), source };
        ownership::give_away(&self.directory, path).map_err(failed)
    }

    /// Returns where a component is staged: the same file system, not seen as a component.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.directory.join(".tender/work")
    }

    /// Returns where a component lies.
    #[must_use]
    pub fn place(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn backup(&self, name: &str) -> PathBuf {
        self.directory.join(".tender/backup").join(name)
    }

    fn journal_path(&self) -> PathBuf {
        self.directory.join(".tender/journal.json")
    }

    fn write(&self, journal: &Journal) -> Result<(), TransactionError> {
        let text = serde_json::to_vec(journal).expect("plain values are JSON");
        Ok(durable::write_secret_atomically(&self.journal_path(), &text)?)
    }

    /// Puts `staged` where component `name` lies, runs `accept` there, and keeps or undoes it.
    ///
    /// `accept` failing puts the old component back and returns its error. What `enabling` asks for is done by
    /// `enable` when there is no way back any more.
    pub fn replace<E: From<TransactionError>>(
        &self,
        name: &str,
        staged: &Path,
        enabling: Option<Enabling>,
        accept: impl FnOnce(&Path) -> Result<(), E>,
        enable: impl FnOnce(&Enabling) -> Result<(), E>,
    ) -> Result<(), E> {
        self.give_away(staged)?;
        fault::point("component.staged");
        let target = self.place(name);
        let is_replaced = target.symlink_metadata().is_ok();
        let journal =
            Journal { name: name.to_owned(), is_replaced, is_removal: false, is_accepted: false, enabling };
        self.write(&journal)?;
        fault::point("component.journal");
        let done =
            self.swap(&journal, staged).map_err(E::from).and_then(|()| accept(&target)).and_then(|()| {
                fault::point("component.hook");
                journal.enabling.as_ref().map_or(Ok(()), enable)?;
                fault::point("component.enabled");
                Ok(self.write(&Journal { is_accepted: true, ..journal.clone() })?)
            });
        if let Err(error) = done {
            self.undo(&journal)?;
            return Err(error);
        }
        fault::point("component.accepted");
        Ok(self.finish(&journal)?)
    }

    fn swap(&self, journal: &Journal, staged: &Path) -> Result<(), TransactionError> {
        let target = self.place(&journal.name);
        if journal.is_replaced {
            durable::rename_durably(&target, &self.backup(&journal.name))?;
        }
        fault::point("component.backup");
        durable::rename_durably(staged, &target)?;
        fault::point("component.placed");
        Ok(())
    }

    /// Takes component `name` away; from here on a kill is followed by finishing it.
    pub fn remove(&self, name: &str) -> Result<(), TransactionError> {
        let journal = Journal {
            name: name.to_owned(),
            is_replaced: true,
            is_removal: true,
            is_accepted: true,
            enabling: None,
        };
        self.write(&journal)?;
        fault::point("component.journal");
        self.take_away(name)?;
        self.finish(&journal)
    }

    fn take_away(&self, name: &str) -> Result<(), TransactionError> {
        let (target, backup) = (self.place(name), self.backup(name));
        if target.symlink_metadata().is_ok() && backup.symlink_metadata().is_err() {
            durable::rename_durably(&target, &backup)?;
        }
        fault::point("component.backup");
        Ok(())
    }

    /// Puts the old component back.
    fn undo(&self, journal: &Journal) -> Result<(), TransactionError> {
        let (target, backup) = (self.place(&journal.name), self.backup(&journal.name));
        let has_backup = backup.symlink_metadata().is_ok();
        // Without the backup the old one never left its place.
        if (has_backup || !journal.is_replaced) && target.symlink_metadata().is_ok() {
            remove_any(&target)?;
        }
        if has_backup {
            durable::rename_durably(&backup, &target)?;
        }
        Ok(remove_file(&self.journal_path())?)
    }

    fn finish(&self, journal: &Journal) -> Result<(), TransactionError> {
        remove_any(&self.backup(&journal.name))?;
        fault::point("component.cleaned");
        Ok(remove_file(&self.journal_path())?)
    }

    fn recover(&self) -> Result<Option<Recovered>, TransactionError> {
        let Ok(text) = fs::read(self.journal_path()) else { return Ok(None) };
        // The journal is replaced atomically: one that cannot be read was not written by us and says nothing.
        let Ok(journal) = serde_json::from_slice::<Journal>(&text) else {
            remove_file(&self.journal_path())?;
            return Ok(None);
        };
        if journal.is_removal {
            self.take_away(&journal.name)?;
        }
        if journal.is_accepted {
            self.finish(&journal)?;
        } else {
            self.undo(&journal)?;
        }
        let is_finished = journal.is_accepted;
        let enabling = journal.enabling;
        Ok(Some(Recovered { name: journal.name, is_finished, enabling }))
    }
}

/// Removes a link, file or tree, also one whose directories are not writable.
fn remove_any(path: &Path) -> Result<(), TransactionError> {
    match path.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(metadata) if metadata.is_dir() => Ok(remove_dir(path)?),
        Ok(_) => Ok(remove_file(path)?),
    }
}
