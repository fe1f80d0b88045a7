//! Waiting for descriptors: epoll, with tokens that say what a descriptor is.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Descriptors taken care of in one turn.
const EVENTS_MAX: usize = 256;

/// What a descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Signals,
    Listener,
    Client(u32),
    /// Output of a component.
    Output(u32),
    /// Whether a component's program could be executed.
    Report(u32),
    /// A component's first process.
    Process(u32),
    Notify(u32),
    Probe(u32),
    PlannerOutput,
    PlannerMessages,
}

impl Token {
    fn to_u64(self) -> u64 {
        let (kind, id) = match self {
            Self::Signals => (0, 0),
            Self::Listener => (1, 0),
            Self::Client(id) => (2, id),
            Self::Output(id) => (3, id),
            Self::Report(id) => (4, id),
            Self::Process(id) => (5, id),
            Self::Notify(id) => (6, id),
            Self::Probe(id) => (7, id),
            Self::PlannerOutput => (8, 0),
            Self::PlannerMessages => (9, 0),
        };
        (kind << 32) | u64::from(id)
    }

    fn from_u64(number: u64) -> Option<Self> {
        let id = (number & u64::from(u32::MAX)) as u32;
        Some(match number >> 32 {
            0 => Self::Signals,
            1 => Self::Listener,
            2 => Self::Client(id),
            3 => Self::Output(id),
            4 => Self::Report(id),
            5 => Self::Process(id),
            6 => Self::Notify(id),
            7 => Self::Probe(id),
            8 => Self::PlannerOutput,
            9 => Self::PlannerMessages,
            _ => return None,
        })
    }
}

/// What is waited for on a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
    Both,
    /// Nothing but its end.
    None,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::Write => EventFlags::OUT,
            Self::Both => EventFlags::IN | EventFlags::OUT,
            Self::None => EventFlags::empty(),
        }
    }
}

/// The one place where the supervisor waits.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Waits for a descriptor from now on; closing it ends that.
    pub(crate) fn add(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token.to_u64()), interest.flags())?)
    }

    pub(crate) fn change(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(token.to_u64()), interest.flags())?)
    }

    /// Waits no longer for a descriptor; needed where copies of it stay open elsewhere.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        // One that is not waited for is what was wanted.
        epoll::delete(&self.epoll, fd).ok();
    }

    /// Waits until something happens or so many milliseconds are over; returns what happened.
    pub(crate) fn wait(&mut self, timeout_ms: Option<u64>) -> io::Result<Vec<Token>> {
        let timeout = timeout_ms.map(|ms| Timespec {
            tv_sec: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(ms % 1000 * 1_000_000).expect("less than a second"),
        });
        self.events.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.iter().filter_map(|event| Token::from_u64(event.data.u64())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went() {
        use Token::{
            Client, Listener, Notify, Output, PlannerMessages, PlannerOutput, Probe, Process, Report, Signals,
        };
        let ids = [Client, Output, Report, Process, Notify, Probe];
        let tokens = ids.iter().flat_map(|make| [make(0), make(u32::MAX)]);
        for token in tokens.chain([Signals, Listener, PlannerOutput, PlannerMessages]) {
            assert_eq!(Token::from_u64(token.to_u64()), Some(token));
        }
        assert_eq!(Token::from_u64(u64::MAX), None);
    }
}
