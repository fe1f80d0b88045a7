//! The only module with `unsafe`: memory that is shared with a peer, descriptors that were inherited or that came in a packet.

#![expect(
    unsafe_code,
    reason = "mapping memory, taking over descriptors and receiving a packet in one short step can not be said otherwise"
)]

use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd, OwnedFd, RawFd};
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

/// Bytes of a control message before its descriptors: a multiple of the alignment, so there is none to fill up.
const CONTROL_HEADER_BYTES: usize = size_of::<libc::cmsghdr>();
/// Descriptors for which [`receive`] has room.
pub(crate) const RECEIVED_DESCRIPTORS_MAX: usize = 4;

/// Room for one control message with descriptors, aligned as the kernel and `CMSG_FIRSTHDR` want it.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; CONTROL_HEADER_BYTES + size_of::<RawFd>() * RECEIVED_DESCRIPTORS_MAX]);

/// What [`receive`] got.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: usize,
    /// The packet was longer than the buffer.
    pub(crate) is_cut: bool,
    /// It brought more control data than there was room for, or other control data than descriptors.
    pub(crate) has_more: bool,
    /// Close-on-exec from the moment they exist.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Receives one packet with room for exactly `room` descriptors (at most [`RECEIVED_DESCRIPTORS_MAX`]).
///
/// This is what a call costs most of all, so nothing is asked for that nobody looks at: no address of the sender, and the
/// control data is walked only when there is some.
///
/// # Errors
///
/// The kernel's, interruptions among them.
#[inline]
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    room: usize,
    wait: bool,
) -> Result<Received, rustix::io::Errno> {
    let mut control = Control([MaybeUninit::uninit(); _]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: a structure of numbers and pointers, for which zeros are valid; there is no other way to fill its padding.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    let control_bytes = CONTROL_HEADER_BYTES + size_of::<RawFd>() * room.min(RECEIVED_DESCRIPTORS_MAX);
    #[expect(clippy::useless_conversion, reason = "its type differs between C libraries")]
    let control_bytes = control_bytes.try_into().unwrap_or(0);
    message.msg_controllen = control_bytes;
    let flags = libc::MSG_CMSG_CLOEXEC | if wait { 0 } else { libc::MSG_DONTWAIT };
    // SAFETY: the kernel writes at most as many bytes as the two buffers have, which live longer than the call, and the
    // structure says where they are. Not through the C library's function, which makes a point of cancellation of it.
    let bytes = unsafe { libc::syscall(libc::SYS_recvmsg, socket.as_raw_fd(), &raw mut message, flags) };
    let Ok(bytes) = usize::try_from(bytes) else {
        let error = std::io::Error::last_os_error();
        return Err(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO));
    };
    let mut received = Received {
        bytes,
        is_cut: message.msg_flags & libc::MSG_TRUNC != 0,
        has_more: message.msg_flags & libc::MSG_CTRUNC != 0,
        descriptors: Vec::new(),
    };
    if message.msg_controllen != 0 {
        take_control(&message, &mut received);
    }
    Ok(received)
}

/// Takes the descriptors out of the control data of a message that the kernel has just filled.
#[cold]
fn take_control(message: &libc::msghdr, received: &mut Received) {
    // SAFETY: the kernel wrote whole control messages of `msg_controllen` bytes to `msg_control`, which is aligned.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: not null, so there is a whole header inside of what the kernel wrote.
        let header = unsafe { next.read() };
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            let bytes = (header.cmsg_len as usize).saturating_sub(CONTROL_HEADER_BYTES);
            for index in 0..bytes / size_of::<RawFd>() {
                // SAFETY: the kernel wrote so many descriptors behind the header; each is ours alone from now on, and is
                // taken once.
                let descriptor = unsafe {
                    OwnedFd::from_raw_fd(libc::CMSG_DATA(next).cast::<RawFd>().add(index).read_unaligned())
                };
                received.descriptors.push(descriptor);
            }
        } else {
            received.has_more = true;
        }
        // SAFETY: `next` is a header inside of the control data.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
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
