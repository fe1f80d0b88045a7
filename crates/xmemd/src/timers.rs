//! Deadlines, each under a key that has at most one.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

/// Milliseconds since a process began; deadlines are in these.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Deadlines in milliseconds.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    by_time: BTreeSet<(u64, K)>,
    by_key: HashMap<K, u64>,
}

impl<K: Copy + Ord + Hash> Timers<K> {
    pub(crate) fn new() -> Self {
        Self { by_time: BTreeSet::new(), by_key: HashMap::new() }
    }

    /// Sets a deadline in place of an earlier one of the key.
    pub(crate) fn arm(&mut self, key: K, at_ms: u64) {
        self.disarm(key);
        self.by_time.insert((at_ms, key));
        self.by_key.insert(key, at_ms);
    }

    pub(crate) fn disarm(&mut self, key: K) {
        if let Some(at_ms) = self.by_key.remove(&key) {
            self.by_time.remove(&(at_ms, key));
        }
    }

    pub(crate) fn is_armed(&self, key: K) -> bool {
        self.by_key.contains_key(&key)
    }

    /// Returns how long until the earliest deadline.
    pub(crate) fn left_ms(&self, now_ms: u64) -> Option<u64> {
        self.by_time.first().map(|(at_ms, _)| at_ms.saturating_sub(now_ms))
    }

    /// Returns the earliest deadline.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.by_time.first().map(|(at_ms, _)| *at_ms)
    }

    /// Takes the earliest deadline that is over.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> Option<K> {
        let (at_ms, key) = *self.by_time.first()?;
        if at_ms > now_ms {
            return None;
        }
        self.disarm(key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_the_order_of_time_and_only_the_last_of_a_key_counts() {
        let mut timers = Timers::new();
        timers.arm('a', 10);
        timers.arm('b', 5);
        timers.arm('a', 3);
        timers.arm('c', 4);
        timers.disarm('c');
        assert_eq!((timers.left_ms(1), timers.next_ms()), (Some(2), Some(3)));
        assert_eq!(timers.take_due(2), None);
        assert_eq!(
            [timers.take_due(9), timers.take_due(9), timers.take_due(9)],
            [Some('a'), Some('b'), None]
        );
    }
}
