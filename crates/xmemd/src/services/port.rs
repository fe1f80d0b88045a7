//! PORT (25): a listening socket on a low port comes back as a descriptor.
//!
//! FACILITY `ZWES.IS.PORT.<port>` READ, and the ports that `ZWES.PORTS` names.

use std::os::fd::OwnedFd;

use tender_saf::AccessLevel;
use tender_worker::order::{Outcome, Refusal, Work};
use tender_worker::port as order;
use tender_xmem::code::{CmsCode, PortCode};
use tender_xmem::service::{Port, PortOpened, Request as _, Transport};

use crate::monitor::Monitor;
use crate::monitor::calls::{Answer, Asking, Step};
use crate::monitor::rights::CLASS;

pub(super) fn call(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    let request = match Port::decode(payload) {
        Ok(request) => request,
        Err(invalid) => return Answer::not_taken::<Port>(&invalid),
    };
    let Some(subject) = monitor.subject(asked) else { return Answer::code(CmsCode::Error) };
    let resource = format!("ZWES.IS.PORT.{}", request.port);
    if let Err(step) = monitor.require(asked, &subject, (CLASS, &resource, AccessLevel::Read)) {
        return step;
    }
    let order = order::PortOrder {
        transport: match request.transport {
            Transport::Tcp => order::Transport::Tcp,
            Transport::Udp => order::Transport::Udp,
        },
        address: request.address,
        port: request.port,
        reuse_address: true,
        dual_stack: false,
        backlog: request.backlog,
    };
    let opened = PortOpened { port: request.port, address: request.address };
    Step::Work {
        work: Box::new(Work::Port(order)),
        fds: Vec::new(),
        then: Box::new(move |monitor, _, done| match done {
            None => Answer::code(CmsCode::ServiceEnded),
            Some((Outcome::Port(order::PortOutcome::Opened), fds)) => {
                let payload = serde_json::to_vec(&opened).unwrap_or_default();
                Step::Answer(Answer { payload, fds, ..Answer::default() })
            }
            Some((Outcome::Port(order::PortOutcome::InUse), _)) => Answer::detail(PortCode::InUse),
            Some((Outcome::Port(order::PortOutcome::NoAddress), _)) => Answer::detail(PortCode::Address),
            Some((Outcome::Refused(Refusal::TimedOut), _)) => Answer::code(CmsCode::DeadlinePassed),
            Some((outcome, _)) => {
                monitor.debug(|| format!("port: {outcome:?}"));
                Answer::detail(PortCode::NotAllowed)
            }
        }),
    }
}
