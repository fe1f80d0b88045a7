//! Calls: room, rights, service, answer, in the order of `docs/cross-memory.md`.

use std::os::fd::{AsFd as _, OwnedFd};

use tender_xmem::code::CmsCode;
use tender_xmem::frame::{ANY_VERSION, Header};

use super::connection::Way;
use super::slab::Key;
use super::{Front, Shared, Timer, kind};
use crate::link::{Asked, FromFront};
use crate::services::{self, Place};
use crate::{channel, wire};

/// The longest deadline that a caller can ask for.
const DEADLINE_MS_MAX: u32 = 3_600_000;
const STATUS: usize = 4;

/// What is under way for a caller.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) key: Key,
    pub(crate) uid: u32,
    /// What the answer begins with.
    pub(crate) reply: Header,
    pub(crate) way: Way,
    pub(crate) begun_ms: u64,
    pub(crate) doing: Doing,
}

/// What a call waits for.
#[derive(Debug)]
pub(crate) enum Doing {
    /// The monitor works on it.
    Monitor,
    /// A plug-in works on it, under a number of its own.
    Plugin { start: u64, sequence: u64 },
    /// A refusal is being written down.
    Refusal { what: Asked, refusal: Option<String> },
}

/// What a service of the front itself answers.
#[derive(Debug)]
pub(crate) enum Said {
    /// CMS code and service code.
    Codes(u32, u32),
    /// Code 0 and this.
    Payload(Vec<u8>),
}

impl Front {
    /// Takes a call.
    pub(super) fn call(
        &mut self,
        key: Key,
        header: &Header,
        payload: &[u8],
        file: Option<OwnedFd>,
        way: Way,
    ) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.calls += 1;
        self.shared.counters.calls += 1;
        let service = usize::from(header.service);
        let right = connection.rights.by_service.get(service).copied().unwrap_or_default();
        // The ping, and the reason for the order of what follows: nothing is allocated, nothing asked of the kernel.
        if service == STATUS && right.granted && file.is_none() && has_version(header.code, 1) {
            self.shared.counters.served(header.service);
            if right.audit {
                connection.counts[STATUS] += 1;
                if !connection.is_counting {
                    connection.is_counting = true;
                    self.shared.counting.push(key);
                }
            }
            let sent = connection.reply(way, header.reply(0, 0), payload, Vec::new());
            return self.sent(key, way, sent);
        }
        if connection.in_flight.contains_key(&header.sequence) {
            return self.violated(key, "a sequence number that is in use");
        }
        let has_room = connection.in_flight.len() < self.shared.settings.calls_per_connection_max as usize
            && self.shared.pending.len() < self.shared.settings.calls_max as usize * 2;
        if !has_room {
            return self.reply(key, way, header.reply(wire::NO_ROOM, 0), &[]);
        }
        if matches!(header.service, 64 | 65) {
            return self.route(key, header, payload, file, way);
        }
        if !right.granted {
            // Also a number that does not exist: who may not call learns nothing from that.
            return self.refuse(key, Asked::Service(header.service), header.reply(wire::DENIED, 0), way);
        }
        if right.audit {
            self.count(key, Asked::Service(header.service));
        }
        let Some(service) = services::by_id(header.service) else {
            return self.reply(key, way, header.reply(CmsCode::ServiceOutOfRange.number(), 0), &[]);
        };
        if !has_version(header.code, service.version) {
            return self.reply(key, way, header.reply(CmsCode::FunctionMissing.number(), 0), &[]);
        }
        match service.place {
            Place::Front => self.serve(key, service, header, payload, file, way),
            Place::Monitor(_) | Place::Router => self.order(key, header, payload, file, way),
        }
    }

    /// Answers a service of the front's own.
    fn serve(
        &mut self,
        key: Key,
        service: &services::Service,
        header: &Header,
        payload: &[u8],
        file: Option<OwnedFd>,
        way: Way,
    ) {
        self.shared.counters.served(service.id);
        if file.is_some() {
            return self.reply(key, way, header.reply(CmsCode::MessageTooLong.number(), 0), &[]);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        let said = match service.id {
            1 => services::log::answer(&self.shared.log(), connection, payload),
            2 => services::dump::answer(&self.shared.log(), connection, payload),
            3 => services::config::answer(connection, payload),
            4 => Said::Payload(payload.to_vec()),
            5 => services::identify::answer(connection, header.actor, self.shared.begin.generation),
            _ => Said::Codes(CmsCode::ServiceNotInitialised.number(), 0),
        };
        match said {
            Said::Codes(code, detail) => self.reply(key, way, header.reply(code, detail), &[]),
            Said::Payload(payload) => self.reply(key, way, header.reply(0, 0), &payload),
        }
    }

    /// Passes a call on to the monitor.
    fn order(&mut self, key: Key, header: &Header, payload: &[u8], file: Option<OwnedFd>, way: Way) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if self.shared.monitor.is_none() {
            return self.reply(key, way, header.reply(CmsCode::ServerNotReady.number(), 0), &[]);
        }
        let (uid, id) = (connection.who.uid, connection.who.id);
        let deadline_ms = match header.detail {
            0 => self.shared.settings.deadline_ms,
            asked => asked.min(DEADLINE_MS_MAX).into(),
        };
        let Some(call) = self.begin(key, uid, header.reply(0, 0), way, Doing::Monitor, deadline_ms) else {
            return self.reply(key, way, header.reply(wire::NO_ROOM, 0), &[]);
        };
        let message = FromFront::Call {
            call,
            connection: id,
            service: header.service,
            version: header.code,
            actor: header.actor,
            deadline_ms,
        };
        let fds = file.into_iter().collect();
        self.shared.tell(&message, payload, fds);
    }

    /// Takes a place for something that takes time; `None` when there is none.
    pub(super) fn begin(
        &mut self,
        key: Key,
        uid: u32,
        reply: Header,
        way: Way,
        doing: Doing,
        deadline_ms: u64,
    ) -> Option<u64> {
        if !self.shared.admission.enter(uid) {
            return None;
        }
        let call = self.shared.next_call;
        self.shared.next_call += 1;
        if let Some(connection) = self.connections.get_mut(key) {
            connection.in_flight.insert(reply.sequence, call);
        }
        let begun_ms = self.shared.clock.now_ms();
        self.shared.timers.arm(Timer::Call(call), begun_ms + deadline_ms);
        self.shared.pending.insert(call, Pending { key, uid, reply, way, begun_ms, doing });
        Some(call)
    }

    /// Has a refusal written down; the answer goes out when it is.
    pub(super) fn refuse(&mut self, key: Key, what: Asked, reply: Header, way: Way) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        self.shared.counters.refused(&what);
        let (uid, id) = (connection.who.uid, connection.who.id);
        let table = &connection.rights.table;
        let refusal = match &what {
            Asked::Gate => table.gate.refusal.clone(),
            Asked::Service(service) => connection.rights.row(*service).and_then(|row| row.refusal.clone()),
            Asked::Plugin { plugin, service } => {
                connection.rights.plugin(plugin, service).and_then(|row| row.row.refusal.clone())
            }
            Asked::Specific { plugin, service } => connection
                .rights
                .plugin(plugin, service)
                .and_then(|row| row.specific.as_ref()?.refusal.clone()),
        };
        let doing = Doing::Refusal { what: what.clone(), refusal };
        let deadline_ms = self.shared.settings.deadline_ms;
        let Some(ticket) = self.begin(key, uid, reply, way, doing, deadline_ms) else {
            return self.reply(key, way, Header { code: wire::NO_ROOM, ..reply }, &[]);
        };
        self.shared.tell(&FromFront::Refused { ticket, connection: id, what }, &[], Vec::new());
    }

    /// Counts a grant that a profile wants to know of.
    pub(super) fn count(&mut self, key: Key, what: Asked) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match what {
            Asked::Gate => connection.counts[0] += 1,
            Asked::Service(service) => {
                if let Some(count) = connection.counts.get_mut(usize::from(service)) {
                    *count += 1;
                }
            }
            Asked::Plugin { plugin, service } => {
                *connection.plugin_counts.entry((plugin, service)).or_default() += 1;
            }
            Asked::Specific { .. } => {}
        }
        if !connection.is_counting {
            connection.is_counting = true;
            self.shared.counting.push(key);
        }
    }

    pub(super) fn reply(&mut self, key: Key, way: Way, reply: Header, payload: &[u8]) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let sent = connection.reply(way, reply, payload, Vec::new());
        self.sent(key, way, sent);
    }

    /// Sees to what became of an answer.
    pub(super) fn sent(&mut self, key: Key, way: Way, sent: Result<(), super::connection::Broken>) {
        match sent {
            Err(how) => self.broken(key, how),
            // What the ring has no room for is seen to where the ring is.
            Ok(()) if way == Way::Ring => {}
            Ok(()) => self.after_sending(key),
        }
    }

    /// Gives the answer to a call under way, if somebody still waits for it.
    pub(super) fn finish(
        &mut self,
        call: u64,
        change: impl FnOnce(&mut Header),
        payload: &[u8],
        fds: Vec<OwnedFd>,
    ) {
        let Some(pending) = self.shared.end_of(call) else { return };
        let mut reply = pending.reply;
        change(&mut reply);
        self.shared.counters.finished(&reply, self.shared.clock.now_ms() - pending.begun_ms);
        let key = pending.key;
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.in_flight.remove(&reply.sequence);
        let is_refused_hello = connection.phase == super::Phase::Refusing;
        let sent = connection.reply(pending.way, reply, payload, fds);
        if is_refused_hello {
            return self.end(key, None);
        }
        if pending.way == Way::Ring {
            self.wake_ring(key);
        }
        match sent {
            Err(how) => self.broken(key, how),
            Ok(()) => self.after_sending(key),
        }
    }

    /// Answers a call whose time has run out.
    pub(super) fn call_late(&mut self, call: u64) {
        let Some(pending) = self.shared.pending.get(&call) else { return };
        let code = match &pending.doing {
            Doing::Monitor | Doing::Plugin { .. } => CmsCode::DeadlinePassed.number(),
            // The refusal stands, whether or not its record has come back.
            Doing::Refusal { .. } => wire::DENIED,
        };
        self.shared.cancelled(call);
        self.finish(call, |reply| reply.code = code, &[], Vec::new());
    }

    /// Answers a call that is no longer wanted.
    pub(super) fn cancel(&mut self, key: Key, sequence: u64) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        // One that is answered already is none.
        let Some(call) = connection.in_flight.get(&sequence).copied() else { return };
        let is_call = self
            .shared
            .pending
            .get(&call)
            .is_some_and(|pending| !matches!(pending.doing, Doing::Refusal { .. }));
        if is_call {
            self.shared.cancelled(call);
            self.finish(call, |reply| reply.code = CmsCode::Cancelled.number(), &[], Vec::new());
        }
    }

    /// Answers everything that a box worked on which has ended.
    pub(super) fn monitor_lost(&mut self) {
        let lost: Vec<u64> = self
            .shared
            .pending
            .iter()
            .filter(|(_, pending)| matches!(pending.doing, Doing::Monitor))
            .map(|(call, _)| *call)
            .collect();
        for call in lost {
            self.finish(call, |reply| reply.code = CmsCode::ServiceEnded.number(), &[], Vec::new());
        }
    }

    /// Tells what was granted, of every connection that has something to tell.
    pub(super) fn tell_grants(&mut self) {
        for key in std::mem::take(&mut self.shared.counting) {
            self.tell_grants_of(key);
        }
    }

    pub(super) fn tell_grants_of(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.is_counting || self.shared.monitor.is_none() {
            if connection.is_counting {
                self.shared.counting.push(key);
            }
            return;
        }
        connection.is_counting = false;
        let mut counts = Vec::new();
        for (service, count) in connection.counts.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            let what = match u16::try_from(service) {
                Ok(0) | Err(_) => Asked::Gate,
                Ok(service) => Asked::Service(service),
            };
            counts.push((what, u64::from(std::mem::take(count))));
        }
        for ((plugin, service), count) in connection.plugin_counts.drain() {
            counts.push((Asked::Plugin { plugin, service }, count));
        }
        let grants = FromFront::Grants { connection: connection.who.id, counts };
        self.shared.tell(&grants, &[], Vec::new());
    }
}

impl Shared {
    /// Tells the monitor something; one that is gone is noticed when it is listened to.
    pub(super) fn tell(&mut self, what: &FromFront, body: &[u8], fds: Vec<OwnedFd>) {
        let Some(monitor) = &mut self.monitor else { return };
        if let Err(error) = monitor.send(what, body, fds) {
            self.print.debug(|| format!("monitor: {error}"));
        }
        let wants_write = monitor.wants_write();
        self.poller.want_write(monitor.as_fd(), u64::from(kind::MONITOR) << 60, wants_write).ok();
    }

    /// Forgets a call and gives its place back.
    fn end_of(&mut self, call: u64) -> Option<Pending> {
        let pending = self.pending.remove(&call)?;
        self.timers.disarm(Timer::Call(call));
        self.admission.leave(pending.uid);
        Some(pending)
    }

    /// Forgets a call whose caller is gone.
    pub(super) fn abandon(&mut self, call: u64) {
        self.cancelled(call);
        self.end_of(call);
    }

    /// Tells whoever works on a call that nobody waits for it.
    fn cancelled(&mut self, call: u64) {
        match self.pending.get(&call).map(|pending| &pending.doing) {
            Some(Doing::Monitor) => self.tell(&FromFront::Cancel { call }, &[], Vec::new()),
            Some(Doing::Plugin { start, sequence }) => {
                let (start, sequence) = (*start, *sequence);
                self.give_up(start, sequence);
            }
            Some(Doing::Refusal { .. }) | None => {}
        }
    }

    /// What services that print need.
    fn log(&self) -> Logging<'_> {
        Logging {
            print: &self.print,
            now_ms: self.clock.now_ms(),
            lines_per_second: self.settings.log_lines_per_second,
        }
    }
}

/// What services that print need.
#[derive(Debug)]
pub(crate) struct Logging<'s> {
    pub(crate) print: &'s crate::sysprint::Sysprint,
    pub(crate) now_ms: u64,
    pub(crate) lines_per_second: u32,
}

fn has_version(wanted: u32, installed: u32) -> bool {
    wanted == ANY_VERSION || wanted <= installed
}

/// Reads the payload of a call, wherever it is.
pub(crate) fn whole(payload: &[u8], file: Option<&OwnedFd>) -> std::io::Result<Vec<u8>> {
    match file {
        None => Ok(payload.to_vec()),
        Some(file) => channel::read_memory_file(file, tender_xmem::frame::PAYLOAD_BYTES_MAX as u64),
    }
}
