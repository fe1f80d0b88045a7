//! Keeps helpers ready and gives each one order.

use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::checker::Checker;
use super::{PasswordOutcome, PasswordSettings};
use crate::kind::Kind;
use crate::order::packet::Buffer;
use crate::order::{Outcome, Refusal, Work};
use crate::serve::{Craft, Running, Step};
use crate::strays;
use crate::sys;
use crate::sys::pam::Pam;

/// The work of kind `password`.
#[derive(Debug)]
pub(crate) struct Passwords {
    settings: PasswordSettings,
    service: CString,
    /// Or why there is none.
    pam: Result<Pam, String>,
    ready: Vec<Checker>,
    null: OwnedFd,
}

impl Passwords {
    pub(crate) fn new(settings: PasswordSettings) -> Result<Self, String> {
        // PAM makes it the name of a file.
        if settings.service.is_empty()
            || settings.service.contains(['/', '\0'])
            || settings.service.starts_with('.')
        {
            return Err(format!("`{}` is no name of a PAM service", settings.service));
        }
        let service = CString::new(settings.service.clone()).map_err(|error| error.to_string())?;
        strays::adopt()?;
        let null = sys::open_null().map_err(|error| format!("open /dev/null: {error}"))?;
        Ok(Self { settings, service, pam: Pam::load(), ready: Vec::new(), null })
    }
}

impl Craft for Passwords {
    fn begin(&mut self, work: Work, _none: Vec<OwnedFd>) -> Result<Step, Refusal> {
        let Work::Password(order) = work else { return Err(Refusal::Kind { kind: Kind::Password }) };
        order.check()?;
        let pam = self.pam.as_ref().map_err(|what| Refusal::Unsupported { what: what.clone() })?;
        // One that died while it waited is passed over.
        let ready = std::iter::from_fn(|| self.ready.pop()).find(|helper| !helper.is_over());
        let helper = match ready {
            Some(helper) => helper,
            None => Checker::start(*pam, &self.service, self.null.as_fd())
                .map_err(|error| Refusal::system("start a helper", error))?,
        };
        let check = Check {
            helper,
            began: Instant::now(),
            refusal: Duration::from_millis(u64::from(self.settings.refusal_ms)),
            found: None,
            buffer: Buffer::new(),
        };
        if let Err(error) = check.helper.order(&order) {
            check.helper.kill();
            return Err(Refusal::system("give the helper its order", error));
        }
        Ok(Step::Started(Box::new(check)))
    }

    fn orders_max(&self) -> usize {
        self.settings.orders_max
    }

    fn deadline(&self, asked_ms: u32) -> Duration {
        let own = self.settings.deadline_ms;
        Duration::from_millis(u64::from(if asked_ms == 0 { own } else { own.min(asked_ms) }))
    }

    fn idle(&mut self) {
        let Ok(pam) = self.pam else { return };
        while self.ready.len() < self.settings.helpers_ready {
            let Ok(helper) = Checker::start(pam, &self.service, self.null.as_fd()) else { return };
            self.ready.push(helper);
        }
    }

    fn sweep(&mut self, running: &[Pid]) -> bool {
        let known: Vec<Pid> =
            running.iter().copied().chain(self.ready.iter().map(|helper| helper.pid)).collect();
        strays::sweep(&known, |_| false)
    }
}

/// One order in its helper.
struct Check {
    helper: Checker,
    began: Instant,
    refusal: Duration,
    /// What was found, and not before when it may be told.
    found: Option<(PasswordOutcome, Instant)>,
    buffer: Buffer,
}

impl Running for Check {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        if self.found.is_some() { None } else { Some(self.helper.descriptor()) }
    }

    fn due(&self) -> Option<Instant> {
        self.found.as_ref().map(|(_, when)| *when)
    }

    fn progress(&mut self, now: Instant) -> Option<Outcome> {
        if self.found.is_none() {
            let outcome = self.helper.outcome(&mut self.buffer)?;
            // It has said what it has to say, or never will. A module's own children end with it.
            self.helper.kill();
            let outcome = outcome.unwrap_or_else(|| PasswordOutcome::Unavailable {
                code: 0,
                what: "the helper ended without an answer".to_owned(),
            });
            let when = if outcome == PasswordOutcome::Refused {
                told_at(self.began, now, self.refusal)
            } else {
                now
            };
            self.found = Some((outcome, when));
        }
        let (outcome, when) = self.found.as_ref()?;
        if now < *when {
            return None;
        }
        if !self.helper.is_over() {
            let outcome = outcome.clone();
            self.found = Some((outcome, now + Duration::from_millis(1)));
            return None;
        }
        Some(Outcome::Password(outcome.clone()))
    }

    fn kill(&mut self) {
        self.helper.kill();
    }

    fn pid(&self) -> Pid {
        self.helper.pid
    }
}

/// The next multiple of `step` after `began` that is not over at `now`.
fn told_at(began: Instant, now: Instant, step: Duration) -> Instant {
    if step.is_zero() {
        return now;
    }
    let steps = now.saturating_duration_since(began).as_nanos() / step.as_nanos() + 1;
    began + step * u32::try_from(steps).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_at_is_the_next_whole_step() {
        let began = Instant::now();
        let step = Duration::from_secs(1);
        assert_eq!(told_at(began, began + Duration::from_millis(3), step), began + step);
        assert_eq!(told_at(began, began + Duration::from_millis(999), step), began + step);
        assert_eq!(told_at(began, began + Duration::from_millis(1001), step), began + 2 * step);
        assert_eq!(told_at(began, began + step / 2, Duration::ZERO), began + step / 2);
    }
}
