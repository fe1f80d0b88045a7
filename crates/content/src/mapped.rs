//! The bytes of a file, mapped instead of read when the file is not small.
#![expect(
    unsafe_code,
    reason = "a mapping is the only way to read big old files without holding them in memory"
)]

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::path::Path;

/// Below this size a plain read is cheaper than setting a mapping up.
const MAP_BYTES_MIN: u64 = 64 * 1024;

/// Holds the bytes of one immutable file.
#[derive(Debug)]
pub struct Mapped {
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Read(Vec<u8>),
    Mapped(memmap2::Mmap),
}

impl Mapped {
    /// Opens a file that nothing changes while it is open: an object or a private temporary file.
    pub(crate) fn open_immutable(path: &Path) -> io::Result<Self> {
        Self::of_immutable(&File::open(path)?)
    }

    /// The same for a file that is already open.
    pub(crate) fn of_immutable(mut file: &File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        if size < MAP_BYTES_MIN {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
            file.read_to_end(&mut bytes)?;
            return Ok(Self { bytes: Bytes::Read(bytes) });
        }
        // SAFETY: the callers pass objects of the store (mode 0444, only ever created under another name and
        // renamed, never written again) or temporary files without a name of their own, so the bytes do not change
        // and the file is not truncated while it is mapped. Root can break this as it can break any process.
        let map = unsafe { memmap2::Mmap::map(file)? };
        Ok(Self { bytes: Bytes::Mapped(map) })
    }

    /// Wraps bytes that are in memory anyway.
    pub(crate) fn from_vec(bytes: Vec<u8>) -> Self {
        Self { bytes: Bytes::Read(bytes) }
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Read(bytes) => bytes,
            Bytes::Mapped(map) => map,
        }
    }
}
