//! What one conversation is doing, for those who watch over it.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// Counters of one conversation.
#[derive(Debug)]
pub(super) struct Activity {
    started: Instant,
    last_ms: AtomicU64,
    under_way: AtomicUsize,
    is_logged_in: AtomicBool,
    handshakes: AtomicU64,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            last_ms: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
            is_logged_in: AtomicBool::new(false),
            handshakes: AtomicU64::new(0),
        }
    }
}

/// Something is going on as long as this lives.
#[derive(Debug)]
pub(super) struct Busy<'a>(&'a Activity);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.touch();
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Activity {
    /// Something begins.
    pub(super) fn begin(&self) -> Busy<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.touch();
        Busy(self)
    }

    /// The login succeeded.
    pub(super) fn log_in(&self) {
        self.is_logged_in.store(true, Ordering::Relaxed);
        self.touch();
    }

    pub(super) fn is_logged_in(&self) -> bool {
        self.is_logged_in.load(Ordering::Relaxed)
    }

    /// How long nothing has been going on.
    pub(super) fn idle(&self) -> Duration {
        if self.under_way.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        self.age().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)))
    }

    /// How long the conversation has lasted.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// A TLS handshake of this conversation began.
    pub(super) fn count_handshake(&self) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    /// Uses up the handshake of one data connection; false when there was none, that is when data came in the
    /// clear.
    ///
    /// `libunftp` checks its setting for protected data connections for PASV and not for EPSV, and offers its
    /// storage no way to ask. Every connection has a TLS configuration of its own here, with session
    /// resumption off, so each data connection under TLS shows as one more handshake before the storage is
    /// asked for anything. The first handshake is the control channel's and stays. A client that makes the
    /// server ask for another key share is counted twice; what it wins with that is to send one file of its
    /// own in the clear.
    pub(super) fn take_data_handshake(&self) -> bool {
        let taken = |count: u64| (count > 1).then(|| count - 1);
        self.handshakes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    fn touch(&self) {
        let now_ms = u64::try_from(self.age().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now_ms, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_handshake_is_taken_once_and_never_the_control_channels() {
        let activity = Activity::default();
        assert!(!activity.take_data_handshake());
        activity.count_handshake();
        assert!(!activity.take_data_handshake(), "the control channel's");
        activity.count_handshake();
        assert!(activity.take_data_handshake());
        assert!(!activity.take_data_handshake());
    }

    #[test]
    fn idle_while_something_is_under_way_is_zero() {
        let activity = Activity::default();
        let busy = activity.begin();
        assert_eq!(activity.idle(), Duration::ZERO);
        drop(busy);
        assert!(activity.idle() <= activity.age());
    }
}
