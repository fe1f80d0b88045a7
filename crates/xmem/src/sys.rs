//! The only module with `unsafe`: memory that is shared with a peer, and descriptors that were inherited.

#![expect(
    unsafe_code,
    reason = "mapping memory and taking over inherited descriptors can not be said otherwise"
)]

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A whole shared, writable mapping of a file that can not shrink.
///
/// There is no way to a `&[u8]` of it: a peer may write at any time, so the only view is one atomic at a time.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the mapping belongs to this value alone until it is dropped, and all access goes through atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above; atomics may be used from several threads.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `words` words of eight bytes (more than 0) of `file`.
    ///
    /// The caller has checked that the file has at least this size and is sealed against shrinking; otherwise an access
    /// could end the process with SIGBUS, which is not unsound but unkind.
    pub(crate) fn new(file: BorrowedFd<'_>, words: usize) -> std::io::Result<Self> {
        let bytes =
            words.checked_mul(8).filter(|bytes| *bytes > 0).ok_or(std::io::ErrorKind::InvalidInput)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the address is the kernel's choice, so no other mapping is replaced; `file` is open.
        let start = unsafe { mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, words })
    }

    /// Word `index`.
    #[inline]
    pub(crate) fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.words, "a word outside of the mapping");
        // SAFETY: `start` is page-aligned and the word inside of the mapping, which stays as long as `self` lives. Whoever
        // else has the file mapped can change it at any time, which is what an atomic allows.
        unsafe { self.start.add(index).as_ref() }
    }

    /// The `count` words from `first` on.
    #[inline]
    pub(crate) fn run(&self, first: usize, count: usize) -> &[AtomicU64] {
        assert!(first <= self.words && count <= self.words - first, "a run outside of the mapping");
        // SAFETY: as in `word`, for all of them; a slice of atomics promises no more than each atomic does.
        unsafe { std::slice::from_raw_parts(self.start.add(first).as_ptr(), count) }
    }

    /// The first four bytes of word `index`. Nobody reaches that word as a whole.
    #[inline]
    pub(crate) fn half(&self, index: usize) -> &AtomicU32 {
        assert!(index < self.words, "a word outside of the mapping");
        // SAFETY: as in `word`; four bytes need less alignment and less room.
        unsafe { self.start.add(index).cast().as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `mmap` returned; references into it borrow `self`, so none is left.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.words * 8) };
        debug_assert!(unmapped.is_ok(), "a mapping could not be removed");
    }
}

/// Descriptors that [`inherited`] has handed out.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Takes over descriptor `number`, which whoever started this process left open; `None` when there is none or it was
/// taken before.
pub(crate) fn inherited(number: RawFd) -> Option<OwnedFd> {
    let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if number < 0 || taken.contains(&number) {
        return None;
    }
    // SAFETY: only used for the question whether it is open; a number that is not gives EBADF.
    let probe = unsafe { BorrowedFd::borrow_raw(number) };
    let kind = rustix::net::sockopt::socket_type(probe.as_fd()).ok()?;
    if kind != rustix::net::SocketType::SEQPACKET {
        return None;
    }
    rustix::io::fcntl_setfd(probe, rustix::io::FdFlags::CLOEXEC).ok()?;
    taken.push(number);
    // SAFETY: it is open, it is a socket of the kind that was left to us, and `TAKEN` makes sure that it gets one owner.
    // A plug-in calls this first thing in `main`, before anything else could have opened a descriptor of that number.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::Mapping;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use std::os::fd::AsFd;
    use std::sync::atomic::Ordering;

    #[test]
    fn mapping_of_one_file_twice_is_the_same_memory() {
        let file = memfd_create("test", MemfdFlags::CLOEXEC).expect("memfd");
        ftruncate(&file, 4096).expect("grow");
        let one = Mapping::new(file.as_fd(), 512).expect("map");
        let other = Mapping::new(file.as_fd(), 512).expect("map");
        one.word(511).store(7, Ordering::Release);
        assert_eq!(other.word(511).load(Ordering::Acquire), 7);
        other.half(1).store(9, Ordering::Release);
        assert_eq!(one.half(1).load(Ordering::Acquire), 9);
        assert_eq!(one.run(510, 2)[1].load(Ordering::Acquire), 7);
    }

    #[test]
    #[should_panic(expected = "outside of the mapping")]
    fn mapping_run_beyond_the_end_is_not_given_out() {
        let file = memfd_create("test", MemfdFlags::CLOEXEC).expect("memfd");
        ftruncate(&file, 4096).expect("grow");
        let mapping = Mapping::new(file.as_fd(), 512).expect("map");
        let _ = mapping.run(510, 3);
    }

    #[test]
    #[should_panic(expected = "outside of the mapping")]
    fn mapping_word_beyond_the_end_is_not_given_out() {
        let file = memfd_create("test", MemfdFlags::CLOEXEC).expect("memfd");
        ftruncate(&file, 4096).expect("grow");
        let mapping = Mapping::new(file.as_fd(), 512).expect("map");
        let _ = mapping.word(512).load(Ordering::Relaxed);
    }
}
