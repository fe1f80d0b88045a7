//! Until when a call waits.

use std::time::{Duration, Instant};

/// A point in time that is fixed when somebody has to wait for it: an answer that comes at once costs no look at the clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    left: Duration,
    at: Option<Instant>,
}

impl Deadline {
    /// So long from now, or from the first time that somebody asks for it.
    pub(super) const fn after(time: Duration) -> Self {
        Self { left: time, at: None }
    }

    /// Fixed, and so far away a moment ago.
    pub(super) const fn fixed(at: Instant, left: Duration) -> Self {
        Self { left, at: Some(at) }
    }

    /// When it is; from now on it is fixed.
    pub(super) fn at(&mut self) -> Instant {
        let left = self.left;
        *self.at.get_or_insert_with(|| Instant::now() + left)
    }

    /// How far away it was when that was asked last.
    pub(super) const fn left_a_moment_ago(&self) -> Duration {
        self.left
    }

    /// How far away it is; nothing when it has passed.
    pub(super) fn left(&mut self) -> Duration {
        self.left = self.at().saturating_duration_since(Instant::now());
        self.left
    }
}
