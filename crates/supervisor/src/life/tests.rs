use proptest::prelude::*;

use super::*;

const BACKOFF: Timer = Timer::Backoff;

/// A component whose timers are kept like the engine keeps them.
struct Subject {
    life: Life,
    restart: Restart,
    ready_within_ms: Option<u64>,
    now_ms: u64,
    armed: std::collections::BTreeMap<Timer, u64>,
    spawns: Vec<u64>,
    notices: Vec<Notice>,
}

impl Subject {
    fn new(intervals_ms: &[u64]) -> Self {
        let restart = Restart {
            intervals_ms: intervals_ms.to_vec(),
            min_uptime_ms: 1000,
            settle_ms: 0,
            slow_retry_ms: None,
            ..Restart::default()
        };
        Self {
            life: Life::new(),
            restart,
            ready_within_ms: None,
            now_ms: 5,
            armed: std::collections::BTreeMap::new(),
            spawns: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn event(&mut self, event: Event) -> Vec<Action> {
        let rules = Rules {
            restart: &self.restart,
            ready_within_ms: self.ready_within_ms,
            health_failures_max: 3,
            grace_ms: 500,
        };
        let actions = self.life.decide(rules, event, Moment { now_ms: self.now_ms, chance: 0 });
        for action in &actions {
            match action {
                Action::Spawn => self.spawns.push(self.now_ms),
                Action::Arm(timer, at_ms) => drop(self.armed.insert(*timer, *at_ms)),
                Action::Disarm(timer) => drop(self.armed.remove(timer)),
                Action::Tell(notice) => self.notices.push(notice.clone()),
                _ => {}
            }
        }
        if self.life.state == State::Waiting && !self.life.has_tree {
            self.event(Event::Admit);
        }
        actions
    }

    fn run(&mut self) {
        self.event(Event::Start);
        self.event(Event::Executed);
    }

    fn crash(&mut self) {
        self.event(Event::Ended { ending: Ending::from_code(1), has_survivors: false });
        self.event(Event::Gone);
    }

    fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some((&timer, &at_ms)) =
            self.armed.iter().filter(|(_, at)| **at <= end_ms).min_by_key(|(_, at)| **at)
        {
            self.now_ms = self.now_ms.max(at_ms);
            self.armed.remove(&timer);
            self.event(Event::Due(timer));
        }
        self.now_ms = end_ms;
    }
}

#[test]
fn failures_in_a_row_wait_for_the_intervals_one_after_the_other_and_then_fail() {
    let mut subject = Subject::new(&[10, 20, 40]);
    subject.run();
    for wait_ms in [10, 20, 40] {
        subject.crash();
        assert_eq!(subject.life.state, State::Backoff);
        let before = subject.spawns.len();
        subject.pass(wait_ms - 1);
        assert_eq!(subject.spawns.len(), before, "a start {wait_ms} ms after a failure came early");
        subject.pass(1);
        assert_eq!(subject.spawns.len(), before + 1);
    }
    subject.crash();
    assert_eq!(subject.life.state, State::Failed);
    assert_eq!(subject.notices.last(), Some(&Notice::NoRetryLeft { failures: 4 }));
}

#[test]
fn failure_past_the_list_with_a_slow_retry_waits_for_it_each_time() {
    let mut subject = Subject::new(&[10]);
    subject.restart.slow_retry_ms = Some(300);
    subject.run();
    subject.crash();
    subject.pass(10);
    for _ in 0..3 {
        subject.crash();
        assert_eq!(subject.armed[&BACKOFF], subject.now_ms + 300);
        subject.pass(300);
    }
    assert_eq!(subject.spawns.len(), 5);
}

#[test]
fn failure_after_a_run_longer_than_the_minimum_is_the_first_one() {
    for (uptime_ms, failures) in [(1000, 2), (1001, 1)] {
        let mut subject = Subject::new(&[10, 20, 40]);
        subject.run();
        subject.crash();
        subject.pass(10);
        subject.pass(uptime_ms);
        subject.crash();
        assert_eq!(subject.life.failures, failures, "after {uptime_ms} ms");
    }
}

#[test]
fn stop_during_back_off_cancels_the_start() {
    let mut subject = Subject::new(&[10]);
    subject.run();
    subject.crash();
    subject.event(Event::Stop);
    subject.pass(1000);
    assert_eq!((subject.life.state, subject.spawns.len()), (State::Stopped, 1));
}

#[test]
fn start_during_back_off_starts_now_and_never_again() {
    let mut subject = Subject::new(&[10]);
    subject.run();
    subject.crash();
    subject.pass(3);
    subject.event(Event::Start);
    assert_eq!(subject.spawns.len(), 2);
    subject.pass(1000);
    assert_eq!((subject.life.state, subject.spawns.len()), (State::Starting, 2));
    assert_eq!(subject.life.failures, 0);
}

#[test]
fn start_while_stopping_starts_when_the_tree_is_gone() {
    let mut subject = Subject::new(&[10]);
    subject.run();
    subject.event(Event::Stop);
    subject.event(Event::Start);
    assert_eq!((subject.life.state, subject.spawns.len()), (State::Stopping, 1));
    subject.event(Event::Ended { ending: Ending::from_code(0), has_survivors: false });
    subject.event(Event::Gone);
    assert_eq!((subject.life.state, subject.spawns.len()), (State::Starting, 2));
}

#[test]
fn back_off_that_ends_before_the_old_tree_is_gone_waits_for_it() {
    let mut subject = Subject::new(&[10]);
    subject.run();
    let actions = subject.event(Event::Ended { ending: Ending::from_signal(9), has_survivors: true });
    assert!(actions.contains(&Action::Kill));
    subject.pass(50);
    assert_eq!((subject.life.state, subject.spawns.len()), (State::Backoff, 1));
    subject.event(Event::Gone);
    assert_eq!((subject.life.state, subject.spawns.len()), (State::Starting, 2));
}

#[test]
fn stop_that_outlasts_the_grace_time_kills_and_at_last_gives_up() {
    let mut subject = Subject::new(&[10]);
    subject.run();
    subject.event(Event::Stop);
    subject.pass(499);
    assert!(!subject.notices.contains(&Notice::KillFollows));
    subject.pass(1);
    assert!(subject.notices.contains(&Notice::KillFollows));
    subject.pass(KILL_LIMIT_MS);
    assert_eq!(subject.life.state, State::Failed);
    assert_eq!(subject.notices.last(), Some(&Notice::Unkillable));
}

#[test]
fn fatal_exit_code_ends_retrying_at_once() {
    let mut subject = Subject::new(&[10, 10]);
    subject.restart.fatal_exit_codes = vec![1];
    subject.run();
    subject.crash();
    assert_eq!(subject.life.state, State::Failed);
    subject.event(Event::Start);
    assert_eq!(subject.spawns.len(), 2);
}

#[test]
fn modes_decide_which_ends_are_followed_by_a_start() {
    use RestartMode::{Always, Never, OnFailure};
    for (mode, code, state) in [
        (Always, 0, State::Backoff),
        (Always, 1, State::Backoff),
        (OnFailure, 0, State::Stopped),
        (OnFailure, 1, State::Backoff),
        (Never, 0, State::Stopped),
        (Never, 1, State::Failed),
    ] {
        let mut subject = Subject::new(&[10]);
        subject.restart.mode = mode;
        subject.run();
        subject.event(Event::Ended { ending: Ending::from_code(code), has_survivors: false });
        subject.event(Event::Gone);
        assert_eq!(subject.life.state, state, "{mode:?} {code}");
        assert_eq!(subject.life.is_done, state == State::Stopped);
    }
}

#[test]
fn component_not_ready_in_time_is_stopped_and_counts_as_failed() {
    let mut subject = Subject::new(&[10]);
    subject.ready_within_ms = Some(100);
    subject.run();
    assert_eq!(subject.life.state, State::Starting);
    subject.pass(100);
    assert_eq!(subject.life.state, State::Stopping);
    subject.event(Event::Ended { ending: Ending::from_signal(15), has_survivors: false });
    subject.event(Event::Gone);
    assert_eq!((subject.life.state, subject.life.failures), (State::Backoff, 1));
    assert!(subject.life.reason.as_ref().unwrap().contains("100 ms"));
}

#[test]
fn component_without_a_probe_is_ready_when_it_has_lived_long_enough_and_not_before() {
    let mut subject = Subject::new(&[0, 0]);
    subject.restart.settle_ms = 300;
    subject.run();
    subject.pass(299);
    assert_eq!(subject.life.state, State::Starting);
    // It ends just before, and the time of that run is not that of the next.
    subject.crash();
    subject.pass(0);
    subject.event(Event::Executed);
    assert_eq!((subject.life.state, subject.life.failures), (State::Starting, 1));
    subject.pass(299);
    assert_eq!(subject.life.state, State::Starting);
    subject.pass(1);
    assert_eq!(subject.life.state, State::Ready);
    let ready = subject.notices.iter().filter(|notice| matches!(notice, Notice::Ready { .. })).count();
    assert_eq!(ready, 1);
}

#[test]
fn minimum_uptime_that_is_shorter_than_the_settling_time_counts_instead() {
    let mut subject = Subject::new(&[]);
    (subject.restart.settle_ms, subject.restart.min_uptime_ms) = (1000, 40);
    subject.run();
    subject.pass(39);
    assert_eq!(subject.life.state, State::Starting);
    subject.pass(1);
    assert_eq!(subject.life.state, State::Ready);
}

#[test]
fn component_stopped_while_it_settles_is_not_ready_afterwards() {
    let mut subject = Subject::new(&[]);
    subject.restart.settle_ms = 300;
    subject.run();
    subject.event(Event::Stop);
    subject.pass(400);
    assert_eq!(subject.life.state, State::Stopping);
    assert!(!subject.notices.iter().any(|notice| matches!(notice, Notice::Ready { .. })));
}

#[test]
fn component_that_needs_a_minute_to_become_ready_is_given_it() {
    let mut subject = Subject::new(&[10]);
    subject.ready_within_ms = Some(120_000);
    subject.run();
    subject.pass(60_000);
    assert_eq!((subject.life.state, subject.spawns.len()), (State::Starting, 1));
    subject.event(Event::Answered);
    assert_eq!(subject.notices.last(), Some(&Notice::Ready { after_ms: 60_000 }));
    subject.pass(120_000);
    assert_eq!((subject.life.state, subject.spawns.len()), (State::Ready, 1));
}

#[test]
fn health_probes_that_fail_degrade_and_at_last_end_a_component() {
    let mut subject = Subject::new(&[10]);
    subject.run();
    let unhealthy = || Event::Unhealthy("no answer".to_owned());
    subject.event(unhealthy());
    assert_eq!(subject.life.state, State::Degraded);
    subject.event(unhealthy());
    subject.event(Event::Healthy);
    assert_eq!(subject.life.state, State::Ready);
    subject.event(unhealthy());
    subject.event(unhealthy());
    assert_eq!(subject.life.state, State::Degraded);
    subject.event(unhealthy());
    assert_eq!(subject.life.state, State::Stopping);
    subject.event(Event::Gone);
    assert_eq!(subject.life.state, State::Backoff);
}

#[test]
fn process_that_the_system_has_no_room_for_is_tried_again_without_counting() {
    let mut subject = Subject::new(&[]);
    subject.event(Event::Start);
    subject.event(Event::NotSpawned { why: "no more processes".to_owned(), has_no_room: true });
    assert_eq!((subject.life.state, subject.life.failures), (State::Backoff, 0));
    subject.pass(NO_ROOM_WAIT_MS);
    assert_eq!(subject.spawns.len(), 2);
}

#[test]
fn wait_with_jitter_adds_at_most_its_share() {
    let restart = Restart { intervals_ms: vec![1000], jitter_percent: 20, ..Restart::default() };
    assert_eq!(wait(&restart, 1, 0), Some((1000, false)));
    assert_eq!(wait(&restart, 1, u32::MAX), Some((1200, false)));
    let restart = Restart { intervals_ms: vec![u64::MAX], jitter_percent: 100, ..Restart::default() };
    assert_eq!(wait(&restart, 1, u32::MAX), Some((u64::MAX, false)));
}

fn events() -> impl Strategy<Value = (u64, Event)> {
    let event = prop_oneof![
        Just(Event::Start),
        Just(Event::Stop),
        Just(Event::Restart),
        Just(Event::Executed),
        Just(Event::Answered),
        Just(Event::Healthy),
        Just(Event::Unhealthy("no".to_owned())),
        (0..3, any::<bool>()).prop_map(|(code, has_survivors)| Event::Ended {
            ending: Ending::from_code(code),
            has_survivors
        }),
        Just(Event::Gone),
        any::<bool>().prop_map(|has_no_room| Event::NotSpawned { why: "no".to_owned(), has_no_room }),
    ];
    (0..700_u64, event)
}

proptest! {
    /// Whatever happens in whatever order: never two trees, never a start that nobody waits for, and whoever is
    /// asked to stop last rests in the end.
    #[test]
    fn life_under_any_events_has_one_tree_and_obeys_the_last_order(
        history in proptest::collection::vec(events(), 0..60),
        ready_within_ms in proptest::option::of(1..500_u64),
        slow_retry_ms in proptest::option::of(1..50_u64),
        settle_ms in 0..500_u64,
    ) {
        let mut subject = Subject::new(&[0, 5, 300]);
        subject.restart.slow_retry_ms = slow_retry_ms;
        subject.restart.settle_ms = settle_ms;
        subject.ready_within_ms = ready_within_ms;
        for (ms, event) in history {
            subject.pass(ms);
            let needs_tree = !matches!(event, Event::Start | Event::Stop | Event::Restart);
            if needs_tree && !subject.life.has_tree {
                continue;
            }
            let had_tree = subject.life.has_tree;
            let is_end = matches!(event, Event::Gone | Event::NotSpawned { .. });
            let spawns = subject.spawns.len();
            subject.event(event);
            prop_assert!(subject.spawns.len() <= spawns + 1);
            if subject.spawns.len() > spawns {
                prop_assert!(!had_tree || is_end, "a second tree beside the first");
            }
            prop_assert_eq!(subject.life.state == State::Backoff, subject.life.next_start_ms.is_some());
            if subject.life.state == State::Backoff && !subject.life.has_tree {
                prop_assert!(subject.armed.contains_key(&Timer::Backoff), "nobody will ever start it");
            }
            if subject.life.is_running() {
                prop_assert!(subject.life.has_tree);
            }
        }
        subject.event(Event::Stop);
        if subject.life.has_tree {
            subject.event(Event::Ended { ending: Ending::from_signal(15), has_survivors: false });
            subject.event(Event::Gone);
        }
        let spawns = subject.spawns.len();
        subject.pass(100_000);
        prop_assert!(matches!(subject.life.state, State::Stopped | State::Failed), "{:?}", subject.life);
        prop_assert_eq!(subject.spawns.len(), spawns);
    }
}
