//! Calls that the monitor answers: everything is decided again, then the service says the next step.
//!
//! ```text
//! front ─► gate and service, decided again ─► service ─► Step ─┬─► Answer ────────────────────────────► front
//!                                                ▲              ├─► Deny ─── written down ─────────────► front (33, 17)
//!                                                │              ├─► Work ─── worker ───┐
//!                                                │              ├─► Commit ─ keeper ───┤ what came of it
//!                                                │              └─► Resolve ─ names ───┤
//!                                                └─────────────────────────────────────┘
//! ```

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tender_identity::{ActorHandle, ConnectionId, Moment};
use tender_saf::{AccessLevel, Id, LinuxIdentity, Subject};
use tender_worker::order::{Outcome, Work};
use tender_xmem::code::CmsCode;
use tender_xmem::frame::{ANY_VERSION, PAYLOAD_BYTES_MAX};
use tender_xmem::service::{Invalid, NotTaken, Request};

use super::{AfterAudit, Monitor, rights};
use crate::channel::{self, Message};
use crate::link::{ToFront, ToKeeper};
use crate::services::{self, Place};
use crate::wire;

/// A call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking {
    pub(crate) call: u64,
    pub(crate) connection: u64,
    pub(crate) service: u16,
    pub(crate) version: u32,
    pub(crate) actor: u64,
    pub(crate) deadline_ms: u64,
}

/// What a service answers.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// CMS code.
    pub(crate) code: u32,
    /// Service code.
    pub(crate) detail: u32,
    pub(crate) payload: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
}

impl Answer {
    /// Only a service code.
    pub(crate) fn detail(detail: impl Into<u32>) -> Step {
        Step::Answer(Self { detail: detail.into(), ..Self::default() })
    }

    /// A request that is not taken: the service's code, why, and what one looks like.
    pub(crate) fn not_taken<R: Request>(invalid: &Invalid) -> Step {
        Self::json_with(invalid.code, &NotTaken::new::<R>(invalid))
    }

    /// Only a CMS code.
    pub(crate) fn code(code: CmsCode) -> Step {
        Step::Answer(Self { code: code.number(), ..Self::default() })
    }

    /// Code 0 and JSON.
    pub(crate) fn json(answer: &impl serde::Serialize) -> Step {
        Self::json_with(0_u32, answer)
    }

    /// A service code and JSON.
    pub(crate) fn json_with(detail: impl Into<u32>, answer: &impl serde::Serialize) -> Step {
        let payload = serde_json::to_vec(answer).unwrap_or_default();
        Step::Answer(Self { detail: detail.into(), payload, ..Self::default() })
    }
}

/// What came of an order: its outcome with its descriptors; `None` when the worker ended before it answered.
pub(crate) type Done = Option<(Outcome, Vec<OwnedFd>)>;
/// What came of a transaction: why it was not made, and whether somebody was faster.
pub(crate) type Committed = Result<(), (String, bool)>;

/// Goes on with a call.
pub(crate) type AfterWork = Box<dyn FnOnce(&mut Monitor, Asking, Done) -> Step>;
pub(crate) type AfterCommit = Box<dyn FnOnce(&mut Monitor, Asking, Committed) -> Step>;
pub(crate) type AfterNames = Box<dyn FnOnce(&mut Monitor, Asking, Option<LinuxIdentity>) -> Step>;

/// What a service does next.
pub(crate) enum Step {
    Answer(Answer),
    /// Refuses for want of a right; it is written down first.
    Deny {
        subject: Subject,
        class: String,
        resource: String,
        level: AccessLevel,
    },
    Work {
        work: Box<Work>,
        fds: Vec<OwnedFd>,
        then: AfterWork,
    },
    Commit {
        who: String,
        what: String,
        changes: Vec<u8>,
        then: AfterCommit,
    },
    /// Looks up a Linux user.
    Resolve {
        user: Id,
        then: AfterNames,
    },
}

impl std::fmt::Debug for Step {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Answer(_) => "Answer",
            Self::Deny { .. } => "Deny",
            Self::Work { .. } => "Work",
            Self::Commit { .. } => "Commit",
            Self::Resolve { .. } => "Resolve",
        })
    }
}

/// A call that waits for somebody.
pub(super) enum Waits {
    Worker(AfterWork),
    /// By its number.
    Keeper(u64, AfterCommit),
    Names(AfterNames),
}

impl std::fmt::Debug for Waits {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Worker(_) => "worker",
            Self::Keeper(..) => "keeper",
            Self::Names(_) => "names",
        })
    }
}

/// What a service is called with.
pub(crate) type Handler = fn(&mut Monitor, Asking, &[u8], Option<OwnedFd>) -> Step;

impl Monitor {
    /// Takes a call; everything is decided again, whatever the front has decided.
    pub(super) fn call(&mut self, asked: Asking, mut message: Message) -> io::Result<()> {
        if !self.connections.contains_key(&asked.connection) {
            // It has ended while the call was on its way, and then nobody hears this; or this monitor is new and has not
            // been told of it yet: nothing was begun.
            self.follow(asked, Answer::code(CmsCode::ServerNotReady));
            return Ok(());
        }
        let Some(service) = services::by_id(asked.service) else {
            return Err(io::Error::other("a call of a service that does not exist"));
        };
        // Somebody who is gone gets nothing done any more.
        if self.connections.get(&asked.connection).is_some_and(|known| super::has_ended(&known.pidfd)) {
            return Ok(());
        }
        let Place::Monitor(handler) = service.place else {
            return Err(io::Error::other("a call of a service that is not the monitor's"));
        };
        let resource = rights::service_resource(service.name);
        let gate = (rights::GATE.to_owned(), AccessLevel::Read);
        for (resource, level) in [gate, (resource, service.level)] {
            let decided = self.decide(asked.connection, rights::CLASS, &resource, level);
            let Some((granted, _, entry, refusal)) = decided else {
                self.follow(asked, Answer::code(CmsCode::ServerNotReady));
                return Ok(());
            };
            if !granted {
                self.remember(asked.connection, &entry, wire::DENIED);
                let after = AfterAudit::Call { call: asked.call, code: wire::DENIED, refusal };
                self.write_refusal(entry, after);
                return Ok(());
            }
        }
        if asked.version != ANY_VERSION && asked.version > service.version {
            self.follow(asked, Answer::code(CmsCode::FunctionMissing));
            return Ok(());
        }
        let file = message.fds.pop_front();
        let read;
        let payload = match &file {
            // A file to be put somewhere is not read here.
            Some(_) if asked.service == 24 => &[],
            Some(file) => match channel::read_memory_file(file, PAYLOAD_BYTES_MAX as u64) {
                Ok(content) => {
                    read = content;
                    &*read
                }
                Err(_) => &[],
            },
            None => message.body(),
        };
        let step = handler(self, asked, payload, file);
        self.follow(asked, step);
        Ok(())
    }

    /// Does what a service wants done next.
    pub(super) fn follow(&mut self, asked: Asking, step: Step) {
        match step {
            Step::Answer(answer) => {
                let head = ToFront::Answer {
                    call: asked.call,
                    code: answer.code,
                    detail: answer.detail,
                    reference: 0,
                };
                self.tell_front(&head, &answer.payload, answer.fds);
            }
            Step::Deny { subject, class, resource, level } => {
                self.deny(asked, &subject, &class, &resource, level);
            }
            Step::Work { work, fds, then } => self.order(asked, *work, fds, then),
            Step::Commit { who, what, changes, then } => {
                let ticket = self.ticket();
                self.waits.insert(ticket, (asked, Waits::Keeper(self.keeper_number, then)));
                if !self.is_keeper_heard {
                    // What was planned on the profiles of another database has no business in this one.
                    return self
                        .committed(ticket, Err(("the profiles are just being read".to_owned(), true)));
                }
                let sent = match &mut self.keeper {
                    Some(keeper) => {
                        keeper.send(&ToKeeper::Commit { ticket, who, what }, &changes, Vec::new())
                    }
                    None => Err(io::ErrorKind::NotConnected.into()),
                };
                if sent.is_err() {
                    self.committed(ticket, Err(("the database cannot be reached".to_owned(), false)));
                }
            }
            Step::Resolve { user, then } => {
                let ticket = self.ticket();
                self.waits.insert(ticket, (asked, Waits::Names(then)));
                let uid = self
                    .policy
                    .as_ref()
                    .and_then(|policy| policy.database.users.get(&user)?.unix.as_ref()?.uid);
                if !self.names.resolve(ticket, uid, user.as_str()) {
                    self.resolved(ticket, None);
                }
            }
        }
    }

    fn deny(&mut self, asked: Asking, subject: &Subject, class: &str, resource: &str, level: AccessLevel) {
        let (Some(policy), Some(known)) = (&self.policy, self.connections.get(&asked.connection)) else {
            return;
        };
        let question = rights::question(class, resource, level);
        let decision = policy.compiled.decide(subject, &question);
        let mut entry = tender_saf::AuditEntry::of(jiff::Timestamp::now(), subject, &question, &decision);
        entry.verdict = tender_saf::Verdict::Refused;
        entry.origin = Some(known.origin(asked.connection));
        let explain = rights::question(rights::CLASS, rights::EXPLAIN, AccessLevel::Read);
        let may_know = policy.compiled.decide(&known.subject, &explain).granted;
        let whom = rights::Whom { subject, uid: known.uid, name: known.identity.name.as_deref() };
        let refusal = may_know.then(|| rights::refusal(&policy.compiled, &whom, &question));
        self.remember(asked.connection, &entry, wire::DENIED);
        self.write_refusal(entry, AfterAudit::Call { call: asked.call, code: wire::DENIED, refusal });
    }

    /// A transaction was made, or not.
    pub(super) fn committed(&mut self, ticket: u64, came: Committed) {
        if let Some((asked, Waits::Keeper(_, then))) = self.waits.remove(&ticket) {
            let step = then(self, asked, came);
            self.follow(asked, step);
        }
    }

    /// What a keeper was asked for and has not answered.
    pub(super) fn waiting_for_keeper(&self, number: u64) -> Vec<u64> {
        let is_asked = |waits: &Waits| matches!(waits, Waits::Keeper(asked, _) if *asked == number);
        let waits = self.waits.iter().filter(|(_, (_, waits))| is_asked(waits));
        waits.map(|(ticket, _)| *ticket).collect()
    }

    /// A Linux user was looked up.
    pub(super) fn resolved(&mut self, ticket: u64, found: Option<LinuxIdentity>) {
        if let Some((asked, Waits::Names(then))) = self.waits.remove(&ticket) {
            let step = then(self, asked, found);
            self.follow(asked, step);
        }
    }

    /// A worker has answered an order, or ended.
    pub(super) fn worked(&mut self, ticket: u64, done: Done) {
        if let Some((asked, Waits::Worker(then))) = self.waits.remove(&ticket) {
            let step = then(self, asked, done);
            self.follow(asked, step);
        }
    }

    /// Nobody waits for a call any more.
    pub(super) fn cancel(&mut self, call: u64) {
        let found = self.waits.iter().find(|(_, (asked, _))| asked.call == call).map(|(ticket, _)| *ticket);
        if let Some(ticket) = found {
            self.cancel_order(ticket);
            // Its outcome still goes on with what it began; the answer then finds nobody.
        }
    }

    /// The front is gone, and its calls with it: what they ordered is ended.
    pub(super) fn calls_lost(&mut self) {
        for ticket in self.waits.keys().copied().collect::<Vec<_>>() {
            self.cancel_order(ticket);
        }
    }

    /// Returns the user that a call acts for, if it names an actor of this connection that is still good.
    pub(crate) fn actor(&self, asked: Asking) -> Option<Id> {
        let handle = ActorHandle::new(asked.actor)?;
        let found = self.actors.find(Moment::now(), ConnectionId(asked.connection), handle).ok()?;
        let id: Id = found.user.as_str().parse().ok()?;
        // Whom the database has revoked or lost since the proof acts no more.
        let user = self.policy.as_ref()?.database.users.get(&id)?;
        (!user.flags.is_revoked).then_some(id)
    }

    /// Returns the subject of a connection.
    pub(crate) fn subject(&self, asked: Asking) -> Option<Subject> {
        self.connections.get(&asked.connection).map(|known| known.subject.clone())
    }

    /// Returns the uid of a connection.
    pub(crate) fn uid(&self, asked: Asking) -> u32 {
        self.connections.get(&asked.connection).map_or(u32::MAX, |known| known.uid)
    }

    /// Asks whether a subject may; what profiles want to know of is written down.
    ///
    /// Errors: the step that refuses.
    pub(crate) fn require(
        &self,
        asked: Asking,
        subject: &Subject,
        (class, resource, level): (&str, &str, AccessLevel),
    ) -> Result<(), Step> {
        let Some(policy) = &self.policy else { return Err(Answer::code(CmsCode::ServerNotReady)) };
        let question = rights::question(class, resource, level);
        let decision = policy.compiled.decide(subject, &question);
        if !decision.granted {
            return Err(Step::Deny {
                subject: subject.clone(),
                class: class.to_owned(),
                resource: resource.to_owned(),
                level,
            });
        }
        if decision.audit {
            let mut entry = tender_saf::AuditEntry::of(jiff::Timestamp::now(), subject, &question, &decision);
            entry.origin =
                self.connections.get(&asked.connection).map(|known| known.origin(asked.connection));
            if let Err(error) = self.audit.granted(&entry) {
                self.print.say(crate::messages::AUDIT_FAILED, &[&crate::role::chain(&error)]);
                return Err(Answer::code(CmsCode::NoRoom));
            }
        }
        Ok(())
    }

    /// Returns how long a call may still take.
    pub(super) fn time_for(asked: Asking) -> Duration {
        Duration::from_millis(asked.deadline_ms)
    }
}
