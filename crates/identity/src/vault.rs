//! A directory of private files: whose they are is checked, what is written is written whole.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// The longest file that is believed.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Says what is wrong with a private file.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file could not be used.
    #[error("{step} `{}`", path.display())]
    Io {
        /// What was being done.
        step: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// It is somebody else's, or others may use it.
    #[error("`{}` {what}", path.display())]
    NotPrivate {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// It cannot be read.
    #[error("`{}` cannot be read: {what}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong, without anything that is secret.
        what: String,
    },
}

/// A directory of private files.
///
/// Shape:  0700, its files 0600, all of the user that this process runs as.
/// Errors: a file that others can use, that is a link, or that belongs to somebody else is refused, not repaired.
#[derive(Debug)]
pub(crate) struct Vault {
    path: PathBuf,
    dir: OwnedFd,
}

/// Keeps other processes out of the directory until it is dropped.
#[derive(Debug)]
pub(crate) struct VaultLock {
    _handle: OwnedFd,
}

impl Vault {
    /// Opens a directory, making it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, VaultError> {
        let failed = |step| move |source: Errno| io(step, path, source);
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(io("make directory", path, error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty()).map_err(failed("open directory"))?;
        let stat = rustix::fs::fstat(&dir).map_err(failed("look at directory"))?;
        require_private(path, &stat, FileType::Directory)?;
        Ok(Self { path: path.to_owned(), dir })
    }

    /// Returns where a file is, for messages.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn failed(&self, step: &'static str, name: &str) -> impl FnOnce(Errno) -> VaultError {
        let path = self.path_of(name);
        move |source| io(step, &path, source)
    }

    /// Waits until no other process holds the directory, then holds it.
    pub(crate) fn lock(&self) -> Result<VaultLock, VaultError> {
        // A lock belongs to what was opened, so each needs an opening of its own.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle =
            rustix::fs::openat(&self.dir, ".", flags, Mode::empty()).map_err(self.failed("open", "."))?;
        loop {
            match rustix::fs::flock(&handle, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(VaultLock { _handle: handle }),
                Err(Errno::INTR) => {}
                Err(error) => return Err(io("lock directory", &self.path, error)),
            }
        }
    }

    /// Opens a file for reading and adding to it; `None` when it is not there.
    pub(crate) fn open_file(&self, name: &str) -> Result<Option<File>, VaultError> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = match rustix::fs::openat(&self.dir, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.map_err(self.failed("open", name))?,
        };
        let stat = rustix::fs::fstat(&opened).map_err(self.failed("look at", name))?;
        require_private(&self.path_of(name), &stat, FileType::RegularFile)?;
        if stat.st_size.unsigned_abs() > FILE_BYTES_MAX {
            let what = format!("it has more than {FILE_BYTES_MAX} bytes");
            return Err(VaultError::Malformed { path: self.path_of(name), what });
        }
        Ok(Some(File::from(opened)))
    }

    /// Returns what tells one state of a file from another without reading it; `None` when it is not there.
    pub(crate) fn stamp(&self, name: &str) -> Result<Option<Stamp>, VaultError> {
        match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            found => found.map(|stat| Some(Stamp::of(&stat))).map_err(self.failed("look at", name)),
        }
    }

    /// Reads a whole file; `None` when it is not there.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Contents>, VaultError> {
        let Some(mut file) = self.open_file(name)? else { return Ok(None) };
        let stat = rustix::fs::fstat(&file).map_err(self.failed("look at", name))?;
        // Room for everything from the start: a buffer that grows leaves copies behind.
        let length = usize::try_from(stat.st_size).unwrap_or(0);
        let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
        let read = file.read_to_end(&mut bytes);
        read.map_err(|source| VaultError::Io { step: "read", path: self.path_of(name), source })?;
        Ok(Some((bytes, Stamp::of(&stat))))
    }

    /// Replaces a file as a whole, durably; the caller holds the lock.
    pub(crate) fn write(&self, _lock: &VaultLock, name: &str, bytes: &[u8]) -> Result<Stamp, VaultError> {
        let new = format!(".{name}.new");
        match rustix::fs::unlinkat(&self.dir, &*new, AtFlags::empty()) {
            // One that is there was left by a crash: whoever holds the lock is the only writer.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(io("remove", &self.path_of(&new), error)),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let opened =
            rustix::fs::openat(&self.dir, &*new, flags, mode).map_err(self.failed("create", &new))?;
        let mut file = File::from(opened);
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let failed = |source| VaultError::Io { step: "write", path: self.path_of(&new), source };
        let renamed = written.map_err(failed).and_then(|()| {
            rustix::fs::renameat(&self.dir, &*new, &self.dir, name).map_err(self.failed("rename to", name))
        });
        if let Err(error) = renamed {
            // What is left over is removed before the next attempt at the latest.
            rustix::fs::unlinkat(&self.dir, &*new, AtFlags::empty()).ok();
            return Err(error);
        }
        rustix::fs::fsync(&self.dir).map_err(self.failed("write", "."))?;
        let stat = rustix::fs::fstat(&file).map_err(self.failed("look at", name))?;
        Ok(Stamp::of(&stat))
    }
}

/// A whole file, and which state of it.
type Contents = (Zeroizing<Vec<u8>>, Stamp);

/// Tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Device and number of the file; a number may be used again once the file is gone, hence the time.
    pub(crate) inode: (u64, u64),
    pub(crate) length: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            inode: (stat.st_dev, stat.st_ino),
            length: stat.st_size.unsigned_abs(),
            // Signed on some processors and not on others; it is below a thousand million.
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }
}

fn io(step: &'static str, path: &Path, source: Errno) -> VaultError {
    VaultError::Io { step, path: path.to_owned(), source: source.into() }
}

fn require_private(path: &Path, stat: &Stat, kind: FileType) -> Result<(), VaultError> {
    let refuse = |what: String| Err(VaultError::NotPrivate { path: path.to_owned(), what });
    let own = rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != kind {
        return refuse("is not what it must be: a plain file in a plain directory".to_owned());
    }
    if stat.st_uid != own {
        return refuse(format!(
            "belongs to uid {} and not to uid {own}, which this process runs as",
            stat.st_uid
        ));
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.intersects(Mode::RWXG | Mode::RWXO) {
        let wanted = if kind == FileType::Directory { 0o700 } else { 0o600 };
        return refuse(format!(
            "has mode {:04o}: others may use it; find out who did, then set {wanted:04o} or remove it",
            mode.as_raw_mode()
        ));
    }
    if kind == FileType::RegularFile && stat.st_nlink != 1 {
        return refuse("has more than one name".to_owned());
    }
    Ok(())
}
