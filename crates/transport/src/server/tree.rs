//! The files a client sees: one directory, some views, and nothing else.
//!
//! The kernel resolves every path below an open directory (`openat2` with `RESOLVE_BENEATH` and no symbolic
//! links), so that neither `..` nor a link planted by somebody else, nor one swapped in at the last moment,
//! leads out.

mod incoming;

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path},
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

pub(super) use self::incoming::Incoming;
use super::{Access, Limits, ServeConfig, ServeError};

const DEPTH_MAX: usize = 32;
const NAME_BYTES_MAX: usize = 255;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const DIR_MODE: Mode = Mode::RWXU;

/// Why the tree refuses.
#[derive(Debug, thiserror::Error)]
pub(super) enum TreeError {
    /// The path leads out, through a link, or cannot be a name here.
    #[error("the name is not allowed")]
    Name,
    /// Reading or writing this is not for the client.
    #[error("not permitted")]
    Forbidden,
    /// There is nothing of that name, or it is of another kind.
    #[error("no such file or directory")]
    Missing,
    /// The directory is not empty.
    #[error("the directory is not empty")]
    NotEmpty,
    /// The client asks to go on beyond what is there.
    #[error("the file ends before that offset")]
    Offset,
    /// One file is larger than any may be.
    #[error("the file is larger than allowed")]
    FileTooLarge,
    /// All files together are larger, or more, than allowed.
    #[error("the quota is used up")]
    Quota,
    /// The file system has too little room left.
    #[error("the file system is full")]
    NoSpace,
    /// The system failed.
    #[error("input or output failed")]
    Io(#[source] io::Error),
}

impl From<Errno> for TreeError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG | Errno::INVAL => Self::Name,
            Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::EXIST => Self::Forbidden,
            Errno::NOENT | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO => Self::Missing,
            Errno::NOTEMPTY => Self::NotEmpty,
            Errno::NOSPC => Self::NoSpace,
            Errno::DQUOT => Self::Quota,
            Errno::FBIG => Self::FileTooLarge,
            other => Self::Io(other.into()),
        }
    }
}

impl From<io::Error> for TreeError {
    fn from(error: io::Error) -> Self {
        Errno::from_io_error(&error).map_or_else(|| Self::Io(error), Self::from)
    }
}

/// What the client may know of a file or directory.
#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub(super) size: u64,
    pub(super) is_dir: bool,
    pub(super) modified: SystemTime,
}

impl Meta {
    /// Of a regular file or a directory; of anything else the client hears nothing.
    fn of(stat: &Stat) -> Option<Self> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let seconds = u64::try_from(stat.st_mtime).unwrap_or_default();
        matches!(kind, FileType::RegularFile | FileType::Directory).then(|| Self {
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            is_dir: kind == FileType::Directory,
            modified: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        })
    }
}

/// The served files.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    views: Vec<(String, OwnedFd)>,
    access: Access,
    limits: Limits,
}

/// A path as the client means it: an open directory and the components below it.
struct Place<'a> {
    dir: &'a OwnedFd,
    path: Vec<String>,
    is_view: bool,
}

impl Place<'_> {
    fn path(&self) -> String {
        if self.path.is_empty() { ".".to_owned() } else { self.path.join("/") }
    }

    /// The directory it is in and its name there; nothing for the top itself.
    fn split(&self) -> Option<(String, &str)> {
        let (name, parents) = self.path.split_last()?;
        Some((if parents.is_empty() { ".".to_owned() } else { parents.join("/") }, name))
    }
}

impl Tree {
    pub(super) fn open(config: &ServeConfig) -> Result<Self, ServeError> {
        let open = |path: &Path| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty())
                .map_err(|source| ServeError::Directory { path: path.to_owned(), source: source.into() })
        };
        let views = config.views.iter().map(|view| Ok((view.name.clone(), open(&view.path)?)));
        Ok(Self {
            root: open(&config.root)?,
            views: views.collect::<Result<_, ServeError>>()?,
            access: config.access.clone(),
            limits: config.limits,
        })
    }

    pub(super) fn metadata(&self, path: &Path) -> Result<Meta, TreeError> {
        let place = self.readable(path)?;
        let found = open_beneath(place.dir, &place.path(), OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        Meta::of(&rustix::fs::fstat(&found)?).ok_or(TreeError::Missing)
    }

    /// What is in a directory, views included, by name.
    pub(super) fn list(&self, path: &Path) -> Result<Vec<(String, Meta)>, TreeError> {
        let place = self.place(path)?;
        let dir = open_beneath(place.dir, &place.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let mut found = entries(&dir)?;
        if place.path.is_empty() && !place.is_view {
            found.retain(|(name, _)| !self.views.iter().any(|(view, _)| view == name));
            for (name, view) in &self.views {
                found.extend(Meta::of(&rustix::fs::fstat(view)?).map(|meta| (name.clone(), meta)));
            }
        }
        found.retain(|(name, meta)| {
            let name = place.path.iter().chain([name]).map(String::as_str).collect::<Vec<_>>().join("/");
            meta.is_dir || place.is_view || self.may_read(&name)
        });
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// Opens a regular file for reading from `offset` on.
    pub(super) fn read(&self, path: &Path, offset: u64) -> Result<File, TreeError> {
        let place = self.readable(path)?;
        // Without NONBLOCK the open of a planted FIFO would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let mut file = File::from(open_beneath(place.dir, &place.path(), flags, Mode::empty())?);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(TreeError::Missing);
        }
        if offset > meta.len() {
            return Err(TreeError::Offset);
        }
        file.seek(SeekFrom::Start(offset))?;
        Ok(file)
    }

    /// Refuses unless the path is a directory one may work in.
    pub(super) fn enter(&self, path: &Path) -> Result<(), TreeError> {
        let place = self.place(path)?;
        open_beneath(place.dir, &place.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        Ok(())
    }

    pub(super) fn make_dir(&self, path: &Path) -> Result<(), TreeError> {
        let place = self.changeable(path)?;
        if self.usage()?.entries >= self.limits.entries_max {
            return Err(TreeError::Quota);
        }
        self.at_parent(&place, |parent, name| rustix::fs::mkdirat(parent, name, DIR_MODE))
    }

    pub(super) fn remove_file(&self, path: &Path) -> Result<(), TreeError> {
        let place = self.changeable(path)?;
        self.at_parent(&place, |parent, name| rustix::fs::unlinkat(parent, name, AtFlags::empty()))
    }

    pub(super) fn remove_dir(&self, path: &Path) -> Result<(), TreeError> {
        let place = self.changeable(path)?;
        self.at_parent(&place, |parent, name| rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR))
    }

    /// Gives a file or directory another name; a file that has it already is replaced.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), TreeError> {
        let (from, to) = (self.changeable(from)?, self.changeable(to)?);
        self.at_parent(&from, |from_parent, from_name| {
            let (to_path, to_name) = to.split().ok_or(Errno::PERM)?;
            let to_parent =
                open_beneath(to.dir, &to_path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
            rustix::fs::renameat(from_parent, from_name, &to_parent, to_name)?;
            rustix::fs::fsync(&to_parent)
        })
    }

    /// Does something to a name in its directory and makes it durable.
    fn at_parent(
        &self,
        place: &Place<'_>,
        act: impl FnOnce(&OwnedFd, &str) -> rustix::io::Result<()>,
    ) -> Result<(), TreeError> {
        let (parent, name) = place.split().ok_or(TreeError::Forbidden)?;
        let parent = open_beneath(place.dir, &parent, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        act(&parent, name)?;
        rustix::fs::fsync(&parent)?;
        Ok(())
    }

    /// Where a client's path is. `..` is taken literally, which is right where there are no links, but never
    /// past the top.
    fn place(&self, path: &Path) -> Result<Place<'_>, TreeError> {
        let mut names: Vec<String> = Vec::new();
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                Component::ParentDir => {
                    names.pop().ok_or(TreeError::Name)?;
                }
                Component::Normal(name) => {
                    let name = name.to_str().ok_or(TreeError::Name)?;
                    if name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
                        return Err(TreeError::Name);
                    }
                    names.push(name.to_owned());
                }
                Component::Prefix(_) => return Err(TreeError::Name),
            }
        }
        if names.len() > DEPTH_MAX {
            return Err(TreeError::Name);
        }
        let view = names.first().and_then(|first| self.views.iter().find(|(name, _)| name == first));
        Ok(match view {
            Some((_, dir)) => Place { dir, path: names.split_off(1), is_view: true },
            None => Place { dir: &self.root, path: names, is_view: false },
        })
    }

    fn readable(&self, path: &Path) -> Result<Place<'_>, TreeError> {
        let place = self.place(path)?;
        let is_allowed = place.is_view || place.path.is_empty() || self.may_read(&place.path());
        if is_allowed { Ok(place) } else { Err(TreeError::Forbidden) }
    }

    /// For making, deleting and renaming: below the root and where everything is allowed.
    fn changeable(&self, path: &Path) -> Result<Place<'_>, TreeError> {
        let place = self.place(path)?;
        let is_allowed = !place.is_view && !place.path.is_empty() && self.access == Access::Full;
        if is_allowed { Ok(place) } else { Err(TreeError::Forbidden) }
    }

    fn may_read(&self, name: &str) -> bool {
        match &self.access {
            Access::Full => true,
            Access::Only { read, write } => read.iter().chain(write).any(|allowed| allowed == name),
        }
    }

    fn may_write(&self, name: &str) -> bool {
        match &self.access {
            Access::Full => true,
            Access::Only { write, .. } => write.iter().any(|allowed| allowed == name),
        }
    }

    /// What everything below the root adds up to.
    fn usage(&self) -> Result<Usage, TreeError> {
        let mut usage = Usage::default();
        let mut pending = vec![".".to_owned()];
        while let Some(path) = pending.pop() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let dir = match open_beneath(&self.root, &path, flags, Mode::empty()) {
                // Deleted while we were looking.
                Err(Errno::NOENT) => continue,
                opened => opened?,
            };
            for (name, meta) in entries(&dir)? {
                usage.entries += 1;
                if meta.is_dir {
                    pending.push(format!("{path}/{name}"));
                } else {
                    usage.bytes += meta.size;
                }
            }
        }
        Ok(usage)
    }

    /// Refuses when the file system has less room than must stay free.
    fn check_space(&self) -> Result<(), TreeError> {
        let found = rustix::fs::fstatvfs(&self.root)?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if free < self.limits.free_bytes_min { Err(TreeError::NoSpace) } else { Ok(()) }
    }
}

#[derive(Debug, Default)]
struct Usage {
    bytes: u64,
    entries: u64,
}

/// Regular files and directories of an open directory.
fn entries(dir: &OwnedFd) -> Result<Vec<(String, Meta)>, TreeError> {
    let mut found = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name == "." || name == ".." {
            continue;
        }
        match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => found.extend(Meta::of(&stat).map(|meta| (name.to_owned(), meta))),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

fn open_beneath(dir: impl AsFd, path: &str, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(&dir, path, flags | OFlags::CLOEXEC, mode, resolve) {
            // Something was renamed while the kernel was looking.
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}
