//! Calls for plug-ins: straight from the front to their call sockets.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use tender_auxiliary::{Calls, CallsError};
use tender_xmem::code::{AuxCode, CmsCode, RouterCode};
use tender_xmem::frame::{ANY_VERSION, HEADER_BYTES, Header, PACKET_BYTES_MAX};
use tender_xmem::plugin::Caller;
use tender_xmem::service::RouterCall;

use super::calls::{Doing, whole};
use super::connection::Way;
use super::slab::Key;
use super::{Front, Shared, kind};
use crate::channel;
use crate::link::{Asked, FromFront};
use crate::role::RoleError;
use crate::wire::{self, Packet};

/// The longest deadline that a caller can ask for.
const DEADLINE_MS_MAX: u32 = 3_600_000;

/// The end of one host's call socket.
#[derive(Debug)]
struct End {
    socket: OwnedFd,
    calls: Calls<u64>,
    /// Whether another host has taken its place.
    is_replaced: bool,
}

/// The hosts that take calls.
#[derive(Debug, Default)]
pub(crate) struct Plugins {
    ends: HashMap<u64, End>,
    /// Which host serves a plug-in.
    current: HashMap<String, u64>,
}

impl Front {
    /// A host takes calls from now on, in place of an earlier one of the plug-in.
    pub(super) fn plugin_started(
        &mut self,
        plugin: String,
        start: u64,
        socket: OwnedFd,
    ) -> Result<(), RoleError> {
        let key = Key { index: u32::try_from(start).unwrap_or(u32::MAX), life: 0 };
        self.shared.poller.add(&socket, key.token(kind::PLUGIN))?;
        let plugins = &mut self.shared.plugins;
        plugins.ends.insert(start, End { socket, calls: Calls::default(), is_replaced: false });
        if let Some(old) = plugins.current.insert(plugin, start) {
            if let Some(end) = plugins.ends.get_mut(&old) {
                end.is_replaced = true;
            }
            self.tell_if_idle(old);
        }
        Ok(())
    }

    /// A host takes no calls any more; those that it worked on have ended.
    pub(super) fn plugin_ended(&mut self, start: u64) {
        let plugins = &mut self.shared.plugins;
        let Some(mut end) = plugins.ends.remove(&start) else { return };
        plugins.current.retain(|_, current| *current != start);
        self.shared.poller.remove(&end.socket);
        for call in end.calls.end() {
            self.finish(call, |reply| reply.code = CmsCode::ServiceEnded.number(), &[], Vec::new());
        }
    }

    fn tell_if_idle(&mut self, start: u64) {
        let Some(end) = self.shared.plugins.ends.get(&start) else { return };
        if end.is_replaced && end.calls.is_empty() {
            self.shared.tell(&FromFront::HostIdle { start }, &[], Vec::new());
        }
    }

    /// Passes a call on to a plug-in.
    pub(super) fn route(
        &mut self,
        key: Key,
        header: &Header,
        payload: &[u8],
        file: Option<OwnedFd>,
        way: Way,
    ) {
        let Ok(payload) = whole(payload, file.as_ref()) else {
            return self.reply(key, way, header.reply(CmsCode::BadParameter.number(), 0), &[]);
        };
        let routed = match RouterCall::decode(&payload) {
            Ok(routed) => routed,
            Err(invalid) => return self.reply(key, way, header.reply(0, invalid.code), &[]),
        };
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (plugin, service) = (routed.plugin.clone(), routed.service.clone());
        let denied = header.reply(wire::DENIED, 0);
        // What does not exist is refused like what may not be called; who may is told by the monitor that it is not there.
        let Some(row) = connection.rights.plugin(&plugin, &service) else {
            return self.refuse(key, Asked::Plugin { plugin, service }, denied, way);
        };
        if !row.row.granted {
            return self.refuse(key, Asked::Plugin { plugin, service }, denied, way);
        }
        if row.specific.as_ref().is_some_and(|specific| !specific.granted) {
            let reply = header.reply(0, RouterCode::NotPermitted.number());
            return self.refuse(key, Asked::Specific { plugin, service }, reply, way);
        }
        let (is_audited, installed) = (row.row.audit, row.version);
        let caller = Caller {
            connection: connection.who.id,
            uid: connection.who.uid,
            gid: connection.who.gid,
            pid: connection.who.pid,
            user: connection.rights.table.user.clone(),
            actor: connection.actors.get(&header.actor).cloned(),
            service: service.clone(),
        };
        if is_audited {
            self.count(key, Asked::Plugin { plugin: plugin.clone(), service });
        }
        if header.code != ANY_VERSION && header.code > installed {
            return self.reply(key, way, header.reply(0, RouterCode::Version.number()), &[]);
        }
        let Some(start) = self.shared.plugins.current.get(&plugin).copied() else {
            return self.reply(key, way, header.reply(0, RouterCode::Inactive.number()), &[]);
        };
        self.submit(key, header, &caller, routed.payload, start, way);
    }

    fn submit(&mut self, key: Key, header: &Header, caller: &Caller, request: &[u8], start: u64, way: Way) {
        let deadline_ms = match header.detail {
            0 => self.shared.settings.deadline_ms,
            asked => asked.min(DEADLINE_MS_MAX).into(),
        };
        // The number is known only when the call has its place, and the place only when there is room for both.
        let doing = Doing::Plugin { start, sequence: 0 };
        let Some(call) = self.begin(key, caller.uid, header.reply(0, 0), way, doing, deadline_ms) else {
            return self.reply(key, way, header.reply(wire::NO_ROOM, 0), &[]);
        };
        let until = Duration::from_millis(self.shared.clock.now_ms() + deadline_ms);
        let submitted = match self.shared.plugins.ends.get_mut(&start) {
            Some(end) => end.calls.submit(call, caller, request, Some(until)),
            None => {
                return self.finish(
                    call,
                    |reply| reply.detail = RouterCode::Inactive.number(),
                    &[],
                    Vec::new(),
                );
            }
        };
        match submitted {
            Ok((sequence, packet)) => {
                if let Some(pending) = self.shared.pending.get_mut(&call) {
                    pending.doing = Doing::Plugin { start, sequence };
                }
                self.shared.send_to_plugin(start, &packet);
            }
            Err(CallsError::Full) => {
                self.finish(call, |reply| reply.detail = AuxCode::RequestLimit.number(), &[], Vec::new());
            }
            Err(CallsError::TooLong { .. }) => {
                self.finish(call, |reply| reply.code = CmsCode::BadParameter.number(), &[], Vec::new());
            }
        }
    }

    /// Takes what a plug-in answers.
    pub(super) fn hear_plugin(&mut self, start: u64) {
        let mut buffer = vec![0; PACKET_BYTES_MAX + 1];
        for _ in 0..64 {
            let Some(end) = self.shared.plugins.ends.get_mut(&start) else { return };
            let (bytes, fd) = match wire::receive(end.socket.as_fd(), &mut buffer) {
                Packet::Bytes(bytes, fd) => (bytes, fd),
                Packet::Nothing => break,
                Packet::End | Packet::Violation(_) => return self.plugin_ended(start),
            };
            match end.calls.answer(&buffer[..bytes]) {
                Ok(Some(answer)) => {
                    let (call, said) = (answer.waiter, answer.header);
                    let read = whole(answer.payload, fd.as_ref());
                    let set = |reply: &mut Header| (reply.code, reply.detail) = (said.code, said.detail);
                    match read {
                        Ok(payload) => self.finish(call, set, &payload, Vec::new()),
                        Err(_) => {
                            let failed = CmsCode::ServiceEnded.number();
                            self.finish(call, |reply| reply.code = failed, &[], Vec::new());
                        }
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    self.shared.print.say(crate::messages::PLUGIN_FAILED, &[&start, &error]);
                    return self.plugin_ended(start);
                }
            }
        }
        self.tell_if_idle(start);
    }
}

impl Shared {
    fn send_to_plugin(&mut self, start: u64, packet: &[u8]) {
        let Some(end) = self.plugins.ends.get(&start) else { return };
        let flags = rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT;
        // Sixteen packets fit into the socket; one that does not read them runs into the deadline.
        let sent = match packet.split_at_checked(HEADER_BYTES) {
            // What does not fit into a packet goes in a memory file, as it does to and from clients.
            Some((header, payload)) if packet.len() > PACKET_BYTES_MAX => channel::memory_file(payload)
                .and_then(|file| {
                    channel::send_packet(end.socket.as_fd(), header, &[file]).map_err(Into::into)
                }),
            _ => rustix::net::send(&end.socket, packet, flags).map(drop).map_err(Into::into),
        };
        if let Err(error) = sent {
            self.print.debug(|| format!("host {start}: {error}"));
        }
    }

    /// Tells a plug-in that nobody waits for a call any more.
    pub(super) fn give_up(&mut self, start: u64, sequence: u64) {
        let Some(end) = self.plugins.ends.get_mut(&start) else { return };
        if end.calls.give_up(sequence).is_some() {
            self.send_to_plugin(start, &Calls::<u64>::cancel_packet(sequence));
        }
    }
}
