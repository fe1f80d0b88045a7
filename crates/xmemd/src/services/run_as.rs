//! RUNAS (23): a program run as the actor of the call.
//!
//! FACILITY `ZWES.IS.RUNAS` READ by the actor, and the uids that `ZWES.RUNAS.UIDS` names; never 0.

use std::os::fd::OwnedFd;

use tender_saf::{AccessLevel, LinuxIdentity, Subject};
use tender_worker::order::{Outcome, Refusal, Work};
use tender_worker::runas as order;
use tender_xmem::code::{CmsCode, RunAsCode};
use tender_xmem::service::{Parcel, Request as _, RunAs, RunAsResult};

use crate::channel;
use crate::monitor::Monitor;
use crate::monitor::calls::{Answer, Asking, Done, Step};
use crate::monitor::rights::CLASS;

const RESOURCE: &str = "ZWES.IS.RUNAS";

pub(super) fn call(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    let parcel = match Parcel::<RunAs>::decode(payload) {
        Ok(parcel) => parcel,
        Err(error) => return Answer::not_taken::<RunAs>(&error.to_invalid(RunAsCode::Missing)),
    };
    if let Err(invalid) = parcel.head.validate() {
        return Answer::not_taken::<RunAs>(&invalid);
    }
    let Some(actor) = monitor.actor(asked) else { return Answer::detail(RunAsCode::NoActor) };
    let subject = Subject::user(actor.clone());
    if let Err(step) = monitor.require(asked, &subject, (CLASS, RESOURCE, AccessLevel::Read)) {
        return step;
    }
    let (request, input) = (parcel.head, parcel.bytes.to_vec());
    Step::Resolve {
        user: actor,
        then: Box::new(move |_, _, identity| match identity {
            Some(identity) => run(request, &input, &identity),
            None => Answer::detail(RunAsCode::NoLinuxUser),
        }),
    }
}

fn run(request: RunAs, input: &[u8], identity: &LinuxIdentity) -> Step {
    let output_max = request.output_bytes_max;
    let files = || -> std::io::Result<[OwnedFd; 3]> {
        let empty = || rustix::fs::memfd_create("tender-output", rustix::fs::MemfdFlags::CLOEXEC);
        Ok([channel::memory_file(input)?, empty()?, empty()?])
    };
    let Ok([stdin, stdout, stderr]) = files() else { return Answer::code(CmsCode::NoRoom) };
    let (Ok(out), Ok(err)) = (stdout.try_clone(), stderr.try_clone()) else {
        return Answer::code(CmsCode::NoRoom);
    };
    let groups: Vec<u32> = identity.groups.iter().map(|group| group.gid).collect();
    let order = order::RunAsOrder {
        identity: order::Identity {
            uid: identity.uid,
            gid: groups.first().copied().unwrap_or(identity.uid),
            groups,
            resolved_ms: order::now_ms(),
        },
        program: request.program.into(),
        arguments: request.arguments,
        environment: request.environment,
        directory: request.directory.unwrap_or_else(|| "/".to_owned()).into(),
        stdin: true,
        stdout: true,
        stderr: true,
        // What a program writes is in memory, so it is bounded there and not only when it is read.
        limits: order::Limits { file_bytes: u64::from(output_max).max(4096), ..order::Limits::default() },
    };
    Step::Work {
        work: Box::new(Work::RunAs(order)),
        fds: vec![stdin, stdout, stderr],
        then: Box::new(move |monitor, _, done| finished(monitor, done, [&out, &err], output_max)),
    }
}

fn finished(monitor: &Monitor, done: Done, outputs: [&OwnedFd; 2], max: u32) -> Step {
    let mut result = RunAsResult::default();
    match done {
        None => return Answer::code(CmsCode::ServiceEnded),
        Some((Outcome::RunAs(order::RunAsOutcome::Exited { status }), _)) => result.exit = Some(status),
        Some((Outcome::RunAs(order::RunAsOutcome::Signalled { signal }), _)) => result.signal = Some(signal),
        Some((Outcome::RunAs(order::RunAsOutcome::NotStarted { stage, .. }), _)) => {
            return Answer::detail(match stage {
                order::Stage::Switch => RunAsCode::SwitchFailed,
                order::Stage::Prepare | order::Stage::Directory | order::Stage::Program => {
                    RunAsCode::NotExecuted
                }
            });
        }
        Some((Outcome::Refused(Refusal::NotAllowed { what }), _)) => {
            monitor.debug(|| format!("runas: {what}"));
            return Answer::detail(RunAsCode::NotAllowed);
        }
        Some((Outcome::Refused(Refusal::TimedOut), _)) => return Answer::detail(RunAsCode::TimeLimit),
        Some((Outcome::Refused(Refusal::Busy { .. }), _)) => return Answer::code(CmsCode::NoRoom),
        Some((outcome, _)) => {
            monitor.debug(|| format!("runas: {outcome:?}"));
            return Answer::detail(RunAsCode::NotExecuted);
        }
    }
    let [(stdout, one), (stderr, two)] = outputs.map(|file| read(file, max as usize));
    result.stdout_bytes = u32::try_from(stdout.len()).unwrap_or(max);
    result.stderr_bytes = u32::try_from(stderr.len()).unwrap_or(max);
    result.truncated = one || two;
    let bytes = [stdout, stderr].concat();
    match (Parcel { head: result, bytes: &bytes }).encode() {
        Ok(payload) => Step::Answer(Answer { payload, ..Answer::default() }),
        Err(_) => Answer::code(CmsCode::Error),
    }
}

/// Reads up to so many bytes; says whether there are more.
fn read(file: &OwnedFd, max: usize) -> (Vec<u8>, bool) {
    let size = rustix::fs::fstat(file).map_or(0, |stat| usize::try_from(stat.st_size).unwrap_or(0));
    let mut bytes = vec![0; size.min(max)];
    let mut done = 0;
    while done < bytes.len() {
        match rustix::io::pread(file, &mut bytes[done..], done as u64) {
            Ok(0) | Err(_) => break,
            Ok(more) => done += more,
        }
    }
    bytes.truncate(done);
    (bytes, size > max)
}
