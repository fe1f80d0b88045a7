//! The one busy connection: a thread waits for it alone, so that a call on it costs no question about all the others.
//!
//! ```text
//!              the only one that had packets, so many times in a row
//!   event loop ─────────────────────────────────────────────────────► its own thread: receive, answer, receive, …
//!       ▲                                                                │
//!       └──── nothing came for a while · it does not read · a ring woke ─┘
//! ```
//!
//! While its own thread waits for it the event loop does not look for packets of that connection, so that they stay in
//! order; it goes on with everything else: timers, other clients, the monitor, the end of the process. Everything that the
//! front has is behind one lock, for which the two take [`Turns`]. Whoever ends a connection shuts its socket for reading,
//! and that wakes the thread; it is the thread that reads what is left then.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use tender_xmem::frame::PACKET_BYTES_MAX;

use super::slab::Key;
use super::turns::Turns;
use super::{Front, kind};
use crate::poller::Ready;
use crate::wire::{self, Packet};

/// Turns of the event loop with packets of one connection and nothing else, after which it is the busy one.
const TURNS: u32 = 32;
/// A busy connection is none any more when nothing has come for so long.
const IDLE: Duration = Duration::from_millis(20);

/// A connection that the thread is to wait for.
#[derive(Debug)]
pub(super) struct Assignment {
    key: Key,
    socket: Arc<OwnedFd>,
}

/// Which connection seems to be the busy one.
#[derive(Debug)]
pub(super) struct Busy {
    assignments: Sender<Assignment>,
    /// Whether the thread has a connection.
    is_assigned: bool,
    last: Option<Key>,
    turns: u32,
}

impl Busy {
    pub(super) fn new(assignments: Sender<Assignment>) -> Self {
        Self { assignments, is_assigned: false, last: None, turns: 0 }
    }

    /// Counts a turn of the event loop; says which connection has had so many for itself alone.
    fn count(&mut self, ready: &[Ready]) -> Option<Key> {
        let only = match ready {
            [Ready { token, read: true, write: false }] => {
                let (what, key) = Key::of_token(*token);
                (what == kind::SOCKET).then_some(key)
            }
            _ => None,
        };
        self.turns = if only.is_some() && only == self.last { self.turns + 1 } else { 0 };
        self.last = only;
        only.filter(|_| self.turns >= TURNS && !self.is_assigned)
    }
}

/// A front of which one thread has failed is started anew as a whole.
struct WholeFront;

impl Drop for WholeFront {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// Starts the thread.
pub(super) fn start(turns: &Arc<Turns<Front>>, assignments: Receiver<Assignment>) -> std::io::Result<()> {
    let turns = Arc::clone(turns);
    std::thread::Builder::new().name("busy".to_owned()).spawn(move || {
        let _whole = WholeFront;
        let mut buffer = vec![0; PACKET_BYTES_MAX + 1];
        for Assignment { key, socket } in assignments {
            loop {
                let packet = wire::receive_waiting(socket.as_fd(), &mut buffer);
                if !turns.lock().take_busy(key, packet, &buffer) {
                    break;
                }
            }
        }
    })?;
    Ok(())
}

impl Front {
    /// Sees whether there is a busy connection after this turn of the event loop.
    pub(super) fn look_for_busy(&mut self, ready: &[Ready]) {
        if let Some(key) = self.busy.count(ready)
            && self.shared.awake.is_empty()
        {
            self.assign(key);
        }
    }

    fn assign(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.is_late || connection.is_owed() || connection.is_shut || connection.ring.is_some() {
            return;
        }
        let socket = &connection.socket;
        let waits = rustix::io::ioctl_fionbio(socket, false)
            .and_then(|()| set_socket_timeout(socket, Timeout::Recv, Some(IDLE)));
        // What cannot be waited for stays where it is; nothing else reads or writes without saying that it does not wait.
        if waits.is_err() {
            return;
        }
        let assignment = Assignment { key, socket: Arc::clone(socket) };
        if self.busy.assignments.send(assignment).is_ok() {
            self.shared.poller.remove(socket);
            connection.is_busy = true;
            self.busy.is_assigned = true;
        }
    }

    /// Takes what came on the busy connection; false when the thread is not to wait for it any more.
    ///
    /// The event loop sleeps meanwhile and has to hear of what was begun: of a deadline before the one that it waits for, and
    /// of a ring, which it looks at without being asked to.
    fn take_busy(&mut self, key: Key, packet: Packet, buffer: &[u8]) -> bool {
        let goes_on = self.take_from_busy(key, packet, buffer);
        let next_ms = if self.shared.awake.is_empty() { self.shared.timers.next_ms() } else { Some(0) };
        // It fails for no deadline that there can be.
        self.alarm.set(next_ms, self.shared.clock).ok();
        goes_on
    }

    fn take_from_busy(&mut self, key: Key, packet: Packet, buffer: &[u8]) -> bool {
        let is_idle = matches!(packet, Packet::Nothing);
        match packet {
            Packet::Bytes(bytes, fd) => self.packet(key, &buffer[..bytes], fd),
            Packet::Nothing => {}
            Packet::End => self.end(key, None),
            Packet::Violation(what) => self.violated(key, what),
        }
        let Some(connection) = self.connections.get_mut(key) else {
            self.busy.is_assigned = false;
            return false;
        };
        if !is_idle && !connection.is_owed() && self.shared.awake.is_empty() {
            return true;
        }
        connection.is_busy = false;
        self.busy.is_assigned = false;
        if !connection.is_late {
            self.shared.poller.add(&connection.socket, key.token(kind::SOCKET)).ok();
        }
        let (is_over, is_shut) = (connection.is_over, connection.is_shut);
        if is_over {
            self.end_of_process(key);
        } else if is_shut {
            self.read_rest(key);
            self.end_if_done(key);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_connection_is_the_one_that_was_alone_for_long_enough() {
        let (assignments, _kept) = std::sync::mpsc::channel();
        let mut busy = Busy::new(assignments);
        let key = |index| Key { index, life: 0 };
        let packets = |index| Ready { token: key(index).token(kind::SOCKET), read: true, write: false };
        let other = Ready { token: key(0).token(kind::MONITOR), read: true, write: false };
        for turn in 0..TURNS {
            assert_eq!(busy.count(&[packets(1)]), None, "turn {turn}");
        }
        assert_eq!(busy.count(&[packets(1)]), Some(key(1)));
        for disturbance in [vec![packets(2)], vec![packets(1), packets(2)], vec![other], vec![]] {
            assert_eq!(busy.count(&disturbance), None);
            assert_eq!(busy.count(&[packets(1)]), None);
            assert_eq!(busy.turns, 0);
        }
    }
}
