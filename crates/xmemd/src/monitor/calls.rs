//! Calls that the monitor answers.

use std::io;

use super::{AfterAudit, Monitor};
use crate::channel::Message;
use crate::link::ToFront;
use crate::{services, wire};

/// A call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking {
    pub(crate) call: u64,
    pub(crate) connection: u64,
    pub(crate) service: u16,
    pub(crate) version: u32,
    pub(crate) actor: u64,
    pub(crate) deadline_ms: u64,
    pub(crate) is_repeatable: bool,
}

impl Monitor {
    /// Takes a call; everything is decided again, whatever the front has decided.
    pub(super) fn call(&mut self, asked: Asking, _message: Message) -> io::Result<()> {
        if !self.connections.contains_key(&asked.connection) {
            return Err(io::Error::other("a call of a connection that does not exist"));
        }
        let Some(service) = services::by_id(asked.service) else {
            return Err(io::Error::other("a call of a service that does not exist"));
        };
        let resource = super::rights::service_resource(service.name);
        let gate = (super::rights::GATE.to_owned(), tender_saf::AccessLevel::Read);
        for (resource, level) in [gate, (resource, service.level)] {
            let decided = self.decide(asked.connection, super::rights::CLASS, &resource, level);
            let Some((granted, _, entry, refusal)) = decided else { return Ok(()) };
            if !granted {
                self.remember(asked.connection, &entry, wire::DENIED);
                let after = AfterAudit::Call { call: asked.call, code: wire::DENIED, refusal };
                self.write_refusal(entry, after);
                return Ok(());
            }
        }
        self.answer(asked.call, wire::NOT_INSTALLED, 0, &[]);
        Ok(())
    }

    pub(super) fn answer(&mut self, call: u64, code: u32, detail: u32, payload: &[u8]) {
        let answer = ToFront::Answer { call, code, detail, reference: 0 };
        self.tell_front(&answer, payload, Vec::new());
    }

    /// Nobody waits for a call any more.
    pub(super) fn cancel(&mut self, _call: u64) {}

    /// The front is gone, and its calls with it.
    pub(super) fn calls_lost(&mut self) {}
}
