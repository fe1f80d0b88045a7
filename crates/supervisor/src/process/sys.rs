//! The calls that have no safe wrapper: making a child, taking signals as a file, giving memory back.
#![expect(
    unsafe_code,
    reason = "clone3 with a cgroup, and what runs between it and exec, exist only as raw calls"
)]

use std::ffi::{CStr, c_char};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;

/// From linux/sched.h: the constant of the libc crate does not hold 64 bits.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Signals of the kernel, and bits in a set of them.
const SIGNALS: libc::c_long = 64;

/// A program about to be run; everything it needs is ready, so that the child allocates nothing.
#[derive(Debug)]
pub(crate) struct Image<'i> {
    pub(crate) program: &'i CStr,
    /// Ends with a null pointer.
    pub(crate) arguments: &'i Pointers<'i>,
    /// Ends with a null pointer.
    pub(crate) environment: &'i Pointers<'i>,
    pub(crate) directory: &'i CStr,
    /// Put in place of descriptors 0, 1, 2 and so on. None of them, nor `report`, is that small itself.
    pub(crate) streams: &'i [BorrowedFd<'i>],
    /// Takes a [`Trouble`]; closed by a successful exec.
    pub(crate) report: BorrowedFd<'i>,
    /// The cgroup directory to start in.
    pub(crate) cgroup: Option<BorrowedFd<'i>>,
    pub(crate) umask: u32,
    /// Soft and hard number of open files.
    pub(crate) files: (u64, u64),
}

/// Strings as the kernel takes them: pointers, and a null at the end.
#[derive(Debug)]
pub(crate) struct Pointers<'s> {
    pointers: Vec<*const c_char>,
    strings: std::marker::PhantomData<&'s CStr>,
}

impl<'s> Pointers<'s> {
    pub(crate) fn new(strings: impl IntoIterator<Item = &'s CStr>) -> Self {
        let pointers = strings.into_iter().map(CStr::as_ptr).chain([ptr::null()]).collect();
        Self { pointers, strings: std::marker::PhantomData }
    }
}

/// What a child could not do; sent as eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) step: TroubleStep,
    pub(crate) errno: i32,
}

/// Where a child had trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TroubleStep {
    Prepare = 1,
    Directory = 2,
    Execute = 3,
}

impl Trouble {
    fn to_bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&(self.step as u32).to_ne_bytes());
        bytes[4..].copy_from_slice(&self.errno.to_ne_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        let [s0, s1, s2, s3, e0, e1, e2, e3] = bytes;
        let step = match u32::from_ne_bytes([s0, s1, s2, s3]) {
            1 => TroubleStep::Prepare,
            2 => TroubleStep::Directory,
            3 => TroubleStep::Execute,
            _ => return None,
        };
        Some(Self { step, errno: i32::from_ne_bytes([e0, e1, e2, e3]) })
    }
}

/// Starts a process in a session of its own; returns its number and a descriptor that means it and no other.
pub(crate) fn spawn(image: &Image<'_>) -> io::Result<(i32, OwnedFd)> {
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain numbers; zero means "not asked for".
    let mut arguments: libc::clone_args = unsafe { MaybeUninit::zeroed().assume_init() };
    arguments.flags = libc::CLONE_PIDFD as u64;
    arguments.pidfd = (&raw mut pidfd).addr() as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = image.cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    // A handler of this program must not run in the child.
    let everything = SignalMask::block_all()?;
    // SAFETY: without CLONE_VM the child has its own copy of this memory and of this stack, as with fork; `arguments`
    // and `pidfd` live until the call returns. The child calls only what is safe after fork in a process with threads.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) };
    if pid == 0 {
        // SAFETY: this is the child of the call above, where only `become_program` runs.
        unsafe { become_program(image) }
    }
    let result = if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    drop(everything);
    result?;
    // SAFETY: the kernel has put a new descriptor into `pidfd`, and nobody else has it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok((i32::try_from(pid).expect("process numbers fit in 32 bits"), pidfd))
}

/// Turns the child into the program, or reports why not and ends with 127.
///
/// # Safety
/// Only in a fresh child: it replaces descriptors and never returns. It must not allocate nor lock, since another
/// thread of the parent may have held any lock at the moment of the fork.
unsafe fn become_program(image: &Image<'_>) -> ! {
    // SAFETY: plain system calls on values that are alive in this copy of the memory.
    unsafe {
        if let Err(step) = prepare_child(image) {
            give_up(image, step);
        }
        libc::execve(
            image.program.as_ptr(),
            image.arguments.pointers.as_ptr(),
            image.environment.pointers.as_ptr(),
        );
        give_up(image, TroubleStep::Execute)
    }
}

/// # Safety
/// As for [`become_program`].
unsafe fn prepare_child(image: &Image<'_>) -> Result<(), TroubleStep> {
    let done = |result: i32| if result < 0 { Err(TroubleStep::Prepare) } else { Ok(()) };
    // SAFETY: plain system calls; every pointer is to a value on this stack or in `image`.
    unsafe {
        done(libc::setsid())?;
        // Raw, because the library refuses two of them; a structure of zeros is the default everywhere, and this is
        // larger than the kernel's on any machine. KILL and STOP are refused, as they should be.
        let default = [0_u64; 8];
        for signal in 1..=SIGNALS {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<u64>(),
                SIGNALS / 8,
            );
        }
        for (target, stream) in image.streams.iter().enumerate() {
            done(libc::dup2(stream.as_raw_fd(), target as RawFd))?;
        }
        let first = image.streams.len() as libc::c_uint;
        // Whatever this process was started with and does not know of; kernels before 5.11 cannot.
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
        libc::umask(image.umask as libc::mode_t);
        let mut files = libc::rlimit { rlim_cur: image.files.0, rlim_max: image.files.1 };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const files) < 0 {
            // More than this user may have: as much as there is.
            let mut most = files;
            done(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut most))?;
            files.rlim_max = most.rlim_max;
            files.rlim_cur = files.rlim_cur.min(most.rlim_max);
            done(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const files))?;
        }
        if libc::chdir(image.directory.as_ptr()) < 0 {
            return Err(TroubleStep::Directory);
        }
        let mut none: libc::sigset_t = MaybeUninit::zeroed().assume_init();
        libc::sigemptyset(&raw mut none);
        done(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()))
    }
}

/// # Safety
/// As for [`become_program`].
unsafe fn give_up(image: &Image<'_>, step: TroubleStep) -> ! {
    // SAFETY: plain system calls; the bytes live on this stack.
    unsafe {
        let trouble = Trouble { step, errno: *libc::__errno_location() }.to_bytes();
        libc::write(image.report.as_raw_fd(), trouble.as_ptr().cast(), trouble.len());
        libc::_exit(127)
    }
}

/// Signals that are held back from this thread until this is dropped.
#[derive(Debug)]
pub(crate) struct SignalMask {
    before: libc::sigset_t,
}

impl SignalMask {
    fn block_all() -> io::Result<Self> {
        // SAFETY: the set is filled by the call.
        unsafe {
            let mut set: libc::sigset_t = MaybeUninit::zeroed().assume_init();
            libc::sigfillset(&raw mut set);
            Self::block(&set)
        }
    }

    fn block(set: &libc::sigset_t) -> io::Result<Self> {
        // SAFETY: both sets are alive; the second is written by the call.
        unsafe {
            let mut before: libc::sigset_t = MaybeUninit::zeroed().assume_init();
            match libc::pthread_sigmask(libc::SIG_BLOCK, set, &raw mut before) {
                0 => Ok(Self { before }),
                error => Err(io::Error::from_raw_os_error(error)),
            }
        }
    }

    /// Holds signals back and returns a descriptor from which they are read, 128 bytes each, the number first.
    pub(crate) fn as_descriptor(signals: &[i32]) -> io::Result<(Self, OwnedFd)> {
        // SAFETY: the set is on this stack and filled before it is used; the descriptor is new and ours.
        unsafe {
            let mut set: libc::sigset_t = MaybeUninit::zeroed().assume_init();
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                libc::sigaddset(&raw mut set, *signal);
            }
            let mask = Self::block(&set)?;
            match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok((mask, OwnedFd::from_raw_fd(fd))),
            }
        }
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        // SAFETY: the set was filled by `block`.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut());
        }
    }
}

/// Gives memory back that is not needed any more: free memory of the heap, and pages of the program that were read at
/// the start and may never be again.
///
/// The program is large and only a small part of it supervises; a page that is needed after all is mapped again from
/// the page cache.
pub(crate) fn give_memory_back() {
    // Without the list nothing of the program is given back.
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    for (from, to) in unwritten_file_mappings(&maps) {
        // SAFETY: the mapping is of a file, private, not writable, and no page of it differs from the file (it has no
        // anonymous ones, which relocations would have left), so whoever reads it next finds the same bytes.
        unsafe {
            libc::madvise(ptr::without_provenance_mut(from), to - from, libc::MADV_DONTNEED);
        }
    }
    drop(maps);
    // SAFETY: the call has no preconditions.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Finds mappings that hold nothing but what their file has, in the text of `/proc/self/smaps`.
fn unwritten_file_mappings(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        if let Some((from, to)) = first.split_once('-').filter(|_| !first.ends_with(':')) {
            let is_candidate =
                words.next().is_some_and(|flags| flags.starts_with("r-") && flags.ends_with('p'))
                    && words.nth(3).is_some_and(|path| path.starts_with('/'));
            let number = |text| usize::from_str_radix(text, 16).ok();
            current = number(from).zip(number(to)).filter(|_| is_candidate);
        } else if first == "Anonymous:" && words.next() == Some("0") {
            found.extend(current.take());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
1000-2000 r-xp 00000000 fe:00 1 /usr/bin/tender\nRss: 4 kB\nAnonymous:             0 kB\nVmFlags: rd\n\
2000-3000 r--p 00001000 fe:00 1 /usr/bin/tender\nAnonymous:            20 kB\n\
3000-4000 rw-p 00002000 fe:00 1 /usr/bin/tender\nAnonymous:             0 kB\n\
4000-5000 r--s 00000000 fe:00 1 /shared\nAnonymous:             0 kB\n\
5000-6000 r--p 00000000 00:00 0 [vvar]\nAnonymous:             0 kB\n\
6000-7000 r--p 00000000 00:00 0\nAnonymous:             0 kB\n";

    #[test]
    fn mappings_given_back_are_those_that_equal_their_file() {
        assert_eq!(unwritten_file_mappings(SMAPS), [(0x1000, 0x2000)]);
    }

    #[test]
    fn program_whose_pages_were_given_back_goes_on() {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        assert!(!unwritten_file_mappings(&maps).is_empty());
        give_memory_back();
        assert_eq!(unwritten_file_mappings(SMAPS).len(), 1);
    }
}
