//! Shared memory between one client and the server, for calls at a high rate.
//!
//! ```text
//! offset     0  magic, version, capacity        written once by the server
//!          128  client → server: head            how far the server has read
//!          256  client → server: asleep          the server wants its doorbell (an eventfd) rung
//!          384  server → client: head            how far the client has read
//!          512  server → client: asleep          the client waits on this word (a futex)
//!         4096  records client → server          `capacity` bytes
//!         4096 + capacity  records server → client
//! ```
//!
//! A record begins at a multiple of 64 with a stamp (`u32` lines of 64 bytes that it takes, `u32` processor that wrote it),
//! eight bytes of nothing and the header of [`crate::frame`]: together one line. The payload follows, filled up to 64. A
//! stamp of 0 means that nothing was written yet; who writes a record first clears the stamp behind it and puts its own
//! stamp last. So a reader looks at one place only, the record itself: there is no index between the two ends that would
//! cost another trip of a cache line.
//!
//! Records go on at the beginning when they come to the end, in the middle of a payload too. Neither a marker for the end
//! nor slots of one size are needed for that: both ends copy word by word and mask every index anyway, a marker would leave
//! up to half of the ring unused, slots would fix the size of a payload. The first line of a record never wraps, because
//! the capacity is a multiple of 64.
//!
//! The other end can write to all of it at any time. Therefore:
//! - memory is only reached through atomics, one at a time, never as bytes;
//! - positions of one's own are kept in private and only written, never read back;
//! - stamp, header and payload are each fetched once, into private memory, and judged there;
//! - what is out of place is [`RingError::Corrupt`], and costs the peer its connection and nobody anything else.

mod memory;
mod queue;

#[cfg(not(loom))]
mod client;
#[cfg(not(loom))]
mod mapped;
#[cfg(not(loom))]
mod server;
#[cfg(not(loom))]
mod spin;

#[cfg(not(loom))]
pub use client::{ClientReceiver, ClientRing, ClientSender};
#[cfg(not(loom))]
pub use mapped::{CAPACITY_DEFAULT, CAPACITY_RANGE, SharedLane};
pub use memory::{HeapLane, Lane};
pub use queue::{Consumer, Popped, Producer, Pushed};
#[cfg(not(loom))]
pub use server::ServerRing;
#[cfg(not(loom))]
pub use spin::{Spin, processors};

/// Bytes of a line; records begin at multiples of it.
pub const LINE_BYTES: usize = 64;

/// What is wrong with a ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The other end wrote what it must not write. The connection ends.
    #[error("the ring is corrupt: {what}")]
    Corrupt {
        /// What was found.
        what: &'static str,
    },
    /// The payload does not fit into this ring; it belongs on the socket.
    #[error("a payload of {bytes} bytes does not fit into the ring, at most {max} do")]
    TooLarge {
        /// Bytes of the payload.
        bytes: usize,
        /// Most that fit.
        max: usize,
    },
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
