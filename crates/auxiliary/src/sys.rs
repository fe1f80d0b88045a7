//! The system calls for which there is no safe function.
#![expect(unsafe_code, reason = "descriptors with numbers that are agreed upon belong to nobody")]

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::Errno;

/// Makes `number` another name of a descriptor, one that stays open on exec; whatever had that number is closed.
///
/// Only for a process that is about to become another program and owns all its descriptors.
pub(crate) fn place(descriptor: BorrowedFd<'_>, number: i32) -> Result<(), Errno> {
    // SAFETY: numbers only; nothing in this process uses the one that is overwritten, because `enter` has taken ownership of
    // every descriptor that may have it and has moved it away.
    if unsafe { libc::dup2(descriptor.as_raw_fd(), number) } == number {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::BADF))
    }
}

/// Returns a descriptor that [`place`] has put there.
pub(crate) fn placed(number: i32) -> BorrowedFd<'static> {
    // SAFETY: `place` made it, nothing closes it, and the process ends or becomes another program with it open.
    unsafe { BorrowedFd::borrow_raw(number) }
}
