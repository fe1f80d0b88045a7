//! Sockets that a component gives to be kept for its next run: they go on listening in between.
//!
//! ```text
//!   running: gives them ──► kept ──┬── its next run begins in time ──► handed over, from descriptor 3 on (LISTEN_FDS)
//!                                  └── stopped for good, failed, or nothing began in time ──► closed: clients are refused
//! ```
//!
//! Only for a component whose manifest says so (`tender.stop.keepSockets`): a program that knows nothing of them would find its
//! own port taken. Source: sd_listen_fds(3), sd_pid_notify_with_fds(3).

use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};

use super::notify::DESCRIPTORS_MAX;
use super::{Engine, Key};
use crate::clock;
use crate::console::State;

/// For how long clients wait for the next run at most.
const KEPT_MS: u64 = 5000;

impl Engine {
    /// Takes what a component gives.
    pub(super) fn keep_sockets(&mut self, id: u32, given: Vec<OwnedFd>) {
        let Some(unit) = self.units.get_mut(&id) else { return };
        // What is said late is said by a run that is over.
        if !unit.component.stop.keeps_sockets || !unit.life.is_running() {
            return;
        }
        for socket in given {
            let is_known = unit.kept.iter().any(|kept| is_same(kept, &socket));
            if !is_known && unit.kept.len() < DESCRIPTORS_MAX {
                unit.kept.push(socket);
            }
        }
    }

    /// Lets go of what nobody will take connections from, and sees to it that clients do not wait for long.
    pub(super) fn look_after_sockets(&mut self, id: u32) {
        let Some(unit) = self.units.get_mut(&id) else { return };
        if unit.kept.is_empty() {
            return;
        }
        if unit.life.is_over() {
            self.drop_sockets(id);
        } else if !unit.life.is_running() && !self.timers.is_armed(Key::Kept(id)) {
            self.timers.arm(Key::Kept(id), clock::monotonic_ms() + KEPT_MS);
        }
    }

    /// Closes what is kept.
    pub(super) fn drop_sockets(&mut self, id: u32) {
        self.timers.disarm(Key::Kept(id));
        if let Some(unit) = self.units.get_mut(&id) {
            unit.kept.clear();
        }
    }
}

/// Returns the ports of sockets.
pub(super) fn ports(sockets: &[OwnedFd]) -> impl Iterator<Item = u16> {
    let addresses = sockets.iter().filter_map(|socket| rustix::net::getsockname(socket).ok());
    addresses.filter_map(|address| SocketAddr::try_from(address).ok()).map(|address| address.port())
}

fn is_same(one: &OwnedFd, other: &OwnedFd) -> bool {
    let of = |fd: &OwnedFd| rustix::fs::fstat(fd.as_fd()).map(|stat| (stat.st_dev, stat.st_ino));
    matches!((of(one), of(other)), (Ok(one), Ok(other)) if one == other)
}

impl crate::life::Life {
    /// Says whether no run follows, unless somebody asks for one.
    fn is_over(&self) -> bool {
        match self.state {
            State::Stopped | State::Failed => true,
            State::Stopping => !self.comes_back(),
            State::Waiting | State::Starting | State::Ready | State::Degraded | State::Backoff => false,
        }
    }
}
