//! One connection: who it is, what it may, what it is owed.
//!
//! ```text
//!          HELLO, gate open                GOODBYE sent               nothing under way
//!   FRESH ──────────────────► OPEN ────────────────────► LEAVING ─────────────────────► gone
//!     │ no HELLO in time, gate closed, frame that is none │ end of file, process gone    ▲
//!     └───────────────────────────────────────────────────┴─────────────────────────────┘
//! ```

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use tender_xmem::code::CmsCode;
use tender_xmem::frame::{Flags, Header, INLINE_BYTES_MAX, Kind};
use tender_xmem::ring::{RingError, ServerRing};

use super::rights::Rights;
use crate::channel;
use crate::link::Newcomer;
use crate::wire;

/// GOODBYE of a front that is being replaced: the client finishes here and connects anew.
pub(crate) const REPLACED: u32 = CmsCode::ServerNotReady.number();
/// Frames that a client may be owed before its connection ends.
const OWED_MAX: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// HELLO is awaited.
    Fresh,
    /// HELLO has come and waits for a refusal to be written down.
    Refusing,
    Open,
    /// GOODBYE was said: calls under way are answered, no others are taken.
    Leaving,
}

/// Which way a call came, and its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Socket,
    Ring,
}

/// A frame that waits for room.
#[derive(Debug)]
struct Owed {
    header: Header,
    payload: Vec<u8>,
    fds: Vec<OwnedFd>,
}

/// The ring of a connection.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) ring: ServerRing,
    /// Replies that find no room; while there are any, no calls are taken from it.
    pub(crate) owed: VecDeque<(Header, Vec<u8>)>,
    /// Whether it is looked at without being asked to.
    pub(crate) is_awake: bool,
}

/// Lines that may still be logged.
#[derive(Debug)]
pub(crate) struct Bucket {
    lines: u32,
    filled_ms: u64,
    pub(crate) left_out: u64,
}

impl Bucket {
    /// Takes a line out; false when there is none left.
    pub(crate) fn take(&mut self, per_second: u32, now_ms: u64) -> bool {
        let fresh = (now_ms - self.filled_ms) * u64::from(per_second) / 1000;
        if fresh > 0 {
            self.filled_ms = now_ms;
            let most = per_second.saturating_mul(2);
            self.lines = self.lines.saturating_add(u32::try_from(fresh).unwrap_or(most)).min(most);
        }
        if self.lines == 0 {
            self.left_out += 1;
            return false;
        }
        self.lines -= 1;
        true
    }
}

/// Whether a client has sent more by the time that it was answered: it sends ahead, or it runs beside us and is quick. Then
/// nobody has to sleep and be woken. For everybody else asking the kernel after each packet whether there is another would
/// be a system call for nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ahead {
    /// Looks that may still find nothing.
    credit: u8,
    packets: u8,
}

impl Ahead {
    /// Packets of a client that is not ahead between two looks whether it is now.
    const PROBE: u8 = 16;
    /// Looks in vain before that is given up.
    const PATIENCE: u8 = 4;

    /// A packet was taken; says whether to look for another one at once.
    pub(crate) fn looks_on(&mut self) -> bool {
        self.packets = self.packets.wrapping_add(1);
        self.credit > 0 || self.packets.is_multiple_of(Self::PROBE)
    }

    /// What such a look found.
    pub(crate) fn found(&mut self, is_another: bool) {
        self.credit = if is_another { Self::PATIENCE } else { self.credit.saturating_sub(1) };
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) who: Newcomer,
    /// Shared with the thread that waits for it while it is busy.
    pub(crate) socket: Arc<OwnedFd>,
    pub(crate) pidfd: OwnedFd,
    pub(crate) rights: Arc<Rights>,
    pub(crate) phase: Phase,
    /// The code of the GOODBYE that was said.
    pub(crate) goodbye: u32,
    /// Whether the client can send no more.
    pub(crate) is_shut: bool,
    /// Whether its process has ended.
    pub(crate) is_over: bool,
    /// Whether a thread of its own waits for what it sends, and the event loop does not.
    pub(crate) is_busy: bool,
    /// What the client calls itself.
    pub(crate) client: String,
    owed: VecDeque<Owed>,
    /// Whether it waits for the client to read, and does not read from it.
    pub(crate) is_late: bool,
    pub(crate) ahead: Ahead,
    /// Calls under way: sequence to number.
    pub(crate) in_flight: HashMap<u64, u64>,
    /// Grants that profiles want to know of, by service, since the last time they were told.
    pub(crate) counts: Box<[u32; 128]>,
    pub(crate) plugin_counts: HashMap<(String, String), u64>,
    pub(crate) is_counting: bool,
    pub(crate) ring: Option<Box<Ring>>,
    pub(crate) bucket: Bucket,
    /// Handle to user.
    pub(crate) actors: HashMap<u64, String>,
    pub(crate) calls: u64,
}

/// Says that a connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The client does not read what it is sent.
    SlowReader,
    /// The other end is gone.
    Gone,
    /// The ring holds what it must not hold.
    Ring(&'static str),
}

impl Broken {
    pub(crate) fn why(self) -> Option<String> {
        match self {
            Self::SlowReader => Some("it does not read what it is sent".to_owned()),
            Self::Gone => None,
            Self::Ring(what) => Some(format!("its ring is corrupt: {what}")),
        }
    }
}

impl Connection {
    pub(crate) fn new(
        who: Newcomer,
        socket: OwnedFd,
        pidfd: OwnedFd,
        rights: Arc<Rights>,
        lines: u32,
        now_ms: u64,
    ) -> Self {
        Self {
            who,
            socket: Arc::new(socket),
            pidfd,
            rights,
            phase: Phase::Fresh,
            goodbye: 0,
            is_shut: false,
            is_over: false,
            is_busy: false,
            client: String::new(),
            owed: VecDeque::new(),
            is_late: false,
            ahead: Ahead::default(),
            in_flight: HashMap::new(),
            counts: Box::new([0; 128]),
            plugin_counts: HashMap::new(),
            is_counting: false,
            ring: None,
            bucket: Bucket { lines, filled_ms: now_ms, left_out: 0 },
            actors: HashMap::new(),
            calls: 0,
        }
    }

    /// From here on the client cannot send; what it has sent can still be read.
    pub(crate) fn shut(&mut self) {
        self.is_shut = true;
        // It fails when the client is gone, and then it cannot send either.
        rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Read).ok();
    }

    /// Says whether frames wait for room in the socket.
    pub(crate) fn is_owed(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Sends a frame the way that its call came; what is too large for that goes into a memory file.
    pub(crate) fn reply(
        &mut self,
        way: Way,
        mut header: Header,
        payload: &[u8],
        mut fds: Vec<OwnedFd>,
    ) -> Result<(), Broken> {
        header.length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if way == Way::Ring
            && fds.is_empty()
            && let Some(ring) = &mut self.ring
            && payload.len() <= ring.ring.payload_bytes_max()
        {
            return ring.push(&header, payload);
        }
        if payload.len() <= INLINE_BYTES_MAX {
            return self.send(header, payload, fds);
        }
        header.flags = header.flags.with(Flags::MEMFD);
        match channel::memory_file(payload) {
            Ok(file) => fds.insert(0, file),
            Err(_) => {
                header.code = wire::NO_ROOM;
                header.length = 0;
                header.flags = Flags::NONE;
            }
        }
        self.send(header, &[], fds)
    }

    /// Sends a frame over the socket, or keeps it until there is room.
    pub(crate) fn send(&mut self, header: Header, payload: &[u8], fds: Vec<OwnedFd>) -> Result<(), Broken> {
        if self.owed.is_empty() {
            let borrowed: Vec<_> = fds.iter().map(std::os::fd::AsFd::as_fd).collect();
            match wire::send(self.socket.as_fd(), &header, payload, &borrowed) {
                Ok(()) => {
                    if let Some(ring) = &self.ring {
                        ring.ring.nudge();
                    }
                    return Ok(());
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::NOBUFS) => {}
                Err(_) => return Err(Broken::Gone),
            }
        }
        if self.owed.len() >= OWED_MAX {
            return Err(Broken::SlowReader);
        }
        self.owed.push_back(Owed { header, payload: payload.to_vec(), fds });
        Ok(())
    }

    /// Sends what waited, as far as there is room.
    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        while let Some(next) = self.owed.front() {
            let borrowed: Vec<_> = next.fds.iter().map(std::os::fd::AsFd::as_fd).collect();
            match wire::send(self.socket.as_fd(), &next.header, &next.payload, &borrowed) {
                Ok(()) => drop(self.owed.pop_front()),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::NOBUFS) => return Ok(()),
                Err(_) => return Err(Broken::Gone),
            }
        }
        if let Some(ring) = &self.ring {
            ring.ring.nudge();
        }
        Ok(())
    }

    /// Says good-bye.
    pub(crate) fn goodbye(&mut self, code: u32, why: &str) -> Result<(), Broken> {
        let mut header = Header::new(Kind::Goodbye, 0);
        header.code = code;
        header.length = u32::try_from(why.len()).unwrap_or(0);
        self.phase = Phase::Leaving;
        self.goodbye = code;
        self.send(header, why.as_bytes(), Vec::new())
    }

    /// Says whether everything is done that was under way when GOODBYE was said.
    ///
    /// A client that was told to go to the next server goes when it has finished.
    pub(crate) fn is_done(&self) -> bool {
        if self.phase != Phase::Leaving {
            return false;
        }
        let ring_is_done = self.ring.as_ref().is_none_or(|ring| ring.owed.is_empty());
        let waits_for_client = self.goodbye == REPLACED;
        !waits_for_client && self.in_flight.is_empty() && self.owed.is_empty() && ring_is_done
    }
}

impl Ring {
    /// Writes a frame into the ring, or keeps it until there is room.
    pub(crate) fn push(&mut self, header: &Header, payload: &[u8]) -> Result<(), Broken> {
        if self.owed.is_empty() {
            match self.ring.try_push(header, payload) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => return Err(broken(&error)),
            }
        }
        if self.owed.len() >= OWED_MAX {
            return Err(Broken::SlowReader);
        }
        self.owed.push_back((*header, payload.to_vec()));
        Ok(())
    }

    /// Writes what waited, as far as there is room.
    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        while let Some((header, payload)) = self.owed.front() {
            match self.ring.try_push(header, payload) {
                Ok(true) => drop(self.owed.pop_front()),
                Ok(false) => return Ok(()),
                Err(error) => return Err(broken(&error)),
            }
        }
        Ok(())
    }
}

pub(crate) fn broken(error: &RingError) -> Broken {
    match error {
        RingError::Corrupt { what } => Broken::Ring(what),
        RingError::TooLarge { .. } => Broken::Ring("a reply does not fit"),
    }
}
