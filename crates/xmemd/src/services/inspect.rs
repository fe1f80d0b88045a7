//! INSPECT (12): memory of another process; off unless `ZWES.INSPECT=YES`.
//!
//! FACILITY `ZWES.IS.INSPECT.<uid of the process>` READ, and the processes of root are never read.

use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags};
use tender_saf::AccessLevel;
use tender_worker::inspect as order;
use tender_worker::order::{Outcome, Refusal, Work};
use tender_xmem::code::{CmsCode, InspectCode};
use tender_xmem::service::{Inspect, Inspected, Parcel, Request as _};

use crate::monitor::Monitor;
use crate::monitor::calls::{Answer, Asking, Step};
use crate::monitor::rights::CLASS;

pub(super) fn call(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    let request = match Inspect::decode(payload) {
        Ok(request) => request,
        Err(invalid) => return Answer::not_taken::<Inspect>(&invalid),
    };
    if !monitor.settings().is_inspect_on {
        return Answer::code(CmsCode::NotPossibleHere);
    }
    let Some(subject) = monitor.subject(asked) else { return Answer::code(CmsCode::Error) };
    let Some((pidfd, start_time, uid, program)) = target(request.pid) else {
        return Answer::detail(InspectCode::NoProcess);
    };
    let resource = format!("ZWES.IS.INSPECT.{uid}");
    if let Err(step) = monitor.require(asked, &subject, (CLASS, &resource, AccessLevel::Read)) {
        return step;
    }
    let order = order::InspectOrder { start_time, address: request.address, bytes: request.length };
    Step::Work {
        work: Box::new(Work::Inspect(order)),
        fds: vec![pidfd],
        then: Box::new(move |monitor, _, done| match done {
            None => Answer::code(CmsCode::ServiceEnded),
            Some((Outcome::Inspect(outcome), _)) => match outcome {
                order::InspectOutcome::Complete { bytes } | order::InspectOutcome::Partial { bytes } => {
                    let length = u32::try_from(bytes.0.len()).unwrap_or(0);
                    let head = Inspected { program, uid, length };
                    match (Parcel { head, bytes: &bytes.0 }).encode() {
                        Ok(payload) => Step::Answer(Answer { payload, ..Answer::default() }),
                        Err(_) => Answer::code(CmsCode::Error),
                    }
                }
                order::InspectOutcome::Unreadable => Answer::detail(InspectCode::NotMapped),
                order::InspectOutcome::Gone => Answer::detail(InspectCode::Changed),
            },
            Some((Outcome::Refused(Refusal::TimedOut), _)) => Answer::code(CmsCode::DeadlinePassed),
            Some((outcome, _)) => {
                monitor.debug(|| format!("inspect: {outcome:?}"));
                Answer::detail(InspectCode::CopyEnded)
            }
        }),
    }
}

/// Finds the process that a number means now, and holds it.
fn target(pid: u32) -> Option<(OwnedFd, u64, u32, String)> {
    let number = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let pidfd = rustix::process::pidfd_open(number, PidfdFlags::empty()).ok()?;
    let start_time = order::start_time(pid).ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    // The real and the effective uid must be one: a program in between is nobody's.
    let mut uids = field("Uid:")?.split_ascii_whitespace().map(str::parse::<u32>);
    let (real, effective) = (uids.next()?.ok()?, uids.next()?.ok()?);
    let program = field("Name:")?.trim().to_owned();
    let is_same = real == effective && !crate::monitor::has_ended(&pidfd);
    is_same.then_some((pidfd, start_time, real, program))
}
