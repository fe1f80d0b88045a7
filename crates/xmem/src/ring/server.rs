//! The server's end of a ring.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::thread::futex;

use super::mapped::{SharedLane, create};
use super::queue::{Consumer, Producer, Pushed};
use super::spin::Whereabouts;
use super::{Lane, RingError};
use crate::frame::Header;

/// The server's end of one client's ring. One thread can serve hundreds: nothing here waits.
///
/// To sleep: [`ServerRing::arm`] every ring; if none has work, wait in `epoll` for any [`ServerRing::doorbell`]; then look
/// at all that are ready. The doorbell is registered with `EPOLLIN | EPOLLET` and **never read**: the client has the same
/// eventfd and could empty it and make it blocking, and a read would hang the server. Every ring of the bell is an edge,
/// also when its counter was not 0 before.
#[derive(Debug)]
pub struct ServerRing {
    calls: Consumer<SharedLane>,
    replies: Producer<SharedLane>,
    memory: OwnedFd,
    doorbell: OwnedFd,
    capacity: u32,
    whereabouts: Whereabouts,
    /// Processor that the client ran on when it wrote last.
    client_processor: Option<u32>,
}

impl ServerRing {
    /// Makes a ring with `capacity` bytes for each direction (a power of two within [`super::CAPACITY_RANGE`]).
    ///
    /// # Errors
    ///
    /// The kernel's; `InvalidInput` for another capacity.
    pub fn create(capacity: u32) -> std::io::Result<Self> {
        let (memory, [calls, replies]) = create(capacity)?;
        let doorbell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (calls, replies) = (Consumer::new(calls), Producer::new(replies));
        let whereabouts = Whereabouts::default();
        Ok(Self { calls, replies, memory, doorbell, capacity, whereabouts, client_processor: None })
    }

    /// What RING_READY brings the client, in this order: memory, doorbell. Its `detail` is [`ServerRing::capacity`].
    #[must_use]
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.memory.as_fd(), self.doorbell.as_fd()]
    }

    /// Bytes of each direction.
    #[must_use]
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Most bytes of payload in one record; more goes over the socket.
    #[must_use]
    pub fn payload_bytes_max(&self) -> usize {
        self.replies.payload_bytes_max()
    }

    /// The descriptor for `epoll`. Never read it; see above.
    #[must_use]
    pub fn doorbell(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }

    /// Whether there is a frame.
    #[must_use]
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.calls.is_ready()
    }

    /// Takes the next frame, if there is one; the payload replaces what was in `buffer`.
    ///
    /// # Errors
    ///
    /// [`RingError::Corrupt`]: the connection ends.
    #[inline]
    pub fn try_pop(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Header>, RingError> {
        Ok(self.calls.pop(buffer)?.map(|popped| {
            self.client_processor = Some(popped.processor);
            popped.header
        }))
    }

    /// Writes a frame and wakes the client if it sleeps. `false`: no room; keep the frame and try later, or end the
    /// connection of a client that does not read.
    ///
    /// # Errors
    ///
    /// [`RingError`]; a payload that is too large belongs on the socket.
    #[inline]
    pub fn try_push(&mut self, header: &Header, payload: &[u8]) -> Result<bool, RingError> {
        match self.replies.push(*header, payload, self.whereabouts.processor())? {
            Pushed::Full => Ok(false),
            Pushed::Awake => Ok(true),
            Pushed::Asleep => {
                self.wake();
                Ok(true)
            }
        }
    }

    /// Says that the server is about to sleep. `true`: there is work after all, do not sleep.
    #[must_use]
    pub fn arm(&self) -> bool {
        self.calls.arm()
    }

    /// Says that the server is awake: the client need not ring. Call it after having slept.
    pub fn disarm(&self) {
        self.calls.disarm();
    }

    /// Wakes the client if it sleeps, without a frame: after something was sent over the socket to a client that has a
    /// ring, because it waits on the ring alone.
    pub fn nudge(&self) {
        if self.replies.must_wake() {
            self.wake();
        }
    }

    /// Processor that the client ran on when it wrote last: a hint for [`super::Spin`].
    #[must_use]
    pub const fn client_processor(&self) -> Option<u32> {
        self.client_processor
    }

    fn wake(&self) {
        // It fails only for an address that is not mapped, and this one is.
        let woken = futex::wake(self.replies.lane().asleep(), futex::Flags::empty(), u32::MAX >> 1);
        debug_assert!(woken.is_ok(), "a futex of a mapping could not be woken");
    }
}
