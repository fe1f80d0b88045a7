//! Which orders are carried out, and what becomes of the programs.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::child::{Child, Got, Program};
use super::{GROUPS_MAX, Identity, Limits, RunAsOrder, RunAsOutcome, RunAsSettings, WORDS_MAX, now_ms};
use crate::kind::Kind;
use crate::order::{Outcome, Refusal, Work};
use crate::range::Range;
use crate::serve::{Craft, Running, Step};
use crate::strays;
use crate::sys;

/// The work of kind `runas`.
#[derive(Debug)]
pub(crate) struct RunAs {
    settings: RunAsSettings,
    null: OwnedFd,
}

impl RunAs {
    pub(crate) fn new(settings: RunAsSettings) -> Result<Self, String> {
        strays::adopt()?;
        Ok(Self { settings, null: sys::open_null().map_err(|error| format!("open /dev/null: {error}"))? })
    }
}

impl Craft for RunAs {
    fn begin(&mut self, work: Work, descriptors: Vec<OwnedFd>) -> Result<Step, Refusal> {
        let Work::RunAs(order) = work else { return Err(Refusal::Kind { kind: Kind::RunAs }) };
        check(&order, &self.settings, now_ms())?;
        let limits = least(&order.limits, &self.settings.limits);
        let program = Program::new(order, limits, descriptors)?;
        let child =
            program.start(self.null.as_fd()).map_err(|error| Refusal::system("start a process", error))?;
        Ok(Step::Started(Box::new(child)))
    }

    fn orders_max(&self) -> usize {
        self.settings.orders_max
    }

    fn deadline(&self, asked_ms: u32) -> Duration {
        let own = &self.settings;
        let asked = if asked_ms == 0 { own.deadline_ms } else { asked_ms };
        Duration::from_millis(u64::from(asked.min(own.deadline_ms_max)))
    }

    /// Whatever has left its parents, but is in the session of a running order, belongs to that order. What has made a
    /// session of its own lives until the last order is over: whose it is cannot be told.
    fn sweep(&mut self, running: &[Pid]) -> bool {
        strays::sweep(running, |stray| {
            strays::session(stray).is_some_and(|session| {
                running.contains(&session) || (session == stray && !running.is_empty())
            })
        })
    }
}

impl Running for Child {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.process.as_fd())
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn progress(&mut self, _now: Instant) -> Option<Outcome> {
        let process = WaitId::PidFd(self.process.as_fd());
        // Looked at, not reaped: as long as its number is its own, its group can be ended.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let Ok(Some(status)) = rustix::process::waitid(process, look) else { return None };
        let _nobody_left = rustix::process::kill_process_group(self.pid, Signal::KILL);
        let process = WaitId::PidFd(self.process.as_fd());
        let _same_again = rustix::process::waitid(process, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        let outcome = match (self.got(), status.exit_status(), status.terminating_signal()) {
            (Got::Failed(stage, errno), _, _) => RunAsOutcome::NotStarted { stage, errno },
            (Got::Program, Some(status), _) => RunAsOutcome::Exited { status },
            (Got::Program, None, signal) => RunAsOutcome::Signalled { signal: signal.unwrap_or(0) },
        };
        Some(Outcome::RunAs(outcome))
    }

    fn kill(&mut self) {
        let _no_group_yet = rustix::process::kill_process_group(self.pid, Signal::KILL);
        let _ended = rustix::process::pidfd_send_signal(&self.process, Signal::KILL);
    }

    fn pid(&self) -> Pid {
        self.pid
    }
}

fn check(order: &RunAsOrder, settings: &RunAsSettings, now_ms: u64) -> Result<(), Refusal> {
    check_identity(&order.identity, settings, now_ms)?;
    if !order.program.is_absolute() {
        return Err(Refusal::invalid("program", "is an absolute path"));
    }
    if !order.directory.is_absolute() {
        return Err(Refusal::invalid("directory", "is an absolute path"));
    }
    if order.arguments.len() > WORDS_MAX || order.environment.len() > WORDS_MAX {
        return Err(Refusal::invalid("arguments", format!("at most {WORDS_MAX}, and as many variables")));
    }
    Ok(())
}

fn check_identity(identity: &Identity, settings: &RunAsSettings, now_ms: u64) -> Result<(), Refusal> {
    let Identity { uid, gid, groups, resolved_ms } = identity;
    if *uid == 0 || *uid == u32::MAX || !Range::any_has(&settings.uids, *uid) {
        return Err(Refusal::not_allowed(format!("uid {uid} is not in a range of the settings")));
    }
    if groups.len() > GROUPS_MAX {
        return Err(Refusal::invalid("groups", format!("at most {GROUPS_MAX}")));
    }
    for group in std::iter::once(gid).chain(groups) {
        if *group == 0 || *group == u32::MAX || !Range::any_has(&settings.gids, *group) {
            return Err(Refusal::not_allowed(format!("gid {group} is not in a range of the settings")));
        }
    }
    if *resolved_ms > now_ms || now_ms - resolved_ms > settings.identity_ms_max {
        let why = format!("must have been resolved in the last {} ms", settings.identity_ms_max);
        return Err(Refusal::invalid("identity", why));
    }
    Ok(())
}

/// The stricter of two limits each; 0 is none.
fn least(order: &Limits, settings: &Limits) -> Limits {
    let least = |a: u64, b: u64| match (a, b) {
        (0, limit) | (limit, 0) => limit,
        (a, b) => a.min(b),
    };
    Limits {
        processor_s: least(order.processor_s, settings.processor_s),
        memory_bytes: least(order.memory_bytes, settings.memory_bytes),
        descriptors: least(order.descriptors, settings.descriptors),
        processes: least(order.processes, settings.processes),
        file_bytes: least(order.file_bytes, settings.file_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(uid: u32, gid: u32, groups: &[u32]) -> Identity {
        Identity { uid, gid, groups: groups.to_vec(), resolved_ms: 5000 }
    }

    fn allowed(identity: &Identity) -> bool {
        let settings = RunAsSettings {
            uids: vec![Range::new(0, 0), Range::new(1000, 1999)],
            gids: vec![Range::new(0, 0), Range::new(100, 1999)],
            identity_ms_max: 1000,
            ..RunAsSettings::default()
        };
        check_identity(identity, &settings, 5500).is_ok()
    }

    #[test]
    fn identity_in_ranges_is_allowed() {
        assert!(allowed(&identity(1000, 100, &[100, 1999])));
    }

    #[test]
    fn identity_of_root_is_never_allowed() {
        assert!(!allowed(&identity(0, 100, &[])));
        assert!(!allowed(&identity(1000, 0, &[])));
        assert!(!allowed(&identity(1000, 100, &[0])));
        assert!(!allowed(&identity(u32::MAX, 100, &[])));
    }

    #[test]
    fn identity_out_of_ranges_is_not_allowed() {
        assert!(!allowed(&identity(999, 100, &[])));
        assert!(!allowed(&identity(2000, 100, &[])));
        assert!(!allowed(&identity(1000, 99, &[])));
        assert!(!allowed(&identity(1000, 100, &[2000])));
    }

    #[test]
    fn identity_stale_or_from_the_future_is_refused() {
        assert!(!allowed(&Identity { resolved_ms: 4499, ..identity(1000, 100, &[]) }));
        assert!(!allowed(&Identity { resolved_ms: 5501, ..identity(1000, 100, &[]) }));
    }

    #[test]
    fn limits_are_the_stricter_ones() {
        let order = Limits { processor_s: 5, memory_bytes: 0, ..Limits::default() };
        let settings = Limits { processor_s: 9, memory_bytes: 7, ..Limits::default() };
        let both = least(&order, &settings);
        assert_eq!((both.processor_s, both.memory_bytes, both.file_bytes), (5, 7, 0));
    }
}
