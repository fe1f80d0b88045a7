//! Two clocks: one that never goes back, for every decision, and that of the wall, for people.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use rustix::time::ClockId;

/// Returns milliseconds of a clock that is never set.
pub(crate) fn monotonic_ms() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    // Neither part is negative on this clock.
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// Returns milliseconds since 1970 by the clock of the wall.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Writes a time as logs have it, in UTC: `2026-11-20 16:17:55.123`.
pub(crate) fn stamp(wall_ms: i64) -> String {
    let time = Timestamp::from_millisecond(wall_ms).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// Reads what [`stamp`] wrote.
pub(crate) fn read_stamp(text: &str) -> Option<i64> {
    let time = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", text).ok()?;
    Some(jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamp_is_read_back() {
        let stamp = stamp(1_763_655_475_007);
        assert_eq!(stamp, "2025-11-20 16:17:55.007");
        assert_eq!(read_stamp(&stamp), Some(1_763_655_475_007));
        assert_eq!(read_stamp("no time"), None);
    }
}
