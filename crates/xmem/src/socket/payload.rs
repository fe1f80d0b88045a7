//! Payloads that are too large for a packet: in a sealed memfd.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create};
use rustix::io::Errno;

use crate::frame::{INLINE_BYTES_MAX, PAYLOAD_BYTES_MAX};

const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// Why a descriptor is no payload.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// It is no memfd, or could still be changed.
    #[error("the descriptor is no memfd, or is not sealed against writing and resizing")]
    NotSealed,
    /// Its size is not the announced one, or not allowed.
    #[error("the memfd has {found} bytes, {announced} were announced")]
    Size {
        /// Bytes of the file.
        found: i64,
        /// Bytes of the header.
        announced: usize,
    },
    /// The kernel refuses.
    #[error("the memfd can not be read")]
    Io(#[source] std::io::Error),
}

/// A sealed memfd with these bytes.
///
/// # Errors
///
/// The kernel's.
pub fn seal(bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match memfd_create("tender-xmem-payload", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create("tender-xmem-payload", flags)?,
        file => file?,
    };
    let mut left = bytes;
    while !left.is_empty() {
        match rustix::io::write(&file, left) {
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    fcntl_add_seals(&file, SEALS)?;
    Ok(file)
}

/// Copies the `length` bytes of a sealed memfd.
///
/// Only a memfd can have these seals, so a file of FUSE or of a network can not make the reader wait here, and nobody can
/// change or shorten it any more.
///
/// # Errors
///
/// [`PayloadError`].
pub fn read_sealed(file: BorrowedFd<'_>, length: usize) -> Result<Vec<u8>, PayloadError> {
    match fcntl_get_seals(file) {
        Ok(seals) if seals.contains(SEALS) => {}
        _ => return Err(PayloadError::NotSealed),
    }
    let io = |error: Errno| PayloadError::Io(error.into());
    let found = fstat(file).map_err(io)?.st_size;
    let allowed = length > INLINE_BYTES_MAX && length <= PAYLOAD_BYTES_MAX;
    if !allowed || u64::try_from(found) != Ok(length as u64) {
        return Err(PayloadError::Size { found, announced: length });
    }
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < length {
        let rest = bytes.get_mut(done..).unwrap_or_default();
        match rustix::io::pread(file, rest, done as u64) {
            Ok(0) => {
                return Err(PayloadError::Size {
                    found: i64::try_from(done).unwrap_or(i64::MAX),
                    announced: length,
                });
            }
            Ok(read) => done += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(io(error)),
        }
    }
    Ok(bytes)
}
