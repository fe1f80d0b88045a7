//! Waiting for descriptors: epoll, with numbers that say what a descriptor is.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Descriptors taken care of in one turn.
const EVENTS_MAX: usize = 256;

/// What happened to a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ready {
    /// The number that it was added with.
    pub(crate) token: u64,
    /// Something can be read, or the other end is gone.
    pub(crate) read: bool,
    /// Something can be written.
    pub(crate) write: bool,
}

/// Waits for many descriptors at once. One thread can wait while another one adds and removes.
#[derive(Debug, Clone)]
pub(crate) struct Poller {
    epoll: Arc<OwnedFd>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: Arc::new(epoll::create(CreateFlags::CLOEXEC)?) })
    }

    fn flags(write: bool) -> EventFlags {
        if write { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN }
    }

    /// Begins to wait for a descriptor to become readable.
    pub(crate) fn add(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token), Self::flags(false))?)
    }

    /// Begins to wait for a descriptor that is never read: each time that something comes, once.
    pub(crate) fn add_edge(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token), EventFlags::IN | EventFlags::ET)?)
    }

    /// Says whether a descriptor is also waited for to become writable.
    pub(crate) fn want_write(&self, fd: impl AsFd, token: u64, write: bool) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(token), Self::flags(write))?)
    }

    /// Begins to wait for a descriptor to become writable, and for nothing else.
    pub(crate) fn add_write(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token), EventFlags::OUT)?)
    }

    /// Waits only for writing: whoever does not read what it is sent is not read from either.
    pub(crate) fn only_write(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(token), EventFlags::OUT)?)
    }

    /// Stops waiting for a descriptor.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        // It fails when the descriptor was never added, and then there is nothing to stop.
        epoll::delete(&self.epoll, fd).ok();
    }

    /// Waits until something happens, at most so long; `None` waits without end.
    pub(crate) fn wait(&self, timeout_ms: Option<u64>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout = timeout_ms.map(|ms| Timespec {
            tv_sec: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
            tv_nsec: (ms % 1000).cast_signed() * 1_000_000,
        });
        let mut space = [const { MaybeUninit::<Event>::uninit() }; EVENTS_MAX];
        ready.clear();
        let events = match epoll::wait(&self.epoll, &mut space, timeout.as_ref()) {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        ready.extend(events.iter().map(|event| {
            let flags = event.flags;
            let is_over = flags.intersects(EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP);
            Ready {
                token: event.data.u64(),
                read: is_over || flags.contains(EventFlags::IN),
                write: flags.contains(EventFlags::OUT),
            }
        }));
        Ok(())
    }
}
