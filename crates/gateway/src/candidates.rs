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
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::table::End;

/// How long an instance is passed over after it could not be reached once.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is remembered of instances.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// Whose turn it is, by service.
    turns: Mutex<HashMap<String, usize>>,
    failed: Mutex<HashMap<String, Failed>>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    until: Instant,
}

impl Candidates {
    /// Orders the ends of a service's route: one after the other by turns, those that failed last.
    pub(crate) fn order(&self, service: &str, ends: &[End], now: Instant) -> Vec<End> {
        let up: Vec<_> = ends.iter().filter(|end| end.instance.is_up).collect();
        let turn = self.turn(service).checked_rem(up.len()).unwrap_or(0);
        let turned = up[turn..].iter().chain(&up[..turn]).copied();
        let failed = self.failed();
        let is_passed_over =
            |end: &End| failed.get(&end.instance.id).is_some_and(|failed| failed.until > now);
        let (last, mut first): (Vec<_>, Vec<_>) = turned.cloned().partition(is_passed_over);
        first.extend(last);
        first
    }

    fn turn(&self, service: &str) -> usize {
        let mut turns = self.turns.lock().expect("no thread panics while it counts");
        if let Some(turn) = turns.get_mut(service) {
            *turn = turn.wrapping_add(1);
            return *turn;
        }
        turns.insert(service.to_owned(), 0);
        0
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
    }

    /// Remembers that an instance answers.
    pub(crate) fn answers(&self, id: &str) {
        let mut failed = self.failed();
        if !failed.is_empty() {
            failed.remove(id);
        }
    }

    /// Forgets instances and services that are registered no more.
    pub(crate) fn retain(&self, has_instance: impl Fn(&str) -> bool, has_service: impl Fn(&str) -> bool) {
        self.failed().retain(|id, _| has_instance(id));
        self.turns.lock().expect("no thread panics while it counts").retain(|id, _| has_service(id));
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

    fn ports(candidates: &Candidates, ends: &[End], now: Instant) -> Vec<u16> {
        candidates.order("a", ends, now).iter().map(|end| end.instance.port).collect()
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
    fn services_have_turns_of_their_own() {
        let (candidates, now) = (Candidates::default(), Instant::now());
        let ends = [end(1, true), end(2, true)];
        let first = |service: &str| candidates.order(service, &ends, now)[0].instance.port;
        let asked: Vec<_> = ["a", "b", "a", "b"].into_iter().map(first).collect();
        assert_eq!(asked, [1, 1, 2, 2]);
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
        candidates.unreachable("1", later);
        assert_eq!(ports(&candidates, &ends, later + PAUSE), [2, 1], "twice the pause");
        candidates.answers("1");
        let orders: Vec<_> = (0..2).map(|_| ports(&candidates, &ends, later)).collect();
        assert!(orders.contains(&vec![1, 2]), "{orders:?}");
        candidates.unreachable("1", now);
        candidates.retain(|_| false, |_| false);
        assert!(candidates.failed().is_empty());
    }
}
