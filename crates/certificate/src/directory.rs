//! A directory of secrets that is replaced as a whole.
//!
//! The new files are written beside the old ones and flushed; then both directories change places in one step of
//! the kernel. Who looks finds all old files or all new ones, whenever the power fails. One file at a time would
//! not do: a key that does not belong to its certificate stops every server that reads them.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, FlockOperation, RenameFlags};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const LEFTOVER_SUFFIX: &str = ".tender-tmp";

/// Who owns what is written; only root can give files away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Owner {
    /// Numeric user, unchanged when missing.
    pub uid: Option<u32>,
    /// Numeric group, unchanged when missing.
    pub gid: Option<u32>,
}

/// Why a directory or file could not be replaced.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Something could not be done to a path.
    #[error("{step} {}", path.display())]
    Io {
        /// What was being done.
        step: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another run works in the same directory.
    #[error("work in {}: another command does so at the moment", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// It appeared after the plan was made.
    #[error("create {}: it exists by now", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// It holds something that is not a file.
    #[error("replace {}: it holds '{name}', which is no file", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// The entry.
        name: String,
    },
}

impl DirectoryError {
    fn at(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { step, path, source }
    }
}

/// The permission bits of a directory and its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) directory: u32,
    /// Keys, stores and passwords.
    pub(crate) secret: u32,
    /// Certificates.
    pub(crate) public: u32,
}

impl Modes {
    /// Closed to all but the owner, or also open to the group; locked against writing, or not.
    pub(crate) fn new(is_locked: bool, is_for_group: bool) -> Self {
        match (is_locked, is_for_group) {
            (false, false) => Self { directory: 0o700, secret: 0o600, public: 0o644 },
            (false, true) => Self { directory: 0o750, secret: 0o640, public: 0o644 },
            (true, false) => Self { directory: 0o500, secret: 0o400, public: 0o400 },
            (true, true) => Self { directory: 0o550, secret: 0o440, public: 0o440 },
        }
    }
}

/// One file as it shall be.
#[derive(Clone)]
pub(crate) struct StagedFile {
    pub(crate) name: String,
    pub(crate) mode: u32,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// A directory as it shall be.
pub(crate) struct Staged {
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    pub(crate) owner: Owner,
    pub(crate) files: Vec<StagedFile>,
}

impl Staged {
    /// The directory as it is, for being changed and put back.
    pub(crate) fn of_existing(path: &Path) -> Result<Self, DirectoryError> {
        let metadata = fs::metadata(path).map_err(DirectoryError::at("look at", path))?;
        let owner = Owner { uid: Some(metadata.uid()), gid: Some(metadata.gid()) };
        let mut staged =
            Self { path: path.to_owned(), mode: metadata.mode() & 0o777, owner, files: Vec::new() };
        for entry in fs::read_dir(path).map_err(DirectoryError::at("list", path))? {
            let entry = entry.map_err(DirectoryError::at("list", path))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let at = entry.path();
            let metadata = fs::symlink_metadata(&at).map_err(DirectoryError::at("look at", &at))?;
            if !metadata.is_file() {
                return Err(DirectoryError::Foreign { path: path.to_owned(), name });
            }
            let bytes = fs::read(&at).map_err(DirectoryError::at("read", &at))?;
            staged.files.push(StagedFile {
                name,
                mode: metadata.mode() & 0o777,
                bytes: Zeroizing::new(bytes),
            });
        }
        Ok(staged)
    }

    /// Adds or replaces a file.
    pub(crate) fn set(&mut self, name: impl Into<String>, mode: u32, bytes: impl Into<Zeroizing<Vec<u8>>>) {
        let name = name.into();
        self.files.retain(|file| file.name != name);
        self.files.push(StagedFile { name, mode, bytes: bytes.into() });
    }

    /// Puts the directory in place of the old one, of which a copy is kept under `backup`.
    ///
    /// Without `backup` there must be no old one. A kill leaves the old or the new directory; on file systems
    /// that cannot exchange two names there is a moment in which only the backup exists.
    pub(crate) fn put(&self, backup: Option<&Path>) -> Result<(), DirectoryError> {
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(DirectoryError::at("create", parent))?;
        let _lock = lock(parent)?;
        let prefix = format!(".{}.", self.path.file_name().unwrap_or_default().to_string_lossy());
        remove_leftovers(parent, &prefix)?;
        let exists = self.path.symlink_metadata().is_ok();
        if exists && backup.is_none() {
            return Err(DirectoryError::Exists { path: self.path.clone() });
        }
        let staging = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(LEFTOVER_SUFFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(DirectoryError::at("create a directory in", parent))?;
        self.write_into(staging.path())?;
        match backup {
            Some(backup) if exists => {
                keep(&self.path, backup)?;
                sync(parent)?;
                exchange(staging.path(), &self.path)?;
            }
            _ => fs::rename(staging.path(), &self.path)
                .map_err(DirectoryError::at("put in place", &self.path))?,
        }
        sync(parent)?;
        // What lies there now is the old directory; locked ones must be opened to be removed.
        discard(&staging.keep())
    }

    fn write_into(&self, dir: &Path) -> Result<(), DirectoryError> {
        for file in &self.files {
            let path = dir.join(&file.name);
            let mut handle = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(DirectoryError::at("create", &path))?;
            handle.write_all(&file.bytes).map_err(DirectoryError::at("write", &path))?;
            give(&handle, self.owner, file.mode, &path)?;
            handle.sync_all().map_err(DirectoryError::at("flush", &path))?;
        }
        let handle = File::open(dir).map_err(DirectoryError::at("open", dir))?;
        give(&handle, self.owner, self.mode, dir)?;
        handle.sync_all().map_err(DirectoryError::at("flush", dir))
    }
}

/// Replaces one file, temporary name first; the old one is kept under `backup`.
pub(crate) fn write_file(
    path: &Path,
    mode: u32,
    bytes: &[u8],
    backup: Option<&Path>,
) -> Result<(), DirectoryError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut temporary = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(LEFTOVER_SUFFIX)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(parent)
        .map_err(DirectoryError::at("create a file in", parent))?;
    temporary.write_all(bytes).map_err(DirectoryError::at("write", path))?;
    temporary.as_file().sync_all().map_err(DirectoryError::at("flush", path))?;
    match backup {
        Some(backup) => {
            if path.symlink_metadata().is_ok() {
                copy(path, backup)?;
            }
            temporary.persist(path).map_err(|error| error.error)
        }
        None => temporary.persist_noclobber(path).map_err(|error| error.error),
    }
    .map_err(DirectoryError::at("put in place", path))?;
    sync(parent)
}

/// A directory that this process works below.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that is between fork and exec has the directory open as well.
        rustix::fs::flock(&self.0, FlockOperation::Unlock).ok();
    }
}

/// One command at a time works below a key store directory.
fn lock(dir: &Path) -> Result<Lock, DirectoryError> {
    let handle = File::open(dir).map_err(DirectoryError::at("open", dir))?;
    match rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(handle)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(DirectoryError::Busy { path: dir.to_owned() }),
        Err(error) => Err(DirectoryError::at("lock", dir)(error.into())),
    }
}

/// Removes what a killed run left: keys nobody will use. The caller holds the lock.
fn remove_leftovers(parent: &Path, prefix: &str) -> Result<(), DirectoryError> {
    for entry in fs::read_dir(parent).map_err(DirectoryError::at("list", parent))? {
        let entry = entry.map_err(DirectoryError::at("list", parent))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(prefix) && name.ends_with(LEFTOVER_SUFFIX) {
            discard(&entry.path())?;
        }
    }
    Ok(())
}

fn discard(dir: &Path) -> Result<(), DirectoryError> {
    if dir.symlink_metadata().is_err() {
        return Ok(());
    }
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(DirectoryError::at("open up", dir))?;
    fs::remove_dir_all(dir).map_err(DirectoryError::at("remove", dir))
}

/// A second name for every file of the directory; a copy where the file system has no second names.
fn keep(from: &Path, to: &Path) -> Result<(), DirectoryError> {
    DirBuilder::new().mode(0o700).create(to).map_err(DirectoryError::at("create", to))?;
    for entry in fs::read_dir(from).map_err(DirectoryError::at("list", from))? {
        let entry = entry.map_err(DirectoryError::at("list", from))?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    let metadata = fs::metadata(from).map_err(DirectoryError::at("look at", from))?;
    let handle = File::open(to).map_err(DirectoryError::at("open", to))?;
    // A backup is nobody's business but its owner's.
    give(&handle, Owner { uid: Some(metadata.uid()), gid: None }, 0o700, to)?;
    handle.sync_all().map_err(DirectoryError::at("flush", to))
}

fn copy(from: &Path, to: &Path) -> Result<(), DirectoryError> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to).map_err(DirectoryError::at("copy", from))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(DirectoryError::at("flush", to))
}

fn exchange(new: &Path, old: &Path) -> Result<(), DirectoryError> {
    match rustix::fs::renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Ok(()) => return Ok(()),
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
        Err(error) => return Err(DirectoryError::at("exchange", old)(error.into())),
    }
    // A network file system. The backup is complete by now.
    let aside = old.with_file_name(format!(
        ".{}.aside{LEFTOVER_SUFFIX}",
        old.file_name().unwrap_or_default().to_string_lossy()
    ));
    fs::rename(old, &aside).map_err(DirectoryError::at("move aside", old))?;
    fs::rename(new, old).map_err(DirectoryError::at("put in place", old))?;
    fs::rename(&aside, new).map_err(DirectoryError::at("move aside", &aside))
}

fn give(handle: &File, owner: Owner, mode: u32, path: &Path) -> Result<(), DirectoryError> {
    let metadata = handle.metadata().map_err(DirectoryError::at("look at", path))?;
    let uid = owner.uid.filter(|uid| *uid != metadata.uid());
    let gid = owner.gid.filter(|gid| *gid != metadata.gid());
    if uid.is_some() || gid.is_some() {
        fchown(handle, uid, gid).map_err(DirectoryError::at("change the owner of", path))?;
    }
    handle.set_permissions(Permissions::from_mode(mode)).map_err(DirectoryError::at("set the mode of", path))
}

fn sync(dir: &Path) -> Result<(), DirectoryError> {
    File::open(dir).and_then(|handle| handle.sync_all()).map_err(DirectoryError::at("flush", dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged(path: &Path, files: &[(&str, &str)]) -> Staged {
        let mut staged =
            Staged { path: path.to_owned(), mode: 0o500, owner: Owner::default(), files: Vec::new() };
        for (name, text) in files {
            staged.set(*name, 0o400, text.as_bytes().to_vec());
        }
        staged
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn put_over_existing_directory_replaces_it_whole_and_keeps_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, backup) = (dir.path().join("ks"), dir.path().join("ks.backup-1"));
        staged(&path, &[("a", "old"), ("gone", "x")]).put(None).unwrap();
        staged(&path, &[("a", "new"), ("b", "y")]).put(Some(&backup)).unwrap();
        assert_eq!(names(&path), ["a", "b"]);
        assert_eq!(fs::read(path.join("a")).unwrap(), b"new");
        assert_eq!(names(&backup), ["a", "gone"]);
        assert_eq!(fs::read(backup.join("a")).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["ks", "ks.backup-1"]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o500);
        assert_eq!(fs::metadata(path.join("a")).unwrap().mode() & 0o777, 0o400);
    }

    #[test]
    fn put_without_backup_over_existing_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ks");
        staged(&path, &[("a", "old")]).put(None).unwrap();
        let error = staged(&path, &[("a", "new")]).put(None).unwrap_err();
        assert!(matches!(error, DirectoryError::Exists { .. }), "{error}");
        assert_eq!(fs::read(path.join("a")).unwrap(), b"old");
    }

    #[test]
    fn put_removes_what_a_killed_run_left() {
        let dir = tempfile::tempdir().unwrap();
        let leftover = dir.path().join(".ks.abc.tender-tmp");
        fs::create_dir(&leftover).unwrap();
        fs::write(leftover.join("key"), "half").unwrap();
        fs::set_permissions(&leftover, Permissions::from_mode(0o500)).unwrap();
        staged(&dir.path().join("ks"), &[("a", "x")]).put(None).unwrap();
        assert_eq!(names(dir.path()), ["ks"]);
    }

    #[test]
    fn put_while_another_run_holds_the_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _held = lock(dir.path()).unwrap();
        let error = staged(&dir.path().join("ks"), &[]).put(None).unwrap_err();
        assert!(matches!(error, DirectoryError::Busy { .. }), "{error}");
    }

    #[test]
    fn directory_with_a_link_in_it_is_not_restaged() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        assert!(matches!(Staged::of_existing(dir.path()), Err(DirectoryError::Foreign { .. })));
    }
}
