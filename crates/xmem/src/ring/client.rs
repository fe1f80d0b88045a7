//! The client's end of a ring.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::thread::futex;

use super::mapped::{SharedLane, open};
use super::queue::{Consumer, Popped, Producer, Pushed};
use super::spin::Whereabouts;
use super::{Lane, RingError};
use crate::frame::Header;

/// The client's end of a ring, before it is split for a writer and a reader.
#[derive(Debug)]
pub struct ClientRing {
    /// For whoever sends.
    pub sender: ClientSender,
    /// For whoever waits for replies.
    pub receiver: ClientReceiver,
}

/// Sends calls.
#[derive(Debug)]
pub struct ClientSender {
    calls: Producer<SharedLane>,
    doorbell: OwnedFd,
    whereabouts: Whereabouts,
}

/// Receives replies.
#[derive(Debug)]
pub struct ClientReceiver {
    replies: Consumer<SharedLane>,
    server_processor: Option<u32>,
}

impl ClientRing {
    /// Takes over what RING_READY brought: memory, doorbell, and its `detail`.
    ///
    /// # Errors
    ///
    /// The kernel's; `InvalidInput` when the memory is not sealed or not of the size for this capacity.
    pub fn open(memory: &OwnedFd, doorbell: OwnedFd, capacity: u32) -> std::io::Result<Self> {
        let [calls, replies] = open(memory, capacity)?;
        Ok(Self {
            sender: ClientSender {
                calls: Producer::new(calls),
                doorbell,
                whereabouts: Whereabouts::default(),
            },
            receiver: ClientReceiver { replies: Consumer::new(replies), server_processor: None },
        })
    }
}

impl ClientSender {
    /// Most bytes of payload in one record; more goes over the socket.
    #[must_use]
    pub fn payload_bytes_max(&self) -> usize {
        self.calls.payload_bytes_max()
    }

    /// Writes a frame and rings if the server sleeps. `false`: no room.
    ///
    /// # Errors
    ///
    /// [`RingError`].
    #[inline]
    pub fn try_push(&mut self, header: &Header, payload: &[u8]) -> Result<bool, RingError> {
        match self.calls.push(*header, payload, self.whereabouts.processor())? {
            Pushed::Full => Ok(false),
            Pushed::Awake => Ok(true),
            Pushed::Asleep => {
                // It can only fail when the counter is at its end, and then the bell has been heard.
                let _: Result<usize, _> = rustix::io::write(&self.doorbell, &1u64.to_ne_bytes());
                Ok(true)
            }
        }
    }
}

impl ClientReceiver {
    /// Whether there is a frame.
    #[must_use]
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.replies.is_ready()
    }

    /// Takes the next frame, if there is one; the payload replaces what was in `buffer`.
    ///
    /// # Errors
    ///
    /// [`RingError::Corrupt`].
    #[inline]
    pub fn try_pop(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Header>, RingError> {
        Ok(self.replies.pop(buffer)?.map(|Popped { header, processor }| {
            self.server_processor = Some(processor);
            header
        }))
    }

    /// Says that the client is about to sleep. `true`: there is a frame after all.
    #[must_use]
    pub fn arm(&self) -> bool {
        self.replies.arm()
    }

    /// Says that the client is awake.
    pub fn disarm(&self) {
        self.replies.disarm();
    }

    /// Sleeps after [`ClientReceiver::arm`] until the server wakes, or until the time is over.
    pub fn sleep(&self, timeout: Duration) {
        let timeout = rustix::time::Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // Whatever it ends with (woken, not asleep any more, time over, a signal), the caller looks again.
        let _: Result<(), _> =
            futex::wait(self.replies.lane().asleep(), futex::Flags::empty(), 1, Some(&timeout));
    }

    /// Processor that the server ran on when it wrote last: a hint for [`super::Spin`].
    #[must_use]
    pub const fn server_processor(&self) -> Option<u32> {
        self.server_processor
    }
}
