//! The earliest deadline as a descriptor: a wait without a time-out spares the kernel setting a timer up for each of them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use crate::timers::Clock;

/// Becomes readable when its time has come.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: OwnedFd,
    at_ms: Option<u64>,
    is_due: bool,
}

impl Alarm {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { timer, at_ms: None, is_due: false })
    }

    /// Sets it for a deadline of this clock. The deadline that it is set for already costs nothing.
    #[inline]
    pub(crate) fn set(&mut self, at_ms: Option<u64>, clock: Clock) -> io::Result<()> {
        if self.at_ms == at_ms { Ok(()) } else { self.set_anew(at_ms, clock.now_ms()) }
    }

    fn set_anew(&mut self, at_ms: Option<u64>, now_ms: u64) -> io::Result<()> {
        let left_ms = at_ms.map(|at_ms| at_ms.saturating_sub(now_ms));
        let it_value = match left_ms {
            // Nothing at all would mean never.
            Some(0) => Timespec { tv_sec: 0, tv_nsec: 1 },
            left_ms => {
                let left_ms = left_ms.unwrap_or(0);
                Timespec {
                    tv_sec: i64::try_from(left_ms / 1000).unwrap_or(i64::MAX),
                    tv_nsec: (left_ms % 1000).cast_signed() * 1_000_000,
                }
            }
        };
        let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
        self.at_ms = at_ms;
        Ok(())
    }

    /// It has become readable: makes it unreadable, and it can be set again.
    pub(crate) fn rang(&mut self) {
        let mut count = [0; 8];
        // It fails when the alarm was set anew meanwhile, and then it is not readable.
        rustix::io::read(&self.timer, &mut count).ok();
        self.at_ms = None;
        self.is_due = true;
    }

    /// Says, once, whether it has rung.
    pub(crate) fn is_due(&mut self) -> bool {
        std::mem::take(&mut self.is_due)
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poller::Poller;

    #[test]
    fn alarm_rings_once_for_each_time_that_it_is_set() {
        let (mut alarm, poller) = (Alarm::new().unwrap(), Poller::new().unwrap());
        poller.add(&alarm, 7).unwrap();
        let mut ready = Vec::new();
        for at_ms in [5, 1005] {
            alarm.set_anew(Some(at_ms), at_ms).unwrap();
            poller.wait(Some(10_000), &mut ready).unwrap();
            assert_eq!(ready.first().map(|ready| ready.token), Some(7));
            alarm.rang();
            assert_eq!((alarm.is_due(), alarm.is_due()), (true, false));
            poller.wait(Some(0), &mut ready).unwrap();
            assert_eq!(ready, []);
        }
        let clock = Clock::start();
        alarm.set(Some(u64::from(u32::MAX)), clock).unwrap();
        alarm.set(Some(0), clock).unwrap();
        alarm.set(None, clock).unwrap();
        poller.wait(Some(0), &mut ready).unwrap();
        assert_eq!(ready, []);
    }
}
