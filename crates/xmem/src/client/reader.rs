//! The reading end of a link: one thread at a time has it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::deadline::Deadline;
use crate::frame::Header;
use crate::ring::{ClientReceiver, Spin};
use crate::socket::{Connection, DESCRIPTORS_MAX, SocketError};

/// How long to sleep on a ring before looking whether the server is still there: a server that was killed wakes nobody.
const SLICE: Duration = Duration::from_millis(20);
/// How long a link may be used without looking at its socket, where a goodbye or the end would be.
const UNSEEN: Duration = Duration::from_millis(5);
/// Most room that is kept ready for an answer that has not come yet.
const ROOM_BYTES_MAX: usize = 4096;
/// How long a receive blocks at most. Shorter deadlines are waited for with `poll`.
pub(super) const BLOCK: Duration = Duration::from_millis(100);

/// A clock that costs next to nothing and is some milliseconds late: good enough for when to look at a socket again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Coarse(Duration);

impl Coarse {
    pub(super) fn now() -> Self {
        let now = clock_gettime(ClockId::MonotonicCoarse);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        Self(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0)))
    }

    fn and(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}

/// What came.
#[derive(Debug)]
pub(super) enum Event {
    /// The time is over, or there was nothing after all.
    Nothing,
    Frame {
        header: Header,
        payload: Vec<u8>,
        descriptors: Vec<OwnedFd>,
    },
    /// The connection ended; with a text when the server broke the rules.
    Ended(Option<String>),
}

#[derive(Debug)]
pub(super) struct Reader {
    packet: Vec<u8>,
    record: Vec<u8>,
    /// Room for the next record: as much as the last one had.
    record_bytes: usize,
    ring: Option<(ClientReceiver, Spin)>,
    /// When somebody has to look at the socket again.
    look_at: Coarse,
}

impl Reader {
    pub(super) fn new(ring: Option<(ClientReceiver, Spin)>) -> Self {
        let (packet, record) = (Connection::buffer(), Vec::new());
        Self { packet, record, record_bytes: 0, ring, look_at: Coarse::now().and(UNSEEN) }
    }

    /// The next frame, until the deadline.
    pub(super) fn next(&mut self, connection: &Connection, deadline: &mut Deadline) -> Event {
        if self.ring.is_some() {
            self.next_of_both(connection, deadline)
        } else {
            self.next_packet(connection, deadline)
        }
    }

    /// Whether nobody has looked at the socket for a while.
    pub(super) fn is_overdue(&self, now: Coarse) -> bool {
        now >= self.look_at
    }

    /// What is on the socket, if nobody has looked there for a while.
    pub(super) fn overdue(&mut self, connection: &Connection) -> Option<Event> {
        if !self.is_overdue(Coarse::now()) {
            return None;
        }
        match self.try_packet(connection) {
            Event::Nothing => None,
            event => {
                // There may be more: as long as something is found this stays overdue, up to the end.
                if !matches!(event, Event::Ended(_)) {
                    self.look_at = Coarse::now();
                }
                Some(event)
            }
        }
    }

    #[inline]
    fn next_packet(&mut self, connection: &Connection, deadline: &mut Deadline) -> Event {
        let received = if deadline.left_a_moment_ago() > BLOCK * 2 {
            connection.receive_blocking(&mut self.packet, DESCRIPTORS_MAX)
        } else {
            connection.receive_until(&mut self.packet, DESCRIPTORS_MAX, Some(deadline.at()))
        };
        to_event(received)
    }

    fn try_packet(&mut self, connection: &Connection) -> Event {
        self.look_at = Coarse::now().and(UNSEEN);
        to_event(connection.receive(&mut self.packet, DESCRIPTORS_MAX))
    }

    fn next_of_both(&mut self, connection: &Connection, deadline: &mut Deadline) -> Event {
        loop {
            if let Some(event) = self.try_record() {
                return event;
            }
            // While there is time: what comes is to be taken without asking for memory first.
            if self.record.capacity() == 0 {
                self.record = Vec::with_capacity(self.record_bytes);
            }
            let Some((receiver, spin)) = &mut self.ring else { return Event::Nothing };
            if spin.until(receiver.server_processor(), || receiver.is_ready()) {
                continue;
            }
            if let Some(event) = self.overdue(connection) {
                return event;
            }
            let Some((receiver, _)) = &self.ring else { return Event::Nothing };
            if receiver.arm() {
                continue;
            }
            // Armed: whatever the server sends over the socket from now on is followed by a wake-up.
            match self.try_packet(connection) {
                Event::Nothing => {}
                event => {
                    self.disarm();
                    return event;
                }
            }
            let left = deadline.left();
            if left.is_zero() {
                self.disarm();
                return Event::Nothing;
            }
            if let Some((receiver, _)) = &self.ring {
                receiver.sleep(left.min(SLICE));
            }
            self.disarm();
        }
    }

    fn try_record(&mut self) -> Option<Event> {
        let (receiver, _) = self.ring.as_mut()?;
        match receiver.try_pop(&mut self.record) {
            Ok(None) => None,
            Ok(Some(header)) => {
                let payload = std::mem::take(&mut self.record);
                self.record_bytes = payload.len().next_multiple_of(8).min(ROOM_BYTES_MAX);
                Some(Event::Frame { header, payload, descriptors: Vec::new() })
            }
            Err(error) => Some(Event::Ended(Some(error.to_string()))),
        }
    }

    fn disarm(&self) {
        if let Some((receiver, _)) = &self.ring {
            receiver.disarm();
        }
    }
}

#[inline]
fn to_event(received: Result<crate::socket::Frame<'_>, SocketError>) -> Event {
    match received {
        Ok(frame) => Event::Frame {
            header: frame.header,
            payload: frame.payload.into_owned(),
            descriptors: frame.descriptors,
        },
        Err(SocketError::WouldBlock) => Event::Nothing,
        Err(SocketError::Closed) => Event::Ended(None),
        Err(SocketError::Violated(violation)) => Event::Ended(Some(violation.to_string())),
        Err(error) => Event::Ended(Some(error.to_string())),
    }
}
