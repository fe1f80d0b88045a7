//! The end of a channel that orders.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SendFlags;
use zeroize::Zeroizing;

use super::packet::{self, Buffer, Received};
use super::{DEADLINE_MS_MAX, Order, Outcome, PACKET_BYTES_MAX, Reply, Work};
use crate::kind::Kind;

/// Sends orders to one worker and takes its answers, without ever waiting.
///
/// Poll [`Orders::as_fd`] for reading, and for writing while [`Orders::wants_write`]. When the worker ends, what is in
/// [`Orders::outstanding`] has no answer: it may or may not have been done.
pub struct Orders {
    kind: Kind,
    channel: OwnedFd,
    last: u64,
    under_way: BTreeSet<u64>,
    unsent: VecDeque<Packet>,
    buffer: Buffer,
}

struct Packet {
    bytes: Zeroizing<Vec<u8>>,
    descriptors: Vec<OwnedFd>,
}

/// What came of one order.
#[derive(Debug)]
pub struct Answer {
    /// Of the order, as [`Orders::send`] gave it.
    pub id: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// Exactly [`Outcome::descriptors`] of them.
    pub descriptors: Vec<OwnedFd>,
}

/// Says what is wrong with a worker or with an order to it.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The worker has ended.
    #[error("the {kind} worker has ended")]
    Ended {
        /// Its kind.
        kind: Kind,
    },
    /// The order is for another kind of worker.
    #[error("a {kind} worker was given work of another kind")]
    Kind {
        /// The worker's.
        kind: Kind,
    },
    /// The order brings another number of descriptors than it has to.
    #[error("an order to the {kind} worker brings {came} descriptors, it takes {expected}")]
    Descriptors {
        /// The worker's kind.
        kind: Kind,
        /// The right number.
        expected: usize,
        /// The number given.
        came: usize,
    },
    /// The order is too long for a packet.
    #[error("an order to the {kind} worker is longer than {PACKET_BYTES_MAX} bytes")]
    Long {
        /// The worker's kind.
        kind: Kind,
    },
    /// The worker sent something that is no answer to anything. It is not to be trusted any more.
    #[error("the {kind} worker broke the protocol: {what}")]
    Protocol {
        /// Its kind.
        kind: Kind,
        /// How.
        what: String,
    },
    /// The channel failed.
    #[error("use the channel of the {kind} worker")]
    Channel {
        /// The worker's kind.
        kind: Kind,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl std::fmt::Debug for Orders {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Orders")
            .field("kind", &self.kind)
            .field("under_way", &self.under_way)
            .field("unsent", &self.unsent.len())
            .finish_non_exhaustive()
    }
}

impl AsFd for Orders {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

impl Orders {
    /// Takes the ordering end of a [`super::pair`].
    pub fn new(kind: Kind, channel: OwnedFd) -> Result<Self, OrderError> {
        rustix::io::ioctl_fionbio(&channel, true)
            .map_err(|source| OrderError::Channel { kind, source: source.into() })?;
        Ok(Self {
            kind,
            channel,
            last: 0,
            under_way: BTreeSet::new(),
            unsent: VecDeque::new(),
            buffer: Buffer::new(),
        })
    }

    /// The worker's kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Orders work and returns the id that its answer will have. The descriptors are closed here once they were sent.
    ///
    /// A deadline of zero stands for the settings' own. What does not fit into the channel now is kept and sent by
    /// [`Orders::flush`].
    pub fn send(
        &mut self,
        work: Work,
        descriptors: Vec<OwnedFd>,
        deadline: Duration,
    ) -> Result<u64, OrderError> {
        let kind = self.kind;
        if work.kind().is_some_and(|wanted| wanted != kind) {
            return Err(OrderError::Kind { kind });
        }
        let (expected, came) = (work.descriptors(), descriptors.len());
        if expected != came {
            return Err(OrderError::Descriptors { kind, expected, came });
        }
        let deadline_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX).min(DEADLINE_MS_MAX);
        let id = self.last + 1;
        let answered = work.kind().is_some();
        let bytes = encode(&Order { id, deadline_ms, work }).ok_or(OrderError::Long { kind })?;
        self.last = id;
        self.unsent.push_back(Packet { bytes, descriptors });
        if answered {
            self.under_way.insert(id);
        }
        self.flush()?;
        Ok(id)
    }

    /// Asks the worker to end an order. Its answer still comes.
    pub fn cancel(&mut self, id: u64) -> Result<(), OrderError> {
        if self.under_way.contains(&id) {
            self.send(Work::Cancel(id), Vec::new(), Duration::ZERO)?;
        }
        Ok(())
    }

    /// Whether something waits for room in the channel.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends what waits, as far as there is room.
    pub fn flush(&mut self) -> Result<(), OrderError> {
        while let Some(next) = self.unsent.front() {
            match packet::send(self.channel.as_fd(), &next.bytes, &next.descriptors, SendFlags::DONTWAIT) {
                Ok(()) => drop(self.unsent.pop_front()),
                Err(Errno::AGAIN) => break,
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => {
                    return Err(OrderError::Ended { kind: self.kind });
                }
                // Descriptors in flight are counted for each user; there is room again when the worker has read some.
                Err(Errno::TOOMANYREFS | Errno::NOBUFS | Errno::NOMEM) => break,
                Err(error) => return Err(OrderError::Channel { kind: self.kind, source: error.into() }),
            }
        }
        Ok(())
    }

    /// Takes the next answer, or `None` when there is none yet.
    ///
    /// An error means that the worker is gone or must be ended; [`Orders::outstanding`] then says what is lost.
    pub fn receive(&mut self) -> Result<Option<Answer>, OrderError> {
        let kind = self.kind;
        let protocol = |what: String| OrderError::Protocol { kind, what };
        let (bytes, descriptors) = match packet::receive(self.channel.as_fd(), &mut self.buffer) {
            Ok(Received::Packet { bytes, descriptors }) => (bytes, descriptors),
            Ok(Received::Oversized) => return Err(protocol("an oversized answer".to_owned())),
            Ok(Received::End) => return Err(OrderError::Ended { kind }),
            Err(Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(OrderError::Channel { kind, source: error.into() }),
        };
        let reply = serde_json::from_slice::<Reply>(self.buffer.bytes(bytes));
        self.buffer.wipe(bytes);
        let Reply { id, outcome } = reply.map_err(|error| protocol(error.to_string()))?;
        if descriptors.len() != outcome.descriptors() {
            return Err(protocol(format!("{} descriptors with an answer", descriptors.len())));
        }
        if !self.under_way.remove(&id) {
            return Err(protocol(format!("an answer to {id}, which was not asked: {outcome:?}")));
        }
        Ok(Some(Answer { id, outcome, descriptors }))
    }

    /// Orders without an answer so far.
    pub fn outstanding(&self) -> impl Iterator<Item = u64> + '_ {
        self.under_way.iter().copied()
    }
}

/// The order as JSON, in a buffer that is wiped and was never outgrown; none if it is too long.
fn encode(order: &Order) -> Option<Zeroizing<Vec<u8>>> {
    // One pass to learn the length: growing a buffer would leave copies of a secret behind.
    let mut length = Counter(0);
    serde_json::to_writer(&mut length, order).ok()?;
    if length.0 > PACKET_BYTES_MAX {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *bytes, order).ok()?;
    debug_assert_eq!(bytes.len(), length.0, "an order is written alike twice");
    Some(bytes)
}

struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
