//! The reading end of a link: one thread at a time has it.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::frame::Header;
use crate::ring::{ClientReceiver, Spin};
use crate::socket::{Connection, DESCRIPTORS_MAX, SocketError};

/// How long to sleep on a ring before looking whether the server is still there: a server that was killed wakes nobody.
const SLICE: Duration = Duration::from_millis(20);
/// How long a link may be used without looking at its socket, where a goodbye or the end would be.
const UNSEEN: Duration = Duration::from_millis(5);
/// How long a receive blocks at most. Shorter deadlines are waited for with `poll`.
pub(super) const BLOCK: Duration = Duration::from_millis(100);

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
    ring: Option<(ClientReceiver, Spin)>,
    /// When somebody has to look at the socket again.
    look_at: Instant,
}

impl Reader {
    pub(super) fn new(ring: Option<(ClientReceiver, Spin)>) -> Self {
        Self { packet: Connection::buffer(), record: Vec::new(), ring, look_at: Instant::now() + UNSEEN }
    }

    /// The next frame, until the deadline; `left` is how long that was a moment ago.
    pub(super) fn next(&mut self, connection: &Connection, deadline: Instant, left: Duration) -> Event {
        if self.ring.is_some() {
            self.next_of_both(connection, deadline)
        } else {
            self.next_packet(connection, deadline, left)
        }
    }

    /// Whether nobody has looked at the socket for a while.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        now >= self.look_at
    }

    /// What is on the socket, if nobody has looked there for a while.
    pub(super) fn overdue(&mut self, connection: &Connection) -> Option<Event> {
        if !self.is_overdue(Instant::now()) {
            return None;
        }
        match self.try_packet(connection) {
            Event::Nothing => None,
            event => {
                // There may be more: as long as something is found this stays overdue, up to the end.
                if !matches!(event, Event::Ended(_)) {
                    self.look_at = self.look_at.checked_sub(UNSEEN).unwrap_or(self.look_at);
                }
                Some(event)
            }
        }
    }

    #[inline]
    fn next_packet(&mut self, connection: &Connection, deadline: Instant, left: Duration) -> Event {
        let received = if left > BLOCK * 2 {
            connection.receive_blocking(&mut self.packet, DESCRIPTORS_MAX)
        } else {
            connection.receive_until(&mut self.packet, DESCRIPTORS_MAX, Some(deadline))
        };
        to_event(received)
    }

    fn try_packet(&mut self, connection: &Connection) -> Event {
        self.look_at = Instant::now() + UNSEEN;
        to_event(connection.receive(&mut self.packet, DESCRIPTORS_MAX))
    }

    fn next_of_both(&mut self, connection: &Connection, deadline: Instant) -> Event {
        loop {
            if let Some(event) = self.try_record() {
                return event;
            }
            if let Some(event) = self.overdue(connection) {
                return event;
            }
            let Some((receiver, spin)) = &mut self.ring else { return Event::Nothing };
            if spin.until(receiver.server_processor(), || receiver.is_ready()) || receiver.arm() {
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
            let left = deadline.saturating_duration_since(Instant::now());
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
            Ok(Some(header)) => Some(Event::Frame {
                header,
                payload: std::mem::take(&mut self.record),
                descriptors: Vec::new(),
            }),
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
