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
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::table::End;

/// How long an instance is passed over after it could not be reached once.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is remembered of instances.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    turn: AtomicUsize,
    failed: Mutex<HashMap<String, Failed>>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    until: Instant,
}

impl Candidates {
    /// Orders the ends of a route: one after the other by turns, those that failed last.
    pub(crate) fn order(&self, ends: &[End], now: Instant) -> Vec<End> {
        let up: Vec<_> = ends.iter().filter(|end| end.instance.is_up).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed).checked_rem(up.len()).unwrap_or(0);
        let turned = up[turn..].iter().chain(&up[..turn]).copied();
        let failed = self.failed();
        let is_passed_over =
            |end: &End| failed.get(&end.instance.id).is_some_and(|failed| failed.until > now);
        let (last, mut first): (Vec<_>, Vec<_>) = turned.cloned().partition(is_passed_over);
        first.extend(last);
        first
    }

    /// Remembers that an instance could not be reached.
    pub(crate) fn unreachable(&self, id: &str, now: Instant) {
        let mut failed = self.failed();
        let times = failed.get(id).map_or(0, |failed| failed.times) + 1;
        let pause = PAUSE.saturating_mul(1 << times.saturating_sub(1).min(10)).min(PAUSE_MAX);
        failed.insert(id.to_owned(), Failed { times, until: now + pause });
    }

    /// Remembers that an instance answers.
    pub(crate) fn answers(&self, id: &str) {
        let mut failed = self.failed();
        if !failed.is_empty() {
            failed.remove(id);
        }
    }

    /// Forgets instances that are registered no more.
    pub(crate) fn retain(&self, is_registered: impl Fn(&str) -> bool) {
        self.failed().retain(|id, _| is_registered(id));
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, HashMap<String, Failed>> {
        self.failed.lock().expect("no thread panics while it changes what is remembered")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Instance;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn end(port: u16, is_up: bool) -> End {
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
        End { instance: Arc::new(instance), path: String::new() }
    }

    fn ports(candidates: &Candidates, ends: &[End], now: Instant) -> Vec<u16> {
        candidates.order(ends, now).iter().map(|end| end.instance.port).collect()
    }

    #[test]
    fn instances_that_are_up_come_first_by_turns() {
        let (candidates, now) = (Candidates::default(), Instant::now());
        let ends = [end(1, true), end(2, false), end(3, true)];
        assert_eq!(ports(&candidates, &ends, now), [1, 3]);
        assert_eq!(ports(&candidates, &ends, now), [3, 1]);
        assert_eq!(ports(&candidates, &ends, now), [1, 3]);
        assert_eq!(ports(&candidates, &[], now), [0; 0]);
    }

    #[test]
    fn instance_that_failed_comes_last_for_a_while_and_longer_each_time() {
        let (candidates, now) = (Candidates::default(), Instant::now());
        let ends = [end(1, true), end(2, true)];
        candidates.unreachable("1", now);
        for _ in 0..4 {
            assert_eq!(ports(&candidates, &ends, now), [2, 1]);
        }
        let later = now + PAUSE;
        let orders: Vec<_> = (0..2).map(|_| ports(&candidates, &ends, later)).collect();
        assert!(orders.contains(&vec![1, 2]), "{orders:?}");
        candidates.unreachable("1", later);
        assert_eq!(ports(&candidates, &ends, later + PAUSE), [2, 1], "twice the pause");
        candidates.answers("1");
        let orders: Vec<_> = (0..2).map(|_| ports(&candidates, &ends, later)).collect();
        assert!(orders.contains(&vec![1, 2]), "{orders:?}");
        candidates.unreachable("1", now);
        candidates.retain(|_| false);
        assert!(candidates.failed().is_empty());
    }
}
