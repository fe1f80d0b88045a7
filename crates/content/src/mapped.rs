//! Memory taken from the system directly: the bytes of a file, mapped instead of read when the file is not small; and
//! blocks that go back to the system when they are freed.
#![expect(
    unsafe_code,
    reason = "mapping is the only way to read big files without holding them, and the allocator is told in C"
)]

use std::fs::File;
use std::io;
use std::ops::Deref;

/// Below this size a plain read is cheaper than setting a mapping up.
const MAP_BYTES_MIN: u64 = 64 * 1024;

/// From this size on a block is one that goes back to the system when it is freed.
#[cfg(target_env = "gnu")]
const BLOCK_BYTES_MIN: libc::c_int = 128 * 1024;

/// Tells the allocator of this process to give back what is freed, so that a limit of memory can be kept.
///
/// Left to itself it raises the size from which it does so with every large block freed, up to 32 MiB, and then keeps
/// several times of what is in use.
#[cfg(target_env = "gnu")]
pub(crate) fn give_back_freed_blocks() {
    // SAFETY: `mallopt` takes two integers and may be called at any time by any thread. A refusal changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, BLOCK_BYTES_MIN);
        libc::mallopt(libc::M_TRIM_THRESHOLD, BLOCK_BYTES_MIN);
    }
}

/// Other C libraries give back large blocks unasked.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_back_freed_blocks() {}

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
    /// Takes the bytes of an open file that nothing changes: an object or a temporary file without a name.
    pub(crate) fn of_immutable(file: &File) -> io::Result<Self> {
        let size = rustix::fs::fstat(file)?.st_size;
        let size = u64::try_from(size).unwrap_or(0);
        if size < MAP_BYTES_MIN {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
            while (bytes.len() as u64) < size {
                match rustix::io::read(file, rustix::buffer::spare_capacity(&mut bytes)) {
                    Ok(0) => break,
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(e) => return Err(e.into()),
                }
            }
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
