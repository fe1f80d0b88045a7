//! Time as it is given to this crate, and what becomes of a clock that is set.
//!
//! ```text
//! judged by           wall clock set forward          wall clock set back
//! expiry              the wall clock                  the time that has really passed: nothing lives longer
//! not yet valid       the wall clock                  the wall clock: what comes from the future is refused
//! issuing             the wall clock                  refused beyond the skew; within it, never before the last issue
//! ```

use rustix::time::{ClockId, clock_gettime};

/// One moment as two clocks show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, in seconds since 1970; may be set forward and back.
    pub unix_s: u64,
    /// A clock that nobody sets, in milliseconds since the machine started, time asleep included.
    pub steady_ms: u64,
}

impl Moment {
    /// Reads both clocks.
    pub fn now() -> Self {
        let wall = clock_gettime(ClockId::Realtime);
        let steady = clock_gettime(ClockId::Boottime);
        let steady_s = u64::try_from(steady.tv_sec).unwrap_or(0);
        let steady_ns = u64::try_from(steady.tv_nsec).unwrap_or(0);
        Self {
            // A clock before 1970 reads as 1970: everything then comes from the future.
            unix_s: u64::try_from(wall.tv_sec).unwrap_or(0),
            steady_ms: steady_s.saturating_mul(1000).saturating_add(steady_ns / 1_000_000),
        }
    }
}

/// Knows how late it is at least, whatever the wall clock says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeGuard {
    /// The latest time known, and the steady clock at that time.
    latest: Moment,
}

impl TimeGuard {
    /// Begins; `floor_s` is what was known before the process started.
    pub(crate) fn new(moment: Moment, floor_s: u64) -> Self {
        Self { latest: Moment { unix_s: moment.unix_s.max(floor_s), ..moment } }
    }

    /// Takes in that it was at least this late, which another process has seen.
    pub(crate) fn raise(&mut self, moment: Moment, floor_s: u64) {
        if floor_s > self.latest_s(moment) {
            self.latest = Moment { unix_s: floor_s, ..moment };
        }
    }

    /// Returns how late it is at least.
    pub(crate) fn latest_s(&mut self, moment: Moment) -> u64 {
        let passed_s = moment.steady_ms.saturating_sub(self.latest.steady_ms) / 1000;
        let projected_s = self.latest.unix_s.saturating_add(passed_s);
        if moment.unix_s > projected_s {
            self.latest = moment;
        }
        moment.unix_s.max(projected_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(unix_s: u64, steady_s: u64) -> Moment {
        Moment { unix_s, steady_ms: steady_s * 1000 }
    }

    #[test]
    fn time_goes_on_when_the_wall_clock_is_set_back() {
        let mut guard = TimeGuard::new(moment(1000, 0), 0);
        assert_eq!(guard.latest_s(moment(1010, 10)), 1010);
        assert_eq!(guard.latest_s(moment(500, 20)), 1020);
        assert_eq!(guard.latest_s(moment(510, 30)), 1030);
        assert_eq!(guard.latest_s(moment(1031, 31)), 1031);
    }

    #[test]
    fn time_known_before_the_start_counts() {
        let mut guard = TimeGuard::new(moment(1000, 0), 5000);
        assert_eq!(guard.latest_s(moment(1001, 1)), 5001);
        guard.raise(moment(1002, 2), 9000);
        assert_eq!(guard.latest_s(moment(1003, 3)), 9001);
        guard.raise(moment(1003, 3), 10);
        assert_eq!(guard.latest_s(moment(1003, 3)), 9001);
    }

    #[test]
    fn clocks_of_this_machine_go_on() {
        let (one, two) = (Moment::now(), Moment::now());
        assert!(two.steady_ms >= one.steady_ms && one.unix_s > 1_600_000_000);
    }
}
