//! Where things lie in an instance: workspace, private directory, logs.
//!
//! Several HA instances may share one workspace, on one host or on several. What a launcher generates carries the id
//! of its HA instance in its name, or the content is the same whoever writes it; every file is written under a
//! temporary name and renamed. Where one may remove what another is about to put in place, they take turns
//! (`Layout::take_turn`). So two that prepare at once do not disturb each other.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tender_content::durable::{self, DurableError};

/// The directories of one HA instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The writable working state, shared by all HA instances.
    pub workspace: PathBuf,
    /// Where components and the supervisor log.
    pub logs: PathBuf,
    /// The sanitised id of the HA instance.
    pub ha_id: String,
}

/// The turn of one writer in the files that HA instances share; it ends when this is dropped, or with the process.
#[derive(Debug)]
pub(crate) struct Turn {
    _file: File,
}

/// Says why a directory or file of an instance could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A directory could not be made.
    #[error("create directory `{}`", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file could not be read, copied or removed.
    #[error("{step} `{}`", path.display())]
    File {
        /// What was being done.
        step: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file could not be written durably.
    #[error("write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: DurableError,
    },
}

impl Layout {
    /// Returns `<workspace>/.env`, which is readable by the user of the instance alone.
    #[must_use]
    pub fn env(&self) -> PathBuf {
        self.workspace.join(".env")
    }

    /// Returns the directory that belongs to this HA instance alone.
    #[must_use]
    pub fn private(&self) -> PathBuf {
        self.env().join(".instance").join(&self.ha_id)
    }

    /// Returns where rendered API definitions go.
    #[must_use]
    pub fn api_defs(&self) -> PathBuf {
        self.workspace.join("api-mediation/api-defs")
    }

    /// Returns the shared libraries that extend `kind` (`gateway`, `discovery`, `zaas`).
    #[must_use]
    pub fn shared_libs(&self, kind: &str) -> PathBuf {
        self.workspace.join(kind).join("sharedLibs")
    }

    /// Returns where plugin pointers go.
    #[must_use]
    pub fn plugins(&self) -> PathBuf {
        self.workspace.join("app-server/plugins")
    }

    /// Returns the directory of a component below `.env`.
    #[must_use]
    pub fn component_env(&self, component: &str) -> PathBuf {
        self.env().join(component)
    }

    /// Waits for the turn to write, and to remove what is stale, where all HA instances write.
    ///
    /// A turn lasts as long as a few files take. Nobody takes a second one meanwhile.
    pub(crate) fn take_turn(&self) -> Result<Turn, LayoutError> {
        create_dir(&self.env(), 0o700)?;
        Self::turn_at(&self.env().join(".turn"))
    }

    /// Waits until nobody else prepares this HA instance: components configure themselves in one place.
    pub(crate) fn take_own_turn(&self) -> Result<Turn, LayoutError> {
        Self::turn_at(&self.private().join(".turn"))
    }

    fn turn_at(path: &Path) -> Result<Turn, LayoutError> {
        let failed =
            |source| LayoutError::File { step: "wait for the turn at", path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Turn { _file: file }),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(failed(error.into())),
            }
        }
    }

    /// Makes the directories that are missing.
    pub fn create(&self) -> Result<(), LayoutError> {
        create_dir(&self.logs, 0o750)?;
        create_dir(&self.workspace, 0o770)?;
        let shared = ["gateway", "discovery", "zaas"].map(|kind| self.shared_libs(kind));
        let open = [self.api_defs(), self.plugins(), self.workspace.join("app-server/pluginDirs")];
        for directory in shared.iter().chain(&open) {
            create_dir(directory, 0o770)?;
        }
        for directory in [self.env(), self.env().join(".instance"), self.private()] {
            create_dir(&directory, 0o700)?;
        }
        Ok(())
    }
}

/// Makes a directory with its parents and gives it a mode; one that exists keeps its own.
pub(crate) fn create_dir(path: &Path, mode: u32) -> Result<(), LayoutError> {
    let failed = |source| LayoutError::Directory { path: path.to_owned(), source };
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed)?;
    // The umask took bits away that the group needs.
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)
}

/// Writes a file that every preparation makes anew, unless it holds these bytes already.
///
/// Whoever reads it finds the old bytes or the new ones. It is not flushed: after a crash of the machine it may be
/// empty, and it is written again before anything reads it. A flush costs more than all else there is to do.
pub(crate) fn write_generated(path: &Path, bytes: &[u8], mode: u32) -> Result<bool, LayoutError> {
    if is_same(path, bytes, mode) {
        return Ok(false);
    }
    let failed = |source| LayoutError::File { step: "write", path: path.to_owned(), source };
    let mut temporary = tempfile::Builder::new()
        .prefix(".tender-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(path.parent().unwrap_or(Path::new(".")))
        .map_err(failed)?;
    temporary.write_all(bytes).map_err(failed)?;
    temporary.persist(path).map_err(|error| failed(error.error))?;
    Ok(true)
}

fn is_same(path: &Path, bytes: &[u8], mode: u32) -> bool {
    let has_mode = |metadata: &fs::Metadata| metadata.permissions().mode() & 0o777 == mode;
    let is_alike = |metadata: fs::Metadata| {
        metadata.is_file() && has_mode(&metadata) && metadata.len() == bytes.len() as u64
    };
    fs::symlink_metadata(path).is_ok_and(is_alike) && fs::read(path).is_ok_and(|found| found == bytes)
}

/// Writes a file that others read, unless it holds these bytes already; `mode` is what it then has.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8], mode: u32) -> Result<bool, LayoutError> {
    if is_same(path, bytes, mode) {
        return Ok(false);
    }
    // Secret first: the bytes are never readable by more than the mode allows.
    durable::write_secret_atomically(path, bytes)
        .map_err(|source| LayoutError::Write { path: path.to_owned(), source })?;
    let failed = |source| LayoutError::File { step: "set the mode of", path: path.to_owned(), source };
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    Ok(true)
}

/// Removes a file or link; one that is gone already is no error.
pub(crate) fn remove_file(path: &Path) -> Result<(), LayoutError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LayoutError::File { step: "remove", path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Removes a directory with all in it; one that is gone already is no error.
pub(crate) fn remove_dir(path: &Path) -> Result<(), LayoutError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LayoutError::File { step: "remove", path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_have_the_modes_that_components_expect() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout {
            workspace: dir.path().join("workspace"),
            logs: dir.path().join("logs"),
            ha_id: "lpar1".to_owned(),
        };
        layout.create().unwrap();
        layout.create().unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(layout.env()), 0o700);
        assert_eq!(mode(layout.private()), 0o700);
        assert_eq!(mode(layout.api_defs()), 0o770);
        assert_eq!(mode(layout.logs.clone()), 0o750);
    }

    #[test]
    fn file_that_is_the_same_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert!(write_if_changed(&path, b"1", 0o640).unwrap());
        assert!(!write_if_changed(&path, b"1", 0o640).unwrap());
        assert!(write_if_changed(&path, b"2", 0o640).unwrap());
        assert!(!write_generated(&path, b"2", 0o640).unwrap());
        assert!(write_generated(&path, b"3", 0o640).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"3");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
