//! Rings: taking calls out of shared memory.

use tender_xmem::frame::{Flags, Header, Kind};
use tender_xmem::ring::{CAPACITY_DEFAULT, CAPACITY_RANGE, ServerRing};

use super::connection::{Ring, Way, broken};
use super::slab::Key;
use super::{Front, RING_MS, TURNS, Timer, kind};
use crate::wire;

/// Calls taken from one ring in one turn: the others are waiting.
const TURN_MAX: usize = 64;

impl Front {
    /// Gives a connection its ring.
    pub(super) fn open_ring(&mut self, key: Key, header: &Header) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let mut ready = Header::new(Kind::RingReady, header.sequence);
        if connection.ring.is_some() {
            return self.violated(key, "a second ring");
        }
        let wanted = header.detail;
        let is_possible = wanted.is_power_of_two() && CAPACITY_RANGE.contains(&wanted);
        let Ok(ring) = ServerRing::create(if is_possible { wanted } else { CAPACITY_DEFAULT }) else {
            ready.code = wire::NO_ROOM;
            return self.reply(key, Way::Socket, ready, &[]);
        };
        ready.detail = ring.capacity();
        let copies: Result<Vec<_>, _> =
            ring.descriptors().into_iter().map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 3)).collect();
        let watched = self.shared.poller.add_edge(ring.doorbell(), key.token(kind::DOORBELL));
        let (Ok(fds), Ok(())) = (copies, watched) else {
            self.shared.poller.remove(ring.doorbell());
            ready.code = wire::NO_ROOM;
            return self.reply(key, Way::Socket, ready, &[]);
        };
        let owed = std::collections::VecDeque::new();
        connection.ring = Some(Box::new(Ring { ring, owed, is_awake: false }));
        self.shared.counters.rings += 1;
        let sent = connection.send(ready, &[], fds);
        self.sent(key, Way::Socket, sent);
        self.wake_ring(key);
    }

    /// Begins to look at a ring without being asked to.
    pub(super) fn wake_ring(&mut self, key: Key) {
        let Some(ring) = self.connections.get_mut(key).and_then(|connection| connection.ring.as_mut()) else {
            return;
        };
        if !ring.is_awake {
            ring.is_awake = true;
            ring.ring.disarm();
            self.shared.awake.push(key);
        }
    }

    /// Waits a little for rings; has them ring their bells when nothing comes. Says whether something came.
    pub(super) fn rings_have_work(&mut self, has_looked: bool) -> bool {
        if self.shared.awake.is_empty() {
            return false;
        }
        if !has_looked && self.spin_for_rings() {
            return true;
        }
        let mut has_work = false;
        for key in std::mem::take(&mut self.shared.awake) {
            let Some(ring) = self.connections.get_mut(key).and_then(|found| found.ring.as_mut()) else {
                continue;
            };
            // One that has come after all, or that waits for room, is not left to its bell.
            if ring.ring.arm() || !ring.owed.is_empty() {
                has_work |= ring.owed.is_empty();
                self.shared.awake.push(key);
                if ring.owed.is_empty() {
                    ring.ring.disarm();
                } else {
                    self.shared.timers.arm(Timer::Ring(key), self.shared.clock.now_ms() + RING_MS);
                }
            } else {
                ring.is_awake = false;
            }
        }
        has_work
    }

    /// Serves the rings that are awake, for as long as calls come one after the other; says whether it has looked for more
    /// in vain.
    pub(super) fn serve_rings(&mut self) -> bool {
        for _ in 0..TURNS {
            let mut place = 0;
            let mut has_served = false;
            while let Some(key) = self.shared.awake.get(place).copied() {
                has_served |= self.take_ring(key, TURN_MAX);
                place += 1;
            }
            if !has_served {
                return false;
            }
            if !self.spin_for_rings() {
                return true;
            }
        }
        false
    }

    /// Looks at the rings that are awake for as long as that seems worth it; says whether there is a call.
    fn spin_for_rings(&mut self) -> bool {
        let (connections, awake) = (&self.connections, &self.shared.awake);
        let ring_of = |key: &Key| Some(&connections.get(*key)?.ring.as_deref()?.ring);
        let peer = awake.first().and_then(|key| ring_of(key)?.client_processor());
        let is_ready = || awake.iter().any(|key| ring_of(key).is_some_and(ServerRing::is_ready));
        !awake.is_empty() && self.spin.until(peer, is_ready)
    }

    /// Takes up to so many calls from a ring; says whether there was one.
    pub(super) fn take_ring(&mut self, key: Key, calls_max: usize) -> bool {
        let mut buffer = std::mem::take(&mut self.ring_buffer);
        let mut has_served = false;
        for _ in 0..calls_max {
            let Some(ring) = self.connections.get_mut(key).and_then(|found| found.ring.as_mut()) else {
                break;
            };
            if let Err(how) = ring.flush() {
                self.broken(key, how);
                break;
            }
            if !ring.owed.is_empty() {
                break;
            }
            match ring.ring.try_pop(&mut buffer) {
                Ok(Some(header)) => {
                    has_served = true;
                    if header.flags.contains(Flags::MEMFD) {
                        self.violated(key, "a memory file in the ring");
                        break;
                    }
                    self.frame(key, &header, &buffer, None, Way::Ring);
                }
                Ok(None) => break,
                Err(error) => {
                    let how = broken(&error);
                    let what = how.why().unwrap_or_default();
                    self.turn_out(key, wire::VIOLATED, &what);
                    break;
                }
            }
        }
        self.ring_buffer = buffer;
        has_served
    }

    /// Looks again at a ring that had no room.
    pub(super) fn ring_was_full(&mut self, key: Key) {
        let Some(ring) = self.connections.get_mut(key).and_then(|found| found.ring.as_mut()) else { return };
        if let Err(how) = ring.flush() {
            return self.broken(key, how);
        }
        let (by_ms, now_ms) = (super::READ_MS, self.shared.clock.now_ms());
        if ring.owed.is_empty() {
            self.shared.timers.disarm(Timer::ReadRing(key));
        } else {
            self.shared.timers.arm(Timer::Ring(key), now_ms + RING_MS);
            if !self.shared.timers.is_armed(Timer::ReadRing(key)) {
                self.shared.timers.arm(Timer::ReadRing(key), now_ms + by_ms);
            }
        }
        self.end_if_done(key);
    }
}
