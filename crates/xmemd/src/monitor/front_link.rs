//! What the front and the monitor tell each other.

use std::io;
use std::os::fd::OwnedFd;

use tender_saf::{AccessLevel, AuditEntry, Verdict};

use super::rights::{self, CLASS};
use super::{AfterAudit, Monitor, Phase, token};
use crate::channel::{Channel, Message};
use crate::link::{Asked, FromFront, ToFront};
use crate::role::RoleError;
use crate::{messages, services, wire};

impl Monitor {
    /// Takes the link to a front that was just started. Whatever the last one had is gone with it.
    pub(super) fn front_started(&mut self, link: OwnedFd) -> Result<(), RoleError> {
        self.front_ended();
        let front = Channel::new(link)?;
        self.poller.add(&front, token::FRONT)?;
        self.front = Some(front);
        let settings = Box::new(self.settings.clone());
        self.tell_front(&ToFront::Settings(settings), &[], Vec::new());
        self.become_ready()?;
        self.listen();
        Ok(())
    }

    fn front_ended(&mut self) {
        if let Some(front) = self.front.take() {
            self.poller.remove(&front);
        }
        self.listen();
        let lost: Vec<u64> = self.connections.keys().copied().collect();
        if !lost.is_empty() {
            self.print.say(messages::FRONT_LOST, &[&lost.len()]);
        }
        for id in lost {
            self.forget(id);
        }
        self.waiting.retain(|_, waiting| waiting.known.is_none());
        self.admitted_later.retain(|(waiting, _)| waiting.known.is_none());
        self.after_audit.retain(|_, after| matches!(after, AfterAudit::Command(_)));
        self.calls_lost();
        self.commands_lost();
        self.plugins_lost_front();
    }

    /// Tells the front something; a front that is gone is noticed elsewhere.
    pub(crate) fn tell_front(&mut self, what: &ToFront, body: &[u8], fds: Vec<OwnedFd>) {
        let Some(front) = &mut self.front else { return };
        if let Err(error) = front.send(what, body, fds) {
            self.print.debug(|| format!("front: {error}"));
        }
        let wants_write = front.wants_write();
        self.poller.want_write(&*front, token::FRONT, wants_write).ok();
    }

    pub(super) fn hear_front(&mut self) -> Result<(), RoleError> {
        // Only so many at a time: others want to be heard as well.
        for _ in 0..256 {
            let Some(front) = &mut self.front else { return Ok(()) };
            front.flush().ok();
            match front.receive() {
                Ok(Some(message)) => {
                    if let Err(error) = self.told_by_front(message) {
                        // The front reads what clients write, so it is not believed to keep to the protocol.
                        self.print.say(messages::WORKER_FAILED, &[&"front", &error]);
                        self.front_ended();
                        return Ok(());
                    }
                }
                Ok(None) => {
                    let wants_write = front.wants_write();
                    return Ok(self.poller.want_write(&*front, token::FRONT, wants_write)?);
                }
                Err(error) => {
                    self.print.debug(|| format!("front: {error}"));
                    self.front_ended();
                    if self.phase == Phase::Draining {
                        self.drained(false)?;
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn told_by_front(&mut self, mut message: Message) -> io::Result<()> {
        match message.head()? {
            FromFront::Call { call, connection, service, version, actor, deadline_ms } => {
                let asked = super::calls::Asking { call, connection, service, version, actor, deadline_ms };
                self.call(asked, message)?;
            }
            FromFront::Cancel { call } => self.cancel(call),
            FromFront::Refused { ticket, connection, what } => self.refused(ticket, connection, &what),
            FromFront::Grants { connection, counts } => {
                for (what, count) in counts {
                    self.granted(connection, &what, count);
                }
            }
            FromFront::Ended { connection, why } => {
                if let (Some(why), Some(known)) = (why, self.connections.get(&connection)) {
                    self.print.say(messages::PROTOCOL, &[&connection, &known.uid, &known.pid, &why]);
                }
                self.forget(connection);
            }
            FromFront::Known { connection } => {
                let socket = message.take_fd()?;
                self.next_id = self.next_id.max(connection + 1);
                self.greet(socket, Some(connection));
            }
            FromFront::HostIdle { start } => self.host_is_idle(start),
            FromFront::Drained { is_clean } => self.drained(is_clean).map_err(io::Error::other)?,
            FromFront::Flushed { ticket } => self.flushed(ticket),
            FromFront::Report { ticket, report } => self.reported(ticket, &report),
        }
        Ok(())
    }

    /// Returns class, resource and level of what was asked for; `None` for what does not exist.
    fn resource(&self, what: &Asked) -> Option<(String, String, AccessLevel)> {
        match what {
            Asked::Gate => Some((CLASS.to_owned(), rights::GATE.to_owned(), AccessLevel::Read)),
            Asked::Service(id) => match services::by_id(*id) {
                Some(service) => {
                    Some((CLASS.to_owned(), rights::service_resource(service.name), service.level))
                }
                // A number that does not exist is refused and written down like one that does.
                None => Some((CLASS.to_owned(), format!("ZWES.IS.SRV.{id}"), AccessLevel::Read)),
            },
            Asked::Plugin { plugin, service } => {
                Some((CLASS.to_owned(), rights::plugin_resource(plugin, service), AccessLevel::Read))
            }
            Asked::Specific { plugin, service } => {
                let found = self
                    .plugin_services
                    .iter()
                    .find(|found| found.plugin == *plugin && found.service == *service)?;
                let (class, entity) = found.specific.clone()?;
                Some((class, entity, AccessLevel::Read))
            }
        }
    }

    /// Writes a refusal of the front down; the front answers when it is on disk.
    fn refused(&mut self, ticket: u64, connection: u64, what: &Asked) {
        let decided = self
            .resource(what)
            .and_then(|(class, resource, level)| self.decide(connection, &class, &resource, level));
        let Some((granted, _, mut entry, _)) = decided else {
            self.tell_front(&ToFront::Recorded { ticket, reference: 0, is_granted: false }, &[], Vec::new());
            return;
        };
        if granted && matches!(what, Asked::Plugin { .. }) {
            // It may be called, and does not exist.
            self.tell_front(&ToFront::Recorded { ticket, reference: 0, is_granted: true }, &[], Vec::new());
            return;
        }
        if granted {
            // It was granted meanwhile; what the front did is what is written down.
            entry.verdict = Verdict::Refused;
        }
        self.remember(connection, &entry, wire::DENIED);
        self.write_refusal(entry, AfterAudit::Front(ticket));
    }

    pub(super) fn write_refusal(&mut self, entry: AuditEntry, after: AfterAudit) {
        let ticket = self.ticket();
        self.after_audit.insert(ticket, after);
        self.audit.refused(ticket, &entry);
    }

    /// Goes on with what waited for a refusal to be on disk.
    pub(super) fn audit_written(&mut self) {
        while let Some(written) = self.audit.written() {
            let reference = match written.reference {
                Ok(reference) => reference,
                Err(why) => {
                    self.print.say(messages::AUDIT_FAILED, &[&why]);
                    0
                }
            };
            if let Some(record) =
                self.refusals.iter_mut().rev().find(|record| record.ticket == written.ticket)
            {
                record.shown.refusal.reference = reference;
            }
            match self.after_audit.remove(&written.ticket) {
                Some(AfterAudit::Front(ticket)) => {
                    self.tell_front(
                        &ToFront::Recorded { ticket, reference, is_granted: false },
                        &[],
                        Vec::new(),
                    );
                }
                Some(AfterAudit::Call { call, code, refusal }) => {
                    let payload =
                        refusal.map_or_else(String::new, |text| wire::with_reference(&text, reference));
                    let answer = ToFront::Answer { call, code, detail: 0, reference };
                    self.tell_front(&answer, payload.as_bytes(), Vec::new());
                }
                Some(AfterAudit::Command(ticket)) => self.carry_out(ticket, reference),
                Some(AfterAudit::Nobody) | None => {}
            }
        }
    }

    /// Writes down how often something was granted.
    fn granted(&mut self, connection: u64, what: &Asked, count: u64) {
        let decided = self
            .resource(what)
            .and_then(|(class, resource, level)| self.decide(connection, &class, &resource, level));
        let Some((granted, _, mut entry, _)) = decided else { return };
        if !granted {
            // It was granted when it was counted, and has been taken away since.
            entry.verdict = Verdict::Granted;
            entry.remedy = None;
        }
        entry.count = count;
        if let Err(error) = self.audit.granted(&entry) {
            self.print.say(messages::AUDIT_FAILED, &[&crate::role::chain(&error)]);
        }
    }
}
