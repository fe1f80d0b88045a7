//! The earliest deadline as a descriptor: a wait without a time-out spares the kernel setting a timer up for each of them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

/// Becomes readable when its time has come.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: OwnedFd,
    at_ms: Option<u64>,
}

impl Alarm {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { timer, at_ms: None })
    }

    /// Sets it for a deadline, in milliseconds of the caller's clock, which says `now_ms`. The same deadline costs nothing.
    pub(crate) fn set(&mut self, at_ms: Option<u64>, now_ms: u64) -> io::Result<()> {
        if self.at_ms == at_ms {
            return Ok(());
        }
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
        let (mut alarm, mut poller) = (Alarm::new().unwrap(), Poller::new().unwrap());
        poller.add(&alarm, 7).unwrap();
        let mut ready = Vec::new();
        for at_ms in [5, 1005] {
            alarm.set(Some(at_ms), at_ms).unwrap();
            poller.wait(Some(10_000), &mut ready).unwrap();
            assert_eq!(ready.first().map(|ready| ready.token), Some(7));
            alarm.rang();
            poller.wait(Some(0), &mut ready).unwrap();
            assert_eq!(ready, []);
        }
        alarm.set(Some(1), 1).unwrap();
        alarm.set(None, 1).unwrap();
        poller.wait(Some(0), &mut ready).unwrap();
        assert_eq!(ready, []);
    }
}
