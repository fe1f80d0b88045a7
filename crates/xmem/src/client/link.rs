//! One connection and the calls that are under way on it.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::deadline::Deadline;
use super::reader::{Event, Reader};
use super::{Call, CallFailure};
use crate::code::CmsCode;
use crate::frame::{Flags, Header, Kind};
use crate::handshake::Welcome;
use crate::ring::{ClientSender, RingError};
use crate::socket::{Connection, SocketError};

static LINKS: AtomicU64 = AtomicU64::new(1);

/// What a REPLY said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u32,
    pub(super) detail: u32,
    pub(super) reference: u64,
    pub(super) payload: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// How waiting ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Answered(Answer),
    Deadline,
    /// The connection ended; nobody knows what became of the call.
    Lost,
}

/// Why a call was not sent. The server has not seen it.
#[derive(Debug)]
pub(super) enum NotSent {
    /// This link takes no more calls: try another one.
    Retired,
    Deadline,
    Failed(CmsCode, CallFailure),
}

/// A connection. It ends when the last call that is under way on it has been answered and nobody holds it any more.
#[derive(Debug)]
pub(super) struct Link {
    id: u64,
    connection: Connection,
    welcome: Welcome,
    /// The largest payload that the ring takes, when there is one.
    ring_bytes_max: Option<usize>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) next: u64,
    /// The ring's sending end.
    pub(super) sender: Option<ClientSender>,
    calls: Vec<Entry>,
    /// Whoever takes it out reads; `None` while somebody does.
    pub(super) reader: Option<Box<Reader>>,
    /// No new calls: the server said goodbye, or the connection ended.
    pub(super) retired: bool,
    /// The connection ended.
    pub(super) ended: bool,
    goodbye: Option<(u32, String)>,
}

#[derive(Debug)]
struct Entry {
    sequence: u64,
    /// It went through the ring: so must whatever comes after it.
    by_ring: bool,
    answer: Option<Answer>,
    /// Who waits for it, when somebody does.
    waiter: Option<Thread>,
}

impl Link {
    pub(super) fn new(
        connection: Connection,
        welcome: Welcome,
        next: u64,
        sender: Option<ClientSender>,
        reader: Reader,
    ) -> Arc<Self> {
        let ring_bytes_max = sender.as_ref().map(ClientSender::payload_bytes_max);
        let state = State {
            next,
            sender,
            calls: Vec::new(),
            reader: Some(Box::new(reader)),
            retired: false,
            ended: false,
            goodbye: None,
        };
        Arc::new(Self {
            id: LINKS.fetch_add(1, Ordering::Relaxed),
            connection,
            welcome,
            ring_bytes_max,
            state: Mutex::new(state),
        })
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    pub(super) const fn has_ring(&self) -> bool {
        self.ring_bytes_max.is_some()
    }

    /// Whether there is a ring for a payload of so many bytes.
    pub(super) fn fits_ring(&self, payload: &[u8]) -> bool {
        self.ring_bytes_max.is_some_and(|max| payload.len() <= max)
    }

    /// Whether new calls may go here. After a pause it looks whether the server said goodbye meanwhile.
    pub(super) fn takes_calls(&self) -> bool {
        let mut state = self.lock();
        if let Some(mut reader) = state.reader.take() {
            while let Some(event) = reader.overdue(&self.connection) {
                self.dispatch(&mut state, event);
            }
            state.reader = Some(reader);
        }
        !state.retired
    }

    /// Takes no more calls.
    pub(super) fn retire(&self) {
        self.lock().retired = true;
    }

    /// Why the server ended the connection, if it said so.
    pub(super) fn farewell(&self) -> Option<CallFailure> {
        let state = self.lock();
        state.goodbye.as_ref().map(|(code, text)| CallFailure::Goodbye { code: *code, text: text.clone() })
    }

    /// Sends a call; its sequence number.
    pub(super) fn send(&self, call: &Call<'_>, deadline: Instant) -> Result<u64, NotSent> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(NotSent::Deadline);
        }
        let may_ring = self.fits_ring(call.payload);
        let sequence = {
            let mut state = self.lock();
            if state.retired {
                return Err(NotSent::Retired);
            }
            let sequence = state.next;
            state.next += 1;
            state.calls.push(Entry { sequence, by_ring: may_ring, answer: None, waiter: None });
            sequence
        };
        match self.transmit(&call_header(call, sequence, left), call.payload, deadline) {
            Ok(by_ring) => {
                if by_ring != may_ring
                    && let Some(entry) = self.lock().entry(sequence)
                {
                    entry.by_ring = by_ring;
                }
                Ok(sequence)
            }
            Err(not_sent) => {
                let mut state = self.lock();
                state.take(sequence);
                if matches!(not_sent, NotSent::Retired) {
                    // What the server sent before it ended, answers among it, is still to be read: no end for them yet.
                    state.retired = true;
                }
                state.hand_on();
                Err(not_sent)
            }
        }
    }

    /// Sends a frame; says whether it went through the ring.
    pub(super) fn transmit(
        &self,
        header: &Header,
        payload: &[u8],
        deadline: Instant,
    ) -> Result<bool, NotSent> {
        match self.push(header, payload) {
            Ok(true) => return Ok(true),
            // A full ring is emptied by a server that has much to do; its socket has a queue of its own.
            Ok(false) => {}
            Err(error) => return Err(NotSent::Failed(CmsCode::ProtocolViolated, CallFailure::Ring(error))),
        }
        self.transmit_packet(header, payload, deadline).map(|()| false)
    }

    /// Sends a frame over the socket.
    pub(super) fn transmit_packet(
        &self,
        header: &Header,
        payload: &[u8],
        deadline: Instant,
    ) -> Result<(), NotSent> {
        match self.connection.send_until(header, payload, &[], Some(deadline)) {
            Ok(()) => Ok(()),
            Err(SocketError::Closed) => Err(NotSent::Retired),
            Err(SocketError::WouldBlock) => Err(NotSent::Deadline),
            Err(error @ SocketError::TooLong { .. }) => {
                Err(NotSent::Failed(CmsCode::BadParameter, CallFailure::Socket(error)))
            }
            Err(error) => Err(NotSent::Failed(CmsCode::Error, CallFailure::Socket(error))),
        }
    }

    /// Sends through the ring; `false` when there is none, or no room, or too little.
    fn push(&self, header: &Header, payload: &[u8]) -> Result<bool, RingError> {
        if !self.fits_ring(payload) {
            return Ok(false);
        }
        self.lock().sender.as_mut().map_or(Ok(false), |sender| sender.try_push(header, payload))
    }

    /// Waits for the answer to a call, and reads for the others when nobody does.
    pub(super) fn wait(&self, sequence: u64, deadline: Instant) -> Outcome {
        let mut state = self.lock();
        loop {
            match state.entry(sequence).map(|entry| entry.answer.take()) {
                None => return Outcome::Lost,
                Some(Some(answer)) => {
                    state.take(sequence);
                    state.hand_on();
                    return Outcome::Answered(answer);
                }
                Some(None) => {}
            }
            if state.ended {
                state.take(sequence);
                return Outcome::Lost;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let by_ring = state.take(sequence).is_some_and(|entry| entry.by_ring);
                state.hand_on();
                drop(state);
                self.send_cancel(sequence, by_ring);
                return Outcome::Deadline;
            }
            if let Some(mut reader) = state.reader.take() {
                drop(state);
                let event = reader.next(&self.connection, &mut Deadline::fixed(deadline, left));
                state = self.lock();
                state.reader = Some(reader);
                self.dispatch(&mut state, event);
            } else {
                state.set_waiter(sequence, Some(std::thread::current()));
                drop(state);
                std::thread::park_timeout(left);
                state = self.lock();
                state.set_waiter(sequence, None);
            }
        }
    }

    /// Asks the server to cancel a call that is under way.
    pub(super) fn cancel(&self, sequence: u64) {
        let by_ring = self.lock().entry(sequence).map(|entry| entry.by_ring);
        if let Some(by_ring) = by_ring {
            self.send_cancel(sequence, by_ring);
        }
    }

    /// CANCEL goes the way that the call went, or else it could be there first and mean nothing.
    pub(super) fn send_cancel(&self, sequence: u64, by_ring: bool) {
        let cancel = Header::new(Kind::Cancel, sequence);
        // Best effort: who does not read has no use for it, and the deadline holds in any case.
        if !(by_ring && matches!(self.push(&cancel, &[]), Ok(true))) {
            drop(self.connection.send(&cancel, &[], &[]));
        }
    }

    /// Nobody waits for this call any more.
    pub(super) fn forget(&self, sequence: u64) {
        let unanswered = {
            let mut state = self.lock();
            let entry = state.take(sequence);
            state.hand_on();
            entry.filter(|entry| entry.answer.is_none() && !state.ended).map(|entry| entry.by_ring)
        };
        if let Some(by_ring) = unanswered {
            self.send_cancel(sequence, by_ring);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn dispatch(&self, state: &mut State, event: Event) {
        match event {
            Event::Nothing => {}
            Event::Frame { header, payload, descriptors } => match header.kind {
                Kind::Reply if header.sequence < state.next => {
                    let answer = Answer::new(&header, payload, descriptors);
                    // Nobody waits any more for the answer to a call whose deadline passed.
                    if let Some(entry) = state.entry(header.sequence) {
                        entry.answer = Some(answer);
                        if let Some(waiter) = entry.waiter.take() {
                            waiter.unpark();
                        }
                    }
                }
                Kind::Goodbye => {
                    state.retired = true;
                    state.goodbye = Some((header.code, String::from_utf8_lossy(&payload).into_owned()));
                }
                _ => {
                    let text = format!("a frame of kind {:?} that was not asked for", header.kind);
                    state.goodbye = Some((CmsCode::ProtocolViolated.number(), text));
                    self.end(state);
                }
            },
            Event::Ended(failure) => {
                if let Some(failure) = failure {
                    state.goodbye.get_or_insert((CmsCode::ProtocolViolated.number(), failure));
                }
                self.end(state);
            }
        }
    }

    fn end(&self, state: &mut State) {
        state.retired = true;
        state.ended = true;
        self.connection.shut();
        for entry in &mut state.calls {
            if let Some(waiter) = entry.waiter.take() {
                waiter.unpark();
            }
        }
    }
}

/// The header of a call that has so much time.
pub(super) fn call_header(call: &Call<'_>, sequence: u64, left: Duration) -> Header {
    let mut header = Header::new(Kind::Call, sequence);
    header.service = call.service;
    header.code = call.version;
    header.detail = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
    header.actor = call.actor.map_or(0, |actor| actor.handle);
    header.flags = if call.repeatable { Flags::REPEATABLE } else { Flags::NONE };
    header
}

impl Answer {
    pub(super) fn new(reply: &Header, payload: Vec<u8>, descriptors: Vec<OwnedFd>) -> Self {
        let Header { code, detail, reference, .. } = *reply;
        Self { code, detail, reference, payload, descriptors }
    }
}

impl State {
    fn entry(&mut self, sequence: u64) -> Option<&mut Entry> {
        self.calls.iter_mut().find(|entry| entry.sequence == sequence)
    }

    fn set_waiter(&mut self, sequence: u64, waiter: Option<Thread>) {
        if let Some(entry) = self.entry(sequence) {
            entry.waiter = waiter;
        }
    }

    fn take(&mut self, sequence: u64) -> Option<Entry> {
        let position = self.calls.iter().position(|entry| entry.sequence == sequence)?;
        Some(self.calls.swap_remove(position))
    }

    /// Lets one of those who wait read, when nobody does.
    pub(super) fn hand_on(&mut self) {
        if self.reader.is_some()
            && let Some(waiter) = self.calls.iter_mut().find_map(|entry| entry.waiter.take())
        {
            waiter.unpark();
        }
    }
}
