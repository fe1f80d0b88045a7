//! In which order the instances of a route are tried, and what is remembered of those that failed.
//!
//! ```text
//!            cannot be reached                    the pause is over, or nobody else is left
//!   taken ─────────────────────► passed over ──────────────────────────────────────────────► tried
//!     ▲                               ▲                                                        │
//!     │                               └──────────── cannot be reached: twice the pause ────────┤
//!     └──────────────────────────────── answers ◄──────────────────────────────────────────────┘
//! ```

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::table::End;

/// Ends of a route in the order in which they are tried; a few of them need no memory of their own.
pub(crate) type Ends<'e> = SmallVec<[&'e End; 4]>;

/// How long an instance is passed over after it could not be reached once.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is remembered of instances.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    failed: Mutex<HashMap<String, Failed>>,
    /// Something is remembered. Usually nothing is, and nobody waits for the others.
    has_failed: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    until: Instant,
}

impl Candidates {
    /// Orders the ends of a route: one after the other by turns, those that failed last.
    pub(crate) fn order<'e>(&self, turn: usize, ends: &'e [End], now: impl FnOnce() -> Instant) -> Ends<'e> {
        let up = || ends.iter().filter(|end| end.instance.is_up);
        let turn = turn.checked_rem(up().count()).unwrap_or(0);
        let mut ordered: Ends<'e> = up().skip(turn).chain(up().take(turn)).collect();
        if self.has_failed.load(Ordering::Relaxed) {
            self.put_failed_last(&mut ordered, now());
        }
        ordered
    }

    fn put_failed_last(&self, ends: &mut [&End], now: Instant) {
        let failed = self.failed();
        // The order among others stays.
        ends.sort_by_key(|end| failed.get(&end.instance.id).is_some_and(|failed| failed.until > now));
    }

    /// Remembers that an instance could not be reached.
    ///
    /// What fails while it is passed over had been sent before: it says nothing new.
    pub(crate) fn unreachable(&self, id: &str, now: Instant) {
        let mut failed = self.failed();
        if failed.get(id).is_some_and(|failed| failed.until > now) {
            return;
        }
        let times = failed.get(id).map_or(0, |failed| failed.times) + 1;
        let pause = PAUSE.saturating_mul(1 << times.saturating_sub(1).min(10)).min(PAUSE_MAX);
        failed.insert(id.to_owned(), Failed { times, until: now + pause });
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// Remembers that an instance answers.
    pub(crate) fn answers(&self, id: &str) {
        if self.has_failed.load(Ordering::Relaxed) {
            let mut failed = self.failed();
            failed.remove(id);
            self.has_failed.store(!failed.is_empty(), Ordering::Relaxed);
        }
    }

    /// Forgets instances that are registered no more.
    pub(crate) fn retain(&self, has_instance: impl Fn(&str) -> bool) {
        let mut failed = self.failed();
        failed.retain(|id, _| has_instance(id));
        self.has_failed.store(!failed.is_empty(), Ordering::Relaxed);
    }

    fn failed(&self) -> MutexGuard<'_, HashMap<String, Failed>> {
        self.failed.lock().expect("no thread panics while it changes what is remembered")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::registry::Instance;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    pub(crate) fn end(port: u16, is_up: bool) -> End {
        let instance = Instance {
            id: port.to_string(),
            service: "a".to_owned(),
            host: "h".to_owned(),
            port,
            is_secure: false,
            is_up,
            metadata: BTreeMap::new(),
            home_page: None,
            health_check: None,
            status_page: None,
        };
        End::new(Arc::new(instance), "")
    }

    fn ports(candidates: &Candidates, turn: usize, ends: &[End], now: Instant) -> Vec<u16> {
        candidates.order(turn, ends, || now).iter().map(|end| end.instance.port).collect()
    }

    #[test]
    fn instances_that_are_up_come_first_by_turns() {
        let (candidates, now) = (Candidates::default(), Instant::now());
        let ends = [end(1, true), end(2, false), end(3, true)];
        for (turn, expected) in [(0, [1, 3]), (1, [3, 1]), (2, [1, 3]), (usize::MAX, [3, 1])] {
            assert_eq!(ports(&candidates, turn, &ends, now), expected);
        }
        assert_eq!(ports(&candidates, 7, &[], now), [0; 0]);
    }

    #[test]
    fn instance_that_failed_comes_last_for_a_while_and_longer_each_time() {
        let (candidates, now) = (Candidates::default(), Instant::now());
        let ends = [end(1, true), end(2, true)];
        candidates.unreachable("1", now);
        for turn in 0..4 {
            assert_eq!(ports(&candidates, turn, &ends, now), [2, 1]);
        }
        let later = now + PAUSE;
        assert_eq!(ports(&candidates, 0, &ends, later), [1, 2]);
        candidates.unreachable("1", later);
        candidates.unreachable("1", later);
        assert_eq!(ports(&candidates, 0, &ends, later + PAUSE), [2, 1], "twice the pause");
        candidates.answers("1");
        assert_eq!(ports(&candidates, 0, &ends, later), [1, 2]);
        candidates.unreachable("1", now);
        candidates.retain(|_| false);
        assert!(candidates.failed().is_empty() && !candidates.has_failed.load(Ordering::Relaxed));
    }
}
