//! What comes out of a client's socket.

use std::os::fd::{AsFd as _, OwnedFd};

use tender_xmem::frame::{Flags, Header, Kind, PAYLOAD_BYTES_MAX};
use tender_xmem::{Hello, Welcome};

use super::connection::{Phase, REPLACED, Way};
use super::slab::Key;
use super::{Front, READ_MS, Timer, kind};
use crate::link::Asked;
use crate::poller::Ready;
use crate::wire::{self, Packet};

/// Packets of one client taken in one turn: the others are waiting.
const TURN_MAX: usize = 16;
/// Packets taken from a client whose process has ended.
const LAST_MAX: usize = 256;

impl Front {
    pub(super) fn socket_ready(&mut self, key: Key, ready: Ready) {
        if ready.write
            && let Some(connection) = self.connections.get_mut(key)
        {
            if let Err(how) = connection.flush() {
                return self.broken(key, how);
            }
            self.after_sending(key);
        }
        let is_busy = self.connections.get(key).is_some_and(|connection| connection.is_busy);
        if ready.read && !is_busy {
            self.read(key, TURN_MAX);
        }
    }

    /// Reads up to so many packets.
    fn read(&mut self, key: Key, packets_max: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for place in 0..packets_max {
            let Some(connection) = self.connections.get_mut(key) else { break };
            // Who does not read what it is sent is not read from.
            if connection.is_owed() {
                break;
            }
            let looks_again = place > 0;
            match wire::receive(connection.socket.as_fd(), &mut buffer) {
                Packet::Bytes(bytes, fd) => {
                    if looks_again {
                        connection.ahead.found(true);
                    }
                    let goes_on = connection.ahead.looks_on() || packets_max != TURN_MAX;
                    self.packet(key, &buffer[..bytes], fd);
                    if !goes_on {
                        break;
                    }
                }
                Packet::Nothing => {
                    if looks_again {
                        connection.ahead.found(false);
                    }
                    break;
                }
                Packet::End => {
                    self.end(key, None);
                    break;
                }
                Packet::Violation(what) => {
                    self.violated(key, what);
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    /// Reads what a client has sent that can send no more.
    pub(super) fn read_rest(&mut self, key: Key) {
        self.read(key, usize::MAX);
    }

    /// The process of a connection has ended: what it sent before is still taken, and that is all.
    pub(super) fn process_ended(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            self.shared.poller.remove(&connection.pidfd);
            if connection.is_busy {
                // By the thread that waits for it: nobody else reads meanwhile.
                connection.is_over = true;
                return connection.shut();
            }
        }
        self.end_of_process(key);
    }

    /// Takes what a process sent before it ended.
    pub(super) fn end_of_process(&mut self, key: Key) {
        self.take_ring(key, LAST_MAX);
        self.read(key, LAST_MAX);
        self.end(key, None);
    }

    /// Takes one packet.
    pub(super) fn packet(&mut self, key: Key, packet: &[u8], fd: Option<OwnedFd>) {
        let (header, payload) = match Header::decode_packet(packet) {
            Ok(decoded) => decoded,
            Err(error) => return self.turn_out(key, error.code().number(), &error.to_string()),
        };
        if header.flags.contains(Flags::MEMFD) != fd.is_some() {
            return self.violated(key, "a descriptor that no flag announces, or a flag without a descriptor");
        }
        if let Some(fd) = &fd
            && let Err(why) = check_file(fd, header.length)
        {
            return self.violated(key, why);
        }
        self.frame(key, &header, payload, fd, Way::Socket);
    }

    /// Takes one frame, whichever way it came.
    pub(super) fn frame(
        &mut self,
        key: Key,
        header: &Header,
        payload: &[u8],
        file: Option<OwnedFd>,
        way: Way,
    ) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match (connection.phase, header.kind) {
            (Phase::Fresh, Kind::Hello) if file.is_none() && way == Way::Socket => self.hello(key, payload),
            (Phase::Fresh, _) => self.violated(key, "the first frame is not HELLO"),
            // A client may have sent more before it could hear the answer.
            (Phase::Refusing, _) => {}
            (Phase::Open, Kind::Call) => self.call(key, header, payload, file, way),
            (Phase::Open | Phase::Leaving, Kind::Cancel) => self.cancel(key, header.sequence),
            (Phase::Open, Kind::RingOpen) if way == Way::Socket => self.open_ring(key, header),
            // Whoever goes to the next server finishes here first.
            (Phase::Leaving, Kind::Call) if connection.goodbye == REPLACED => {
                self.call(key, header, payload, file, way);
            }
            // What was sent before GOODBYE was heard is answered, and was not done.
            (Phase::Leaving, Kind::Call) => {
                let reply = header.reply(connection.goodbye, 0);
                let sent = connection.reply(way, reply, &[], Vec::new());
                self.sent(key, way, sent);
            }
            (Phase::Leaving, Kind::RingOpen) => {}
            _ => self.violated(key, "a frame of this kind does not belong here"),
        }
    }

    fn hello(&mut self, key: Key, payload: &[u8]) {
        let hello = match Hello::decode(payload) {
            Ok(hello) => hello,
            Err(why) => return self.violated(key, &why),
        };
        self.shared.timers.disarm(Timer::Hello(key));
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.client = hello.client;
        let mut welcome = Header::new(Kind::Welcome, 0);
        if hello.server.as_str() != self.shared.begin.server {
            welcome.code = 12;
            connection.phase = Phase::Leaving;
            connection.reply(Way::Socket, welcome, &[], Vec::new()).ok();
            return self.end(key, Some("it wants another server".to_owned()));
        }
        let refused = if connection.rights.table.gate.granted {
            hello.requires.iter().find_map(|name| missing(&connection.rights, name))
        } else {
            Some(Asked::Gate)
        };
        if let Some(what) = refused {
            connection.phase = Phase::Refusing;
            welcome.code = wire::DENIED;
            return self.refuse(key, what, welcome, Way::Socket);
        }
        connection.phase = Phase::Open;
        if connection.rights.table.gate.audit {
            self.count(key, Asked::Gate);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Ok(server) = self.shared.begin.server.parse() else { return };
        let welcome_payload = Welcome {
            server,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            generation: self.shared.begin.generation,
            epoch: connection.rights.epoch,
            services: connection.rights.entries(),
            payload_bytes_max: u32::try_from(PAYLOAD_BYTES_MAX).unwrap_or(u32::MAX),
            calls_max: self.shared.settings.calls_per_connection_max,
        };
        let payload = serde_json::to_vec(&welcome_payload).unwrap_or_default();
        if let Err(how) = connection.reply(Way::Socket, welcome, &payload, Vec::new()) {
            return self.broken(key, how);
        }
        self.after_sending(key);
        if self.shared.is_draining {
            self.say_goodbye(key, REPLACED, "another server takes over");
        }
    }

    /// Sees to what a socket has no room for.
    pub(super) fn after_sending(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let token = key.token(kind::SOCKET);
        let poller = &self.shared.poller;
        if connection.is_owed() {
            // The event loop has a busy one among its own only as long as it is owed something.
            if connection.is_busy && !connection.is_late {
                poller.add_write(&connection.socket, token).ok();
            } else {
                poller.only_write(&connection.socket, token).ok();
            }
            connection.is_late = true;
            let by_ms = self.shared.clock.now_ms() + READ_MS;
            if !self.shared.timers.is_armed(Timer::Read(key)) {
                self.shared.timers.arm(Timer::Read(key), by_ms);
            }
        } else if connection.is_late {
            connection.is_late = false;
            self.shared.timers.disarm(Timer::Read(key));
            if connection.is_busy {
                poller.remove(&connection.socket);
            } else {
                poller.want_write(&connection.socket, token, false).ok();
            }
        }
        self.end_if_done(key);
    }

    /// Says GOODBYE; calls under way are still answered.
    pub(super) fn say_goodbye(&mut self, key: Key, code: u32, why: &str) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.phase {
            Phase::Leaving => return,
            // It hears what it waits for, and then this.
            Phase::Fresh | Phase::Refusing | Phase::Open => {}
        }
        if let Err(how) = connection.goodbye(code, why) {
            return self.broken(key, how);
        }
        self.after_sending(key);
    }
}

/// Returns what is missing of a service that a client cannot do without.
fn missing(rights: &super::rights::Rights, name: &str) -> Option<Asked> {
    if let Some((plugin, service)) = name.split_once('.') {
        let row = rights.plugin(plugin, service);
        let has =
            row.is_some_and(|row| row.row.granted && row.specific.as_ref().is_none_or(|row| row.granted));
        return (!has).then(|| Asked::Plugin { plugin: plugin.to_owned(), service: service.to_owned() });
    }
    match crate::services::ALL.iter().find(|service| service.name == name) {
        Some(service) if rights.by_service[usize::from(service.id)].granted => None,
        Some(service) => Some(Asked::Service(service.id)),
        // A name that does not exist is refused like one that may not be used.
        None => Some(Asked::Service(0)),
    }
}

/// Says what is wrong with a memory file that came along.
fn check_file(fd: &OwnedFd, length: u32) -> Result<(), &'static str> {
    let wanted = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    let seals = crate::sys::seals(fd.as_fd()).map_err(|_| "a descriptor that is not a memory file")?;
    if seals & wanted != wanted {
        return Err("a memory file that is not sealed");
    }
    let size = rustix::fs::fstat(fd).map_err(|_| "a memory file that cannot be looked at")?.st_size;
    if u64::try_from(size).ok() == Some(u64::from(length)) {
        Ok(())
    } else {
        Err("a memory file of another length than announced")
    }
}
