//! The calls that the compiler cannot check. Nothing else in the crate is `unsafe`.

#![expect(unsafe_code, reason = "calls that no safe library has; each block says why it is sound")]

pub(crate) mod pam;

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// `CLONE_THREAD`: unsharing it changes nothing and fails in a process with more than one thread.
pub(crate) const CLONE_THREAD: u64 = 0x0001_0000;

fn outcome(returned: libc::c_long) -> Result<libc::c_long, Errno> {
    if returned < 0 { Err(last_error()) } else { Ok(returned) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Says with an error that this process has more than one thread. Needs no `/proc`.
pub(crate) fn check_single_threaded() -> Result<(), Errno> {
    // SAFETY: `unshare` with `CLONE_THREAD` takes no pointer and changes nothing.
    outcome(unsafe { libc::syscall(libc::SYS_unshare, CLONE_THREAD) }).map(drop)
}

/// Moves this process into new namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    assert!(!flags.contains(UnshareFlags::FILES), "descriptors stay shared between threads");
    // SAFETY: the table of descriptors stays as it is, so no descriptor that somebody owns changes its meaning.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Where a fork continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fork {
    /// In the new process.
    Child,
    /// In the old one.
    Parent(Pid),
}

/// Makes a copy of this process, which must have one thread.
pub(crate) fn fork() -> Result<Fork, Errno> {
    check_single_threaded()?;
    // SAFETY: the process has a single thread, so no lock is held by one that the copy does not have, and everything
    // may be called in the copy.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(last_error());
    }
    Ok(Pid::from_raw(pid).map_or(Fork::Child, Fork::Parent))
}

/// Ends a forked process at once: nothing that it has a copy of is flushed or dropped.
pub(crate) fn end(status: i32) -> ! {
    // SAFETY: `_exit` takes a number and does not return.
    unsafe { libc::_exit(status) }
}

/// Takes a descriptor that this process was born with, and closes it on exec.
///
/// It is for the first lines of `main`: `fd` is 3 or more and below 64, open, and can be taken once.
///
/// ```no_run
/// let channel = tender_worker::inherited(3)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn inherited(fd: RawFd) -> std::io::Result<OwnedFd> {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    if !(3..64).contains(&fd) {
        return Err(std::io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: `fcntl` with these commands takes numbers only.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    if TAKEN.fetch_or(1 << fd, Ordering::Relaxed) & (1 << fd) != 0 {
        return Err(std::io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is open, was not taken before, and by the contract of a role process nobody else in it owns a
    // descriptor that it was born with.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes every descriptor from 3 on but these. Only for a process that owns no others: at its start, or a forked
/// child before it runs another program.
pub(crate) fn close_all_but(keep: &[RawFd]) -> Result<(), Errno> {
    let mut keep: Vec<u32> =
        keep.iter().filter_map(|&fd| u32::try_from(fd).ok()).filter(|&fd| fd > 2).collect();
    keep.sort_unstable();
    keep.dedup();
    let mut first = 3_u32;
    for fd in keep {
        if fd > first {
            close_range(first, fd - 1)?;
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers only; that no owned descriptor is among them is the contract of `close_all_but`.
    match outcome(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }) {
        // Before Linux 5.9. Whoever can be here has few descriptors: its limit is the end.
        Err(Errno::NOSYS) => {
            let limit =
                rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(65_536);
            for fd in first..=last.min(u32::try_from(limit).unwrap_or(u32::MAX)) {
                // SAFETY: as above.
                unsafe { libc::close(fd.cast_signed()) };
            }
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Removes all variables of the environment.
pub(crate) fn clear_environment() -> Result<(), Errno> {
    check_single_threaded()?;
    // SAFETY: the process has a single thread, so nobody reads the environment meanwhile.
    if unsafe { libc::clearenv() } == 0 { Ok(()) } else { Err(Errno::NOMEM) }
}

/// Replaces the program of this process by the one that is open as `program`; it returns only when that failed.
///
/// A program that starts with `#!` needs a descriptor that stays open on exec. `environment` is all of it.
#[must_use]
pub fn execute(program: BorrowedFd<'_>, arguments: &[CString], environment: &[CString]) -> std::io::Error {
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both lists end with a null pointer and point to texts that live until the call returns.
    unsafe { libc::fexecve(program.as_raw_fd(), arguments.as_ptr(), environment.as_ptr()) };
    std::io::Error::last_os_error()
}

/// Replaces the program of this process by that of a path; it returns only when that failed.
pub(crate) fn execute_path(program: &CStr, arguments: &[CString], environment: &[CString]) -> Errno {
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: as in `execute`; the path is a text that ends with a zero byte.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    last_error()
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Real, effective and saved uid and the one for files; the same of gids.
pub(crate) fn identity() -> ([u32; 4], [u32; 4]) {
    let (mut uids, mut gids) = ([u32::MAX; 4], [u32::MAX; 4]);
    let [r, e, s, _] = &mut uids;
    // SAFETY: three pointers to numbers of the right size.
    unsafe { libc::getresuid(r, e, s) };
    let [r, e, s, _] = &mut gids;
    // SAFETY: as above.
    unsafe { libc::getresgid(r, e, s) };
    // SAFETY: numbers only. An id that does not exist changes nothing and tells what it was.
    let (fsuid, fsgid) = unsafe { (libc::setfsuid(u32::MAX), libc::setfsgid(u32::MAX)) };
    uids[3] = fsuid.cast_unsigned();
    gids[3] = fsgid.cast_unsigned();
    (uids, gids)
}

/// Copies memory of another process, page by page from `address` on; returns how much could be read.
pub(crate) fn read_memory(pid: Pid, address: u64, into: &mut [u8]) -> Result<usize, Errno> {
    let page = rustix::param::page_size() as u64;
    let end = address.checked_add(into.len() as u64).ok_or(Errno::FAULT)?;
    let mut parts = Vec::new();
    let mut at = address;
    // The kernel promises to stop only between parts, so each is within one page.
    while at < end {
        let next = (at / page + 1).saturating_mul(page).min(end);
        let base = usize::try_from(at).map_err(|_narrow| Errno::FAULT)?;
        let length = usize::try_from(next - at).map_err(|_narrow| Errno::FAULT)?;
        parts.push(libc::iovec { iov_base: std::ptr::without_provenance_mut(base), iov_len: length });
        at = next;
    }
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: the local part is `into`, whole and writable. The remote parts are addresses in another process, which
    // the kernel checks.
    let read = unsafe {
        libc::process_vm_readv(
            pid.as_raw_pid(),
            &raw const local,
            1,
            parts.as_ptr(),
            parts.len() as libc::c_ulong,
            0,
        )
    };
    usize::try_from(read).map_err(|_negative| last_error())
}

/// Gives all signals their default meaning and blocks none: an ignored or blocked one stays so across exec.
pub(crate) fn default_signals() {
    // Nothing but zeros is the default action without flags and mask in the kernel's layout of every architecture. The C
    // library's own call leaves out two signals that it uses itself, which are ignored if whoever started us did so.
    let default = [0_u64; 8];
    for signal in 1..=64 {
        // SAFETY: the action is longer than any layout of it and lives across the call; none is asked back. Numbers that
        // cannot be changed are refused without effect.
        unsafe {
            let none = std::ptr::null_mut::<libc::c_void>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, 8_usize)
        };
    }
    // SAFETY: an empty set made by the call that makes one, which lives across the second call.
    unsafe {
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// `/dev/null`, for standard streams that shall lead nowhere.
pub(crate) fn open_null() -> Result<OwnedFd, Errno> {
    use rustix::fs::{Mode, OFlags};
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

/// Leads those of standard input, output and error that are closed to `/dev/null`, so that no other descriptor gets
/// their numbers.
pub(crate) fn fill_standard_streams() -> Result<(), Errno> {
    use rustix::fs::{Mode, OFlags};
    loop {
        let filler = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())?;
        if filler.as_raw_fd() > 2 {
            return Ok(());
        }
        // It stays open as what it has become.
        std::mem::forget(filler);
    }
}
