//! The time that leases are counted in.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The system's time when it was made, going on by itself: setting the clock ends no lease and lengthens none.
#[derive(Debug)]
pub(super) struct Clock {
    began_ms: u64,
    began: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), began: Instant::now() }
    }

    /// Returns milliseconds since 1970.
    pub(super) fn now_ms(&self) -> u64 {
        self.began_ms + u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
