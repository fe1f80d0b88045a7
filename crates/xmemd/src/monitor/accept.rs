//! Taking connections.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::net::SocketFlags;
use tender_saf::LinuxIdentity;

use super::names::{Found, Names};
use super::peer::{self, Peer};
use super::{Connection, Monitor, Phase, Timer, tables, token};
use crate::link::{Newcomer, ToFront};
use crate::messages;
use crate::wire;

/// Connections taken in one turn of the loop.
const TURN_MAX: usize = 64;
/// How long names are waited for.
const NAMES_MS: u64 = 2000;
/// Connections whose names are waited for.
const WAITING_MAX: usize = 1024;

/// Somebody whose names are not known yet.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: Peer,
    /// The number that clients know, when a monitor before this one has given it.
    pub(crate) known: Option<u64>,
}

impl Monitor {
    /// Waits for connections as long as there is somebody to hand them to: those that come before wait at the door, and
    /// nobody is woken by them again and again.
    pub(super) fn listen(&mut self) {
        let Some(listener) = &self.listener else { return };
        let is_to_listen = self.phase == Phase::Ready && self.front.is_some();
        if is_to_listen && !self.is_listening {
            self.is_listening = self.poller.add(listener, token::LISTENER).is_ok();
        } else if !is_to_listen && self.is_listening {
            self.poller.remove(listener);
            self.is_listening = false;
        }
    }

    /// Takes the connections that wait.
    pub(super) fn accept(&mut self) {
        if self.phase != Phase::Ready || self.front.is_none() {
            return;
        }
        for _ in 0..TURN_MAX {
            let Some(listener) = &self.listener else { return };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match rustix::net::accept_with(listener, flags) {
                Ok(socket) => self.greet(socket, None),
                // One that waits at the door while there are no descriptors waits there.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => {}
                Err(_) => return,
            }
        }
    }

    /// Asks the kernel who it is.
    pub(super) fn greet(&mut self, socket: OwnedFd, known: Option<u64>) {
        let peer = match peer::identify(socket.as_fd(), self.settings.is_userns_allowed) {
            Ok(peer) => peer,
            Err(error) => {
                let credentials = crate::sys::peer_pid(socket.as_fd());
                let (uid, pid) = credentials.map_or((u32::MAX, 0), |found| (found.uid, found.pid));
                let why = crate::role::chain(&error);
                self.print.say(messages::CONNECTION_REFUSED, &[&uid, &pid, &why]);
                self.turn_away(&socket, known, wire::DENIED, &why);
                return;
            }
        };
        if known.is_none() {
            let of_uid = self.connections_of_uid.get(&peer.uid).copied().unwrap_or(0);
            let is_too_many = of_uid >= self.settings.connections_per_uid_max
                || self.connections.len() >= self.settings.connections_max as usize
                || self.waiting.len() >= WAITING_MAX;
            if is_too_many {
                self.print.debug(|| format!("connection of uid {} pid {}: no room", peer.uid, peer.pid));
                self.turn_away(&socket, known, wire::NO_ROOM, "too many connections");
                return;
            }
        }
        match self.names.get(peer.uid, &peer.gids) {
            Some(identity) => self.admit(Waiting { socket, peer, known }, identity),
            None => {
                let id = self.ticket();
                self.timers.arm(Timer::Names(id), self.clock.now_ms() + NAMES_MS);
                self.waiting.insert(id, Waiting { socket, peer, known });
            }
        }
    }

    fn turn_away(&mut self, socket: &OwnedFd, known: Option<u64>, code: u32, why: &str) {
        match known {
            None => wire::turn_away(socket.as_fd(), code, why),
            // The front has it, and is the one to say good-bye.
            Some(connection) => {
                let close = ToFront::Close { connection, code, why: why.to_owned() };
                self.tell_front(&close, &[], Vec::new());
            }
        }
    }

    /// Lets in those whose names were found.
    pub(super) fn named(&mut self, found: &Found) {
        let is_meant = |waiting: &Waiting| waiting.peer.uid == found.uid && waiting.peer.gids == found.gids;
        let ids: Vec<u64> =
            self.waiting.iter().filter(|(_, waiting)| is_meant(waiting)).map(|(id, _)| *id).collect();
        for id in ids {
            self.timers.disarm(Timer::Names(id));
            if let Some(waiting) = self.waiting.remove(&id) {
                let identity = found.identity.clone();
                let identity =
                    identity.unwrap_or_else(|| Names::nameless(waiting.peer.uid, &waiting.peer.gids));
                self.admit(waiting, identity);
            }
        }
    }

    /// Lets somebody in whose names could not be had in time: as a number without a name.
    pub(super) fn names_late(&mut self, id: u64) {
        if let Some(waiting) = self.waiting.remove(&id) {
            self.print.say(messages::NAMES_LATE, &[&waiting.peer.uid]);
            let identity = Names::nameless(waiting.peer.uid, &waiting.peer.gids);
            self.admit(waiting, identity);
        }
    }

    /// Hands a connection to the front, with what it may do.
    fn admit(&mut self, waiting: Waiting, identity: LinuxIdentity) {
        if self.policy.is_none() {
            // The front tells of its connections as soon as there is a monitor, which may be before the profiles are here.
            self.admitted_later.push((waiting, identity));
            return;
        }
        let Waiting { socket, peer, known } = waiting;
        let Some(policy) = &self.policy else { return };
        let subject = policy.compiled.subject(&identity);
        let key = tables::key(&identity, &subject);
        let table = self.take_table(key, &identity, &subject);
        let id = known.unwrap_or_else(|| {
            self.next_id += 1;
            self.next_id - 1
        });
        let Ok(pidfd) = rustix::io::fcntl_dupfd_cloexec(&peer.pidfd, 3) else { return };
        let newcomer = Newcomer {
            id,
            table,
            uid: peer.uid,
            gid: peer.gid,
            pid: peer.pid,
            gids: peer.gids.clone(),
            program: peer.program.clone(),
            is_known: known.is_some(),
        };
        *self.connections_of_uid.entry(peer.uid).or_default() += 1;
        let connection = Connection {
            uid: peer.uid,
            pid: peer.pid,
            pidfd: peer.pidfd,
            program: peer.program,
            identity,
            subject,
            table,
        };
        self.connections.insert(id, connection);
        let fds = if known.is_some() { Vec::new() } else { vec![socket, pidfd] };
        self.tell_front(&ToFront::Connection(Box::new(newcomer)), &[], fds);
    }

    /// Hands over those whose names were found before there were profiles.
    pub(super) fn admit_late(&mut self) {
        for (waiting, identity) in std::mem::take(&mut self.admitted_later) {
            self.admit(waiting, identity);
        }
    }

    /// Forgets a connection.
    pub(super) fn forget(&mut self, id: u64) {
        let Some(connection) = self.connections.remove(&id) else { return };
        if let Some(count) = self.connections_of_uid.get_mut(&connection.uid) {
            *count -= 1;
            if *count == 0 {
                self.connections_of_uid.remove(&connection.uid);
            }
        }
        self.actors.close(tender_identity::ConnectionId(id));
        self.give_table_back(connection.table);
    }
}
