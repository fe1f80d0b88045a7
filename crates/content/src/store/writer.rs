//! Objects under way: a file in `tmp/` that takes its name when its bytes are whole.
//!
//! A package of ten thousand small files is ten thousand of these, so each costs as few system calls as can be:
//! create, write, look at the mode, rename, close, all relative to directories that are open already.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags};

use super::{ObjectStore, StoreError};
use crate::digest::Digest;
use crate::fault;

/// Mode of every object but the executable twins.
pub(super) const PLAIN_MODE: u32 = 0o444;

/// A new file in `tmp/`; it is removed unless it was placed.
#[derive(Debug)]
pub(super) struct Temporary<'s> {
    store: &'s ObjectStore,
    pub(super) file: File,
    name: String,
    is_placed: bool,
}

impl<'s> Temporary<'s> {
    /// Creates a file that is to have `mode` in the end.
    pub(super) fn new(store: &'s ObjectStore, mode: u32) -> Result<Self, StoreError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let process = std::process::id();
        loop {
            let name = format!("put.{process}.{}", NUMBER.fetch_add(1, Ordering::Relaxed));
            match rustix::fs::openat(&store.tmp, &*name, flags, Mode::from_raw_mode(mode)) {
                Ok(file) => return Ok(Self { store, file: file.into(), name, is_placed: false }),
                // Left by a killed process that had this number, or by one that counts its processes apart.
                Err(rustix::io::Errno::EXIST) => {}
                Err(e) => return Err(StoreError::io("create a file in", &store.tmp_dir())(e.into())),
            }
        }
    }

    /// Gives the file its mode, whatever the umask made of it, and its name below `objects/`.
    pub(super) fn place(mut self, mode: u32, name: &ObjectName) -> Result<(), StoreError> {
        let objects = &self.store.objects;
        let failed =
            |step| move |e: rustix::io::Errno| StoreError::io(step, &name.below(self.store))(e.into());
        let found = rustix::fs::fstat(&self.file).map_err(failed("look at"))?.st_mode & 0o7777;
        if found != mode {
            rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode)).map_err(failed("set the mode of"))?;
        }
        fault::point("content.object");
        let mut renamed = rustix::fs::renameat(&self.store.tmp, &*self.name, objects, name.as_str());
        if renamed == Err(rustix::io::Errno::NOENT) {
            match rustix::fs::mkdirat(objects, name.directory(), Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(e) => return Err(failed("create the directory of")(e)),
            }
            renamed = rustix::fs::renameat(&self.store.tmp, &*self.name, objects, name.as_str());
        }
        renamed.map_err(failed("put in place"))?;
        self.is_placed = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_placed {
            // What stays is garbage that the next collection removes.
            rustix::fs::unlinkat(&self.store.tmp, &*self.name, AtFlags::empty()).ok();
        }
    }
}

/// The name of an object below `objects/`: two digits, a slash, the rest, and `x` when it is an executable twin.
#[derive(Debug)]
pub(super) struct ObjectName(String);

impl ObjectName {
    pub(super) fn plain(digest: &Digest) -> Self {
        let mut name = digest.to_hex();
        name.insert(2, '/');
        Self(name)
    }

    pub(super) fn executable(digest: &Digest) -> Self {
        let Self(mut name) = Self::plain(digest);
        name.push('x');
        Self(name)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn directory(&self) -> &str {
        &self.0[..2]
    }

    /// Returns the whole path, for links and messages.
    pub(super) fn below(&self, store: &ObjectStore) -> std::path::PathBuf {
        store.objects_dir().join(&self.0)
    }
}

/// Receives the bytes of one object.
#[derive(Debug)]
pub(crate) struct ObjectWriter<'s> {
    temporary: Temporary<'s>,
    hasher: blake3::Hasher,
    size: u64,
}

impl<'s> ObjectWriter<'s> {
    pub(super) fn new(store: &'s ObjectStore) -> Result<Self, StoreError> {
        Ok(Self { temporary: Temporary::new(store, PLAIN_MODE)?, hasher: blake3::Hasher::new(), size: 0 })
    }

    /// Puts the object in its place under the digest of what was written.
    pub(crate) fn finish(self) -> Result<(Digest, u64), StoreError> {
        let digest = self.digest();
        if self.temporary.store.size_of(&digest) != Some(self.size) {
            self.temporary.place(PLAIN_MODE, &ObjectName::plain(&digest))?;
        }
        Ok((digest, self.size))
    }

    /// Returns how many bytes were written so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the digest of what was written so far.
    pub(crate) fn digest(&self) -> Digest {
        self.hasher.finalize().into()
    }
}

impl Write for ObjectWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
