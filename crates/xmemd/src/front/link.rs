//! What the root process and the monitor tell the front.

use std::io;
use std::sync::Arc;

use super::calls::Doing;
use super::connection::{Connection, Phase};
use super::rights::Rights;
use super::slab::Key;
use super::{Front, HELLO_MS, MONITOR, Timer, kind};
use crate::channel::{Channel, Message};
use crate::link::{FromFront, Newcomer, RootToFront, ToFront};
use crate::role::RoleError;
use crate::wire;

impl Front {
    pub(super) fn hear_root(&mut self) -> Result<bool, RoleError> {
        loop {
            match self.root.receive() {
                Ok(None) => return Ok(true),
                Ok(Some(mut message)) => match message.head()? {
                    RootToFront::Begin(_) => return Err(RoleError::Order),
                    RootToFront::Monitor => {
                        let monitor = Channel::new(message.take_fd()?)?;
                        self.monitor_started(monitor)?;
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Introduces the connections to a monitor that was just started: it asks the kernel anew who they are.
    fn monitor_started(&mut self, monitor: Channel) -> Result<(), RoleError> {
        self.monitor_ended();
        self.shared.poller.add(&monitor, MONITOR)?;
        self.shared.monitor = Some(monitor);
        for key in self.connections.keys() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(&connection.socket, 3) else { continue };
            let known = FromFront::Known { connection: connection.who.id };
            self.shared.tell(&known, &[], vec![socket]);
        }
        // Refusals that the last one may not have written down.
        let refusals: Vec<FromFront> = self
            .shared
            .pending
            .iter()
            .filter_map(|(ticket, pending)| {
                let Doing::Refusal { what, .. } = &pending.doing else { return None };
                let connection = self.connections.get_mut(pending.key)?.who.id;
                Some(FromFront::Refused { ticket: *ticket, connection, what: what.clone() })
            })
            .collect();
        for refusal in refusals {
            self.shared.tell(&refusal, &[], Vec::new());
        }
        Ok(())
    }

    fn monitor_ended(&mut self) {
        if let Some(monitor) = self.shared.monitor.take() {
            self.shared.poller.remove(&monitor);
        }
        self.monitor_lost();
    }

    pub(super) fn hear_monitor(&mut self) -> Result<(), RoleError> {
        // Only so many at a time: clients want to be heard as well.
        for _ in 0..256 {
            let Some(monitor) = &mut self.shared.monitor else { return Ok(()) };
            monitor.flush().ok();
            match monitor.receive() {
                Ok(Some(message)) => self.told(message)?,
                Ok(None) => {
                    let wants_write = monitor.wants_write();
                    return Ok(self.shared.poller.want_write(&*monitor, MONITOR, wants_write)?);
                }
                Err(_) => {
                    self.monitor_ended();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn told(&mut self, mut message: Message) -> Result<(), RoleError> {
        match message.head()? {
            ToFront::Table { id, epoch, table } => self.new_table(id, Rights::new(epoch, *table)),
            ToFront::Forget { id } => drop(self.tables.remove(&id)),
            ToFront::Connection(newcomer) if newcomer.is_known => {
                self.retable(newcomer.id, newcomer.table);
            }
            ToFront::Connection(newcomer) => {
                let (socket, pidfd) = (message.take_fd()?, message.take_fd()?);
                self.admit(*newcomer, socket, pidfd)?;
            }
            ToFront::Retable { connection, table } => self.retable(connection, table),
            ToFront::Close { connection, code, why } => {
                if let Some(key) = self.by_id.get(&connection).copied() {
                    self.turn_out(key, code, &why);
                }
            }
            ToFront::Answer { call, code, detail, reference } => {
                let fds = message.fds.drain(..).collect();
                let set = |reply: &mut tender_xmem::frame::Header| {
                    (reply.code, reply.detail, reply.reference) = (code, detail, reference);
                };
                self.finish(call, set, message.body(), fds);
            }
            ToFront::Recorded { ticket, reference, is_granted } => {
                self.recorded(ticket, reference, is_granted);
            }
            ToFront::Actor { connection, handle, user } => {
                let key = self.by_id.get(&connection).copied();
                if let Some(connection) = key.and_then(|key| self.connections.get_mut(key)) {
                    match user {
                        Some(user) => drop(connection.actors.insert(handle, user)),
                        None => drop(connection.actors.remove(&handle)),
                    }
                }
            }
            ToFront::Settings(settings) => {
                self.shared.admission.set_limits(settings.calls_max, settings.calls_per_uid_max);
                let limit = std::time::Duration::from_micros(settings.spin_us);
                self.spin = tender_xmem::ring::Spin::new(limit);
                self.shared.settings = *settings;
            }
            ToFront::Level(level) => self.shared.print.set_level(level),
            ToFront::Flush { ticket } => {
                self.shared.print.flush(std::time::Duration::from_secs(1));
                self.shared.tell(&FromFront::Flushed { ticket }, &[], Vec::new());
            }
            ToFront::Report { ticket } => {
                let report = Box::new(self.report());
                self.shared.tell(&FromFront::Report { ticket, report }, &[], Vec::new());
            }
            ToFront::Drain { code, within_ms } => self.drain(code, within_ms)?,
            ToFront::Plugin { plugin, start } => self.plugin_started(plugin, start, message.take_fd()?)?,
            ToFront::NoPlugin { start, .. } => self.plugin_ended(start),
        }
        Ok(())
    }

    fn admit(
        &mut self,
        who: Newcomer,
        socket: std::os::fd::OwnedFd,
        pidfd: std::os::fd::OwnedFd,
    ) -> Result<(), RoleError> {
        let Some(rights) = self.tables.get(&who.table) else { return Err(RoleError::Order) };
        let rights = Arc::clone(rights);
        let (id, uid) = (who.id, who.uid);
        let (lines, now_ms) = (self.shared.settings.log_lines_per_second, self.shared.clock.now_ms());
        let key = self.connections.insert(|_| Connection::new(who, socket, pidfd, rights, lines, now_ms));
        self.by_id.insert(id, key);
        self.shared.admission.connected(uid);
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        self.shared.poller.add(&connection.socket, key.token(kind::SOCKET))?;
        self.shared.poller.add(&connection.pidfd, key.token(kind::PROCESS))?;
        self.shared.timers.arm(Timer::Hello(key), now_ms + HELLO_MS);
        if self.shared.is_draining {
            self.say_goodbye(key, 30, "another server takes over");
        }
        Ok(())
    }

    /// Puts a table in force for everybody who has it.
    fn new_table(&mut self, id: u32, rights: Rights) {
        let rights = Arc::new(rights);
        let is_known = self.tables.insert(id, Arc::clone(&rights)).is_some();
        if is_known {
            for key in self.connections.keys() {
                if self.connections.get_mut(key).is_some_and(|connection| connection.who.table == id) {
                    self.put_rights(key, &rights);
                }
            }
        }
    }

    fn retable(&mut self, id: u64, table: u32) {
        let (Some(key), Some(rights)) = (self.by_id.get(&id).copied(), self.tables.get(&table).cloned())
        else {
            return;
        };
        if let Some(connection) = self.connections.get_mut(key) {
            connection.who.table = table;
        }
        self.put_rights(key, &rights);
    }

    fn put_rights(&mut self, key: Key, rights: &Arc<Rights>) {
        // What was granted until now was granted by the old rule.
        self.tell_grants_of(key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.rights = Arc::clone(rights);
        let is_open = connection.phase == Phase::Open;
        if is_open && !rights.table.gate.granted {
            self.say_goodbye(key, wire::DENIED, "the permission to use this server was taken away");
        }
    }

    /// Answers what was refused, now that it is written down.
    fn recorded(&mut self, ticket: u64, reference: u64, is_granted: bool) {
        let Some(pending) = self.shared.pending.get(&ticket) else { return };
        let Doing::Refusal { refusal, .. } = &pending.doing else { return };
        if is_granted {
            let not_found = tender_xmem::code::RouterCode::NotFound.number();
            return self.finish(ticket, |reply| (reply.code, reply.detail) = (0, not_found), &[], Vec::new());
        }
        let payload = refusal.as_ref().map(|refusal| wire::with_reference(refusal, reference));
        let payload = payload.unwrap_or_default();
        self.finish(ticket, |reply| reply.reference = reference, payload.as_bytes(), Vec::new());
    }

    fn drain(&mut self, code: u32, within_ms: u64) -> Result<(), RoleError> {
        self.shared.is_draining = true;
        self.shared.timers.arm(Timer::Drain, self.shared.clock.now_ms() + within_ms);
        let why = if code == 25 { "the server stops" } else { "another server takes over" };
        if self.connections.len() == 0 {
            return Ok(self.drained(true)?);
        }
        for key in self.connections.keys() {
            self.say_goodbye(key, code, why);
        }
        Ok(())
    }
}
