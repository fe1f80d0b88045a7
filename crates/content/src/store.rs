//! Objects: immutable bytes named by their digest.
//!
//! ```text
//! root/objects/ab/cdef…    the bytes whose digest is abcdef…, mode 0444
//! root/objects/ab/cdef…x   the same bytes, mode 0555: a hard link cannot have two modes, so an executable part
//!                          gets an inode of its own the first time it is materialised
//! root/tmp/                writes under way
//! ```
//!
//! An object appears under its name by a rename, whole and checked. [`ObjectStore::sync`] is the barrier between a
//! batch of writes and the first thing that refers to them: before it, a power failure may take objects away or
//! cut them short, which is why an object whose size is wrong is written again.

mod writer;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::digest::Digest;
use crate::durable::{self, DurableError};
use crate::mapped::Mapped;
pub(crate) use writer::ObjectWriter;
use writer::{ObjectName, PLAIN_MODE, Temporary};

const COPY_BYTES: usize = 256 * 1024;
const EXECUTABLE_MODE: u32 = 0o555;

/// Keeps objects below one directory.
#[derive(Debug)]
pub struct ObjectStore {
    root: PathBuf,
    objects: OwnedFd,
    tmp: OwnedFd,
}

/// Says what went wrong in the object store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the store could not be used.
    #[error("{step} `{}` of the object store", path.display())]
    Io {
        /// What was being done.
        step: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The bytes to be stored could not be read.
    #[error("read `{}`", path.display())]
    Source {
        /// Where they were read from.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no such object.
    #[error("object {digest} is not in the store")]
    Missing {
        /// Its digest.
        digest: Digest,
    },
    /// The object's bytes are not those its name promises.
    #[error("object {digest} is damaged: its bytes have digest {found}")]
    Damaged {
        /// Its name.
        digest: Digest,
        /// The digest of what is there.
        found: Digest,
    },
    /// The object is whole, but another size was expected of it.
    #[error("object {digest} does not have the {size} bytes that are expected of it")]
    OtherSize {
        /// Its name.
        digest: Digest,
        /// The bytes expected.
        size: u64,
    },
    /// The barrier failed.
    #[error("make objects durable")]
    Sync(#[source] DurableError),
}

impl StoreError {
    fn io(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { step, path, source }
    }
}

/// Says what a collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Objects that stay.
    pub kept: u64,
    /// Objects removed.
    pub removed: u64,
    /// Leftover temporary files removed.
    pub temporaries: u64,
    /// Bytes those had.
    pub freed_bytes: u64,
}

impl ObjectStore {
    /// Opens the store at `root` and creates it when there is none.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let open = |name: &str| {
            let directory = root.join(name);
            fs::create_dir_all(&directory).map_err(StoreError::io("create", &directory))?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(&directory, flags, Mode::empty())
                .map_err(|e| StoreError::io("open", &directory)(e.into()))
        };
        Ok(Self { objects: open("objects")?, tmp: open("tmp")?, root: root.to_owned() })
    }

    /// Returns the directory of the store.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn objects_dir(&self) -> PathBuf {
        self.root.join("objects")
    }

    pub(crate) fn tmp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Returns where the object lies or would lie.
    #[must_use]
    pub fn object_path(&self, digest: &Digest) -> PathBuf {
        ObjectName::plain(digest).below(self)
    }

    /// Stores bytes; storing what is there already changes nothing.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        self.put_hashed(&digest, bytes)?;
        Ok(digest)
    }

    /// Stores bytes whose digest was computed already.
    pub(crate) fn put_hashed(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        if self.size_of(digest) == Some(bytes.len() as u64) {
            return Ok(());
        }
        let mut temporary = Temporary::new(self, PLAIN_MODE)?;
        temporary.file.write_all(bytes).map_err(StoreError::io("write in", &self.tmp_dir()))?;
        temporary.place(PLAIN_MODE, &ObjectName::plain(digest))
    }

    /// Stores what `reader` gives; returns the digest and the size in bytes.
    pub fn put_reader(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
        let mut writer = self.writer()?;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => return writer.finish(),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(StoreError::Source { path: PathBuf::from("the input"), source }),
            };
            writer.write_all(&buffer[..count]).map_err(StoreError::io("write in", &self.tmp_dir()))?;
        }
    }

    /// Stores the bytes of a file; returns the digest and the size in bytes.
    pub fn put_file(&self, path: &Path) -> Result<(Digest, u64), StoreError> {
        let failed = |source| StoreError::Source { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        if size <= COPY_BYTES as u64 {
            // Small files are the many: one read, one hash, and no temporary file when the object is there.
            let mut bytes = Vec::with_capacity(COPY_BYTES.min(usize::try_from(size).unwrap_or(0) + 1));
            file.read_to_end(&mut bytes).map_err(failed)?;
            return Ok((self.put_bytes(&bytes)?, bytes.len() as u64));
        }
        self.put_reader(&mut file).map_err(|e| match e {
            StoreError::Source { source, .. } => failed(source),
            other => other,
        })
    }

    /// Starts an object whose digest is known only when all bytes are written.
    pub(crate) fn writer(&self) -> Result<ObjectWriter<'_>, StoreError> {
        ObjectWriter::new(self)
    }

    fn size_of(&self, digest: &Digest) -> Option<u64> {
        let name = ObjectName::plain(digest);
        let found = rustix::fs::statat(&self.objects, name.as_str(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
        u64::try_from(found.st_size).ok()
    }

    /// Tells whether the object is there; its bytes are not looked at.
    #[must_use]
    pub fn contains(&self, digest: &Digest) -> bool {
        self.size_of(digest).is_some()
    }

    /// Tells whether the object is there with this size, which rules out one cut short by a power failure.
    #[must_use]
    pub fn contains_sized(&self, digest: &Digest, size: u64) -> bool {
        self.size_of(digest) == Some(size)
    }

    /// Reads an object and checks its digest.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        self.open_object(digest)?
            .read_to_end(&mut bytes)
            .map_err(StoreError::io("read", &self.object_path(digest)))?;
        check(digest, Digest::of(&bytes))?;
        Ok(bytes)
    }

    /// Appends an object of a known size to `into`, without looking at its digest.
    pub(crate) fn append_to(&self, digest: &Digest, size: u64, into: &mut Vec<u8>) -> Result<(), StoreError> {
        let file = self.open_object(digest)?;
        let end = into.len() + usize::try_from(size).unwrap_or(usize::MAX - into.len());
        into.reserve(end - into.len());
        while into.len() < end {
            // Small objects are the many: their bytes go where they are needed by one call.
            match rustix::io::read(&file, rustix::buffer::spare_capacity(into)) {
                Ok(0) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(StoreError::io("read", &self.object_path(digest))(e.into())),
            }
        }
        if into.len() == end {
            return Ok(());
        }
        Err(match self.verify(digest) {
            Err(error) => error,
            Ok(()) => StoreError::OtherSize { digest: *digest, size },
        })
    }

    fn open_object(&self, digest: &Digest) -> Result<File, StoreError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let opened =
            rustix::fs::openat(&self.objects, ObjectName::plain(digest).as_str(), flags, Mode::empty());
        opened.map(File::from).map_err(|e| match e {
            rustix::io::Errno::NOENT => StoreError::Missing { digest: *digest },
            e => StoreError::io("read", &self.object_path(digest))(e.into()),
        })
    }

    /// Maps an object without looking at its bytes.
    pub fn map(&self, digest: &Digest) -> Result<Mapped, StoreError> {
        let file = self.open_object(digest)?;
        Mapped::of_immutable(&file).map_err(StoreError::io("read", &self.object_path(digest)))
    }

    /// Checks that an object's bytes have the digest of its name.
    pub fn verify(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.object_path(digest);
        let mut hasher = blake3::Hasher::new();
        let mut file = self.open_object(digest)?;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            match file.read(&mut buffer).map_err(StoreError::io("read", &path))? {
                0 => return check(digest, hasher.finalize().into()),
                count => {
                    hasher.update(&buffer[..count]);
                }
            }
        }
    }

    /// Makes every object stored so far durable.
    pub fn sync(&self) -> Result<(), StoreError> {
        durable::sync_filesystem(&self.root).map_err(StoreError::Sync)
    }

    /// Returns the object as a file of mode 0555, made the first time it is asked for.
    pub(crate) fn executable(&self, digest: &Digest) -> Result<PathBuf, StoreError> {
        let name = ObjectName::executable(digest);
        let path = name.below(self);
        let size = self.size_of(digest).ok_or(StoreError::Missing { digest: *digest })?;
        let twin = rustix::fs::statat(&self.objects, name.as_str(), AtFlags::SYMLINK_NOFOLLOW);
        if twin.is_ok_and(|twin| u64::try_from(twin.st_size) == Ok(size)) {
            return Ok(path);
        }
        let plain = self.object_path(digest);
        let temporary = Temporary::new(self, EXECUTABLE_MODE)?;
        clone_or_copy(&plain, &temporary.file).map_err(StoreError::io("copy", &plain))?;
        temporary.place(EXECUTABLE_MODE, &name)?;
        Ok(path)
    }

    /// Removes objects that are not in `live`, and what killed writes left.
    ///
    /// The caller makes sure that nothing writes to the store meanwhile.
    pub fn gc(&self, live: &HashSet<Digest>) -> Result<GcReport, StoreError> {
        let mut report = GcReport::default();
        for entry in list(&self.tmp_dir())? {
            report.temporaries += 1;
            report.freed_bytes += remove(&entry)?;
        }
        for directory in list(&self.objects_dir())? {
            let prefix = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for path in list(&directory)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let digest = format!("{prefix}{}", name.strip_suffix('x').unwrap_or(&name)).parse::<Digest>();
                if digest.is_ok_and(|digest| live.contains(&digest)) {
                    report.kept += u64::from(!name.ends_with('x'));
                } else {
                    report.removed += u64::from(!name.ends_with('x'));
                    report.freed_bytes += remove(&path)?;
                }
            }
        }
        Ok(report)
    }
}

/// Fills `to` with the bytes of `from`, sharing the blocks where the file system can.
pub(crate) fn clone_or_copy(from: &Path, mut to: &File) -> io::Result<()> {
    let mut from = File::open(from)?;
    if rustix::fs::ioctl_ficlone(to, &from).is_ok() {
        return Ok(());
    }
    io::copy(&mut from, &mut to).map(|_| ())
}

fn check(digest: &Digest, found: Digest) -> Result<(), StoreError> {
    if found == *digest { Ok(()) } else { Err(StoreError::Damaged { digest: *digest, found }) }
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    fs::read_dir(directory)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
        .map_err(StoreError::io("list", directory))
}

fn remove(path: &Path) -> Result<u64, StoreError> {
    // An inode that a materialised tree still links to frees nothing yet.
    let freed_bytes = fs::symlink_metadata(path).map(|m| if m.nlink() == 1 { m.len() } else { 0 });
    fs::remove_file(path).map_err(StoreError::io("remove", path))?;
    freed_bytes.map_err(StoreError::io("look at", path))
}

#[cfg(test)]
mod tests;
