//! A copy of a program that nobody can change.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, SealFlags};

use super::module::Digest;

/// The largest module, in bytes.
pub const MODULE_BYTES_MAX: u64 = 256 << 20;

/// What makes the copy one that stays as it is.
const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::SEAL);

/// An executable copy in memory. Its content can no longer be changed by anybody, this process included.
///
/// Execute it with `execveat` and `AT_EMPTY_PATH`, or as `/proc/self/fd/<n>`; scripts do not work that way once the
/// descriptor is closed on exec.
#[derive(Debug)]
pub struct SealedProgram {
    memfd: File,
    digest: Digest,
    length: u64,
    is_mode_sealed: bool,
}

impl SealedProgram {
    /// Copies what is left to read of a file; `name` is shown where the kernel lists open files.
    ///
    /// Errors: longer than [`MODULE_BYTES_MAX`] is [`io::ErrorKind::FileTooLarge`].
    pub fn copy(file: &mut File, name: &str) -> io::Result<Self> {
        let mut memfd = executable_memfd(name)?;
        let length = io::copy(&mut file.take(MODULE_BYTES_MAX + 1), &mut memfd)?;
        if length > MODULE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        // For every user: the process that executes it is not the one that made it.
        rustix::fs::fchmod(&memfd, Mode::from_raw_mode(0o555))?;
        // Kernels before 6.3 do not know the seal of the mode; there the mode is not what is relied on.
        let is_mode_sealed = rustix::fs::fcntl_add_seals(&memfd, SealFlags::EXEC).is_ok();
        rustix::fs::fcntl_add_seals(&memfd, SEALS)?;
        if !rustix::fs::fcntl_get_seals(&memfd)?.contains(SEALS) {
            return Err(io::Error::other("the kernel did not seal the copy"));
        }
        // Until it was sealed somebody with this process's rights could have written to it: only now it is measured.
        memfd.rewind()?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&mut memfd)?;
        memfd.rewind()?;
        Ok(Self { memfd, digest: Digest(*hasher.finalize().as_bytes()), length, is_mode_sealed })
    }

    /// Returns the digest of the copy.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the length of the copy in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Says whether its being executable is sealed too (since Linux 6.3).
    #[must_use]
    pub fn is_mode_sealed(&self) -> bool {
        self.is_mode_sealed
    }

    /// Returns the whole content.
    pub fn content(&self) -> io::Result<Vec<u8>> {
        let mut memfd = self.memfd.try_clone()?;
        memfd.rewind()?;
        let mut content = Vec::new();
        memfd.read_to_end(&mut content)?;
        Ok(content)
    }

    /// Hands the descriptor over; it is closed on exec.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.memfd.into()
    }
}

impl AsFd for SealedProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memfd.as_fd()
    }
}

fn executable_memfd(name: &str) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memfd = match rustix::fs::memfd_create(name, flags | MemfdFlags::EXEC) {
        // Before 6.3 the flag is unknown and every memfd is executable.
        Err(rustix::io::Errno::INVAL) => rustix::fs::memfd_create(name, flags)?,
        made => made?,
    };
    Ok(memfd.into())
}
