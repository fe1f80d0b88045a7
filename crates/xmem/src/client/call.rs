//! One call, from being sent to being answered.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use super::link::{Answer, Link, NotSent, Outcome};
use super::{ActorHandle, CallError, CallFailure, Client};
use crate::code::CmsCode;

/// What is called and how.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Number of the service.
    pub service: u16,
    /// Version that it must have, [`crate::frame::ANY_VERSION`] for any.
    pub version: u32,
    /// The request.
    pub payload: &'a [u8],
    /// In whose name, beside the connection's own.
    pub actor: Option<&'a ActorHandle>,
    /// It may be executed twice without harm, so it is repeated when the server ends while it is under way.
    pub repeatable: bool,
    /// Deadline in ms from now; 0: the client's own.
    pub deadline_ms: u32,
    /// Descriptors that the answer may bring, at most 3.
    pub descriptors_max: usize,
}

impl<'a> Call<'a> {
    /// A call with any version, without actor, not repeatable.
    #[must_use]
    pub fn new(service: u16, payload: &'a [u8]) -> Self {
        Self { service, payload, ..Self::default() }
    }
}

/// The answer to a call that was made.
#[derive(Debug, Default)]
pub struct Reply {
    /// Return code of the service, 0 when it did what it was asked.
    pub service_code: u32,
    /// What it answered.
    pub payload: Vec<u8>,
    /// Descriptors that came along.
    pub descriptors: Vec<OwnedFd>,
    /// Number of an audit record, 0 when there is none.
    pub reference: u64,
}

/// A call that was sent. Dropped before it was answered, it is cancelled.
#[derive(Debug)]
pub struct InFlight<'a> {
    client: &'a Client,
    call: Call<'a>,
    deadline: Instant,
    sent: Option<(Arc<Link>, u64)>,
    cancel: Option<Arc<CancelState>>,
}

#[derive(Debug, Default)]
struct CancelState {
    now: Mutex<CancelNow>,
}

#[derive(Debug, Default)]
struct CancelNow {
    cancelled: bool,
    /// Where the call is under way.
    sent: Option<(Weak<Link>, u64)>,
}

/// Cancels a call from another thread.
#[derive(Clone, Debug)]
pub struct Canceller(Arc<CancelState>);

impl Canceller {
    /// The call is answered with 97, or with its result if that was quicker.
    pub fn cancel(&self) {
        let mut now = self.0.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.cancelled = true;
        if let Some((link, sequence)) = now.sent.take()
            && let Some(link) = link.upgrade()
        {
            link.cancel(sequence);
        }
    }
}

impl<'a> InFlight<'a> {
    pub(super) fn start(client: &'a Client, call: Call<'a>, deadline: Instant) -> Result<Self, CallError> {
        let mut flight = Self { client, call, deadline, sent: None, cancel: None };
        flight.send()?;
        Ok(flight)
    }

    /// Something with which another thread can cancel the call.
    #[must_use]
    pub fn canceller(&mut self) -> Canceller {
        let state = Arc::clone(self.cancel.get_or_insert_default());
        self.tell_canceller();
        Canceller(state)
    }

    /// Waits for the answer.
    ///
    /// # Errors
    ///
    /// [`CallError`]; 96 when the deadline passed, 97 when it was cancelled, 98 when the server ended meanwhile and the
    /// call is not repeatable.
    pub fn wait(self) -> Result<Reply, CallError> {
        self.wait_on().map(|(reply, _)| reply)
    }

    /// [`InFlight::wait`], and which link answered.
    pub(super) fn wait_on(mut self) -> Result<(Reply, u64), CallError> {
        loop {
            let Some((link, sequence)) = self.sent.take() else {
                return Err(CallError::new(CmsCode::Error));
            };
            if let Some(reply) = settle(&self.call, &link, link.wait(sequence, self.deadline)) {
                return reply.map(|reply| (reply, link.id()));
            }
            self.send()?;
        }
    }

    /// Sends the call on the present link, or on a new one: as long as it was not sent nothing is lost.
    fn send(&mut self) -> Result<(), CallError> {
        loop {
            if self.is_cancelled() {
                return Err(CallError::new(CmsCode::Cancelled));
            }
            let link = self.client.link(self.deadline)?;
            if let Some(actor) = self.call.actor
                && actor.link != link.id()
            {
                // A number of an old connection might be somebody else's on a new one.
                return Err(CallError::because(CmsCode::PermissionDenied, CallFailure::ActorGone));
            }
            match link.send(&self.call, self.deadline) {
                Ok(sequence) => {
                    self.sent = Some((link, sequence));
                    self.tell_canceller();
                    return Ok(());
                }
                Err(NotSent::Retired) => {}
                Err(NotSent::Deadline) => return Err(CallError::new(CmsCode::DeadlinePassed)),
                Err(NotSent::Failed(code, failure)) => return Err(CallError::because(code, failure)),
            }
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel
            .as_ref()
            .is_some_and(|state| state.now.lock().unwrap_or_else(PoisonError::into_inner).cancelled)
    }

    fn tell_canceller(&self) {
        let (Some(state), Some((link, sequence))) = (&self.cancel, &self.sent) else { return };
        let mut now = state.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.cancelled {
            link.cancel(*sequence);
        } else {
            now.sent = Some((Arc::downgrade(link), *sequence));
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some((link, sequence)) = self.sent.take() {
            link.forget(sequence);
        }
    }
}

/// What the caller is told of how a call ended on a link; `None`: it was not executed, or may be again, so it is sent again.
pub(super) fn settle(call: &Call<'_>, link: &Link, outcome: Outcome) -> Option<Result<Reply, CallError>> {
    match outcome {
        Outcome::Answered(answer) => {
            let not_executed = answer.code == CmsCode::ServerNotReady.number()
                || answer.code == CmsCode::ServerUnavailable.number();
            if not_executed {
                // The old server did not begin with it; whoever comes next will.
                link.retire();
                return None;
            }
            Some(judge(call, answer))
        }
        Outcome::Deadline => Some(Err(CallError::new(CmsCode::DeadlinePassed))),
        Outcome::Lost if call.repeatable => None,
        Outcome::Lost => Some(Err(match link.farewell() {
            Some(failure) => CallError::because(CmsCode::OutcomeUnknown, failure),
            None => CallError::new(CmsCode::OutcomeUnknown),
        })),
    }
}

fn judge(call: &Call<'_>, answer: Answer) -> Result<Reply, CallError> {
    if answer.code != 0 {
        return Err(CallError::refused(answer.code, answer.reference, &answer.payload));
    }
    if answer.descriptors.len() > call.descriptors_max {
        let what = format!("{} descriptors that were not asked for", answer.descriptors.len());
        return Err(CallError::because(CmsCode::ProtocolViolated, CallFailure::Answer { what }));
    }
    Ok(Reply {
        service_code: answer.detail,
        payload: answer.payload,
        descriptors: answer.descriptors,
        reference: answer.reference,
    })
}
