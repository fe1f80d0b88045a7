//! The life of one component, decided: what happened goes in, what is to be done comes out.
//!
//! Nothing here reads a clock, starts a process or talks to anybody. Times are milliseconds of one clock that never
//! goes back; chance is handed in. Every race of a supervisor (a stop during back-off, a start during back-off, two
//! back-offs that end together) is a question of this file alone.

#[cfg(test)]
mod tests;

use crate::console::State;
use crate::plan::{Restart, RestartMode};
use crate::process::ending::Ending;

/// How long a killed tree may take to vanish before it is called unkillable.
pub(crate) const KILL_LIMIT_MS: u64 = 10_000;
/// How long is waited when the system had no room for another process.
pub(crate) const NO_ROOM_WAIT_MS: u64 = 1000;

/// What is known of one component's life.
///
/// [`State`] has the diagram. Two facts stand beside it: `has_tree` says that processes of the component may exist,
/// and no new one is started before the last is gone; `then` says what follows when STOPPING is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) state: State,
    /// Processes of the component may exist.
    pub(crate) has_tree: bool,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// How often a process was started.
    pub(crate) runs: u64,
    /// When the current run began.
    pub(crate) started_ms: Option<u64>,
    /// When the next start is due, in BACKOFF.
    pub(crate) next_start_ms: Option<u64>,
    /// Health probes that failed in a row.
    pub(crate) health_failures: u32,
    /// It ended by itself, well, and is not meant to be started again.
    pub(crate) is_done: bool,
    /// Why it is in this state, when there is something to say.
    pub(crate) reason: Option<String>,
    then: Then,
}

/// What follows when the tree of a stopping component is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Then {
    Rest,
    Start,
    /// It is stopped because it failed in this way.
    Retry(String),
}

/// What a component's plan says about its life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'p> {
    pub(crate) restart: &'p Restart,
    /// Time from start to READY; none means that nobody answers for it, and that having lived long enough is all that
    /// can be known.
    pub(crate) ready_within_ms: Option<u64>,
    /// Failed health probes in a row that end it.
    pub(crate) health_failures_max: u32,
    pub(crate) grace_ms: u64,
}

/// Now, and a number drawn by chance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now_ms: u64,
    pub(crate) chance: u32,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// An operator, or the beginning, wants it to run.
    Start,
    /// An operator, or the end, wants it not to run.
    Stop,
    /// An operator, or a new plan, wants it stopped and started.
    Restart,
    /// What it waits for is there.
    Admit,
    /// What it waits for will never be there.
    Refuse(String),
    /// Its process could not be made.
    NotSpawned { why: String, has_no_room: bool },
    /// Its program runs.
    Executed,
    /// Its program could not be run; the process is ending.
    NotExecuted(String),
    /// It says that it is ready.
    Answered,
    /// A health probe was answered.
    Healthy,
    /// A health probe failed.
    Unhealthy(String),
    /// Its server process ended; others of its tree may live.
    Ended { ending: Ending, has_survivors: bool },
    /// The last process of its tree is gone.
    Gone,
    /// Time is over.
    Due(Timer),
}

/// Times that are waited for, each at most once a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    Backoff,
    /// The end of STARTING: with a probe it is too late then, without one it has lived long enough.
    Ready,
    Grace,
    GiveUp,
    /// The next question of a probe; the engine's own.
    Probe,
    /// The end of waiting for an answer; the engine's own.
    Answer,
    /// Another look at a tree that is being killed; the engine's own.
    Look,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a process.
    Spawn,
    /// Ask the tree to end: pre-stop program, then the signal.
    AskToStop,
    /// Kill the tree.
    Kill,
    /// Wait until then.
    Arm(Timer, u64),
    /// Wait no longer.
    Disarm(Timer),
    /// The state changed; the reason is in the life.
    Moved { from: State, to: State },
    /// Say something.
    Tell(Notice),
}

/// What is said about a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    Started,
    Ready { after_ms: u64 },
    Degraded,
    Recovered,
    Ended { ending: Ending, after_ms: u64 },
    NotStarted,
    RetryIn { wait_ms: u64, failures: u32, is_slow: bool },
    NoRetryLeft { failures: u32 },
    Fatal { code: i32 },
    Failing,
    KillFollows,
    Stopped,
    Done,
    Unkillable,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Stopped,
            has_tree: false,
            failures: 0,
            runs: 0,
            started_ms: None,
            next_start_ms: None,
            health_failures: 0,
            is_done: false,
            reason: None,
            then: Then::Rest,
        }
    }

    /// Says whether a process of it is meant to run now.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state, State::Starting | State::Ready | State::Degraded)
    }

    /// Says whether it is to be started again when it has stopped.
    pub(crate) fn is_restarting(&self) -> bool {
        self.state == State::Stopping && self.then == Then::Start
    }

    /// Says whether another run follows when it has stopped.
    pub(crate) fn comes_back(&self) -> bool {
        self.then != Then::Rest
    }

    /// Decides what follows from an event: changes this life, and returns what is to be done in this order.
    pub(crate) fn decide(&mut self, rules: Rules<'_>, event: Event, moment: Moment) -> Vec<Action> {
        let mut step = Step { life: self, rules, moment, actions: Vec::new() };
        match event {
            Event::Start => step.start(),
            Event::Stop => step.stop(),
            Event::Restart => step.restart(),
            Event::Admit => step.admit(),
            Event::Refuse(reason) => step.refuse(reason),
            Event::NotSpawned { why, has_no_room } => step.not_spawned(why, has_no_room),
            Event::Executed => step.executed(),
            Event::NotExecuted(why) => step.not_executed(why),
            Event::Answered => step.answered(),
            Event::Healthy => step.healthy(),
            Event::Unhealthy(why) => step.unhealthy(why),
            Event::Ended { ending, has_survivors } => step.ended(&ending, has_survivors),
            Event::Gone => step.gone(),
            Event::Due(timer) => step.due(timer),
        }
        step.actions
    }
}

/// One decision being made.
struct Step<'l, 'p> {
    life: &'l mut Life,
    rules: Rules<'p>,
    moment: Moment,
    actions: Vec<Action>,
}

impl Step<'_, '_> {
    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn tell(&mut self, notice: Notice) {
        self.act(Action::Tell(notice));
    }

    fn arm(&mut self, timer: Timer, after_ms: u64) {
        self.act(Action::Arm(timer, self.moment.now_ms.saturating_add(after_ms)));
    }

    fn move_to(&mut self, to: State, reason: Option<String>) {
        let from = std::mem::replace(&mut self.life.state, to);
        self.life.reason = reason;
        if from == State::Backoff && to != State::Backoff {
            self.life.next_start_ms = None;
            self.act(Action::Disarm(Timer::Backoff));
        }
        if from != to {
            self.act(Action::Moved { from, to });
        }
    }

    /// An operator's start forgets earlier failures.
    fn start(&mut self) {
        match self.life.state {
            State::Waiting | State::Starting | State::Ready | State::Degraded => {}
            State::Stopping => {
                self.life.failures = 0;
                self.life.then = Then::Start;
            }
            State::Stopped | State::Backoff | State::Failed => {
                self.life.failures = 0;
                self.life.is_done = false;
                self.begin_or_clear();
            }
        }
    }

    /// Waits for what is required, or first for the rest of an old tree to be killed.
    fn begin_or_clear(&mut self) {
        if self.life.has_tree {
            self.life.then = Then::Start;
            self.move_to(State::Stopping, Some("processes of the last run are still there".to_owned()));
            self.kill();
        } else {
            self.move_to(State::Waiting, None);
        }
    }

    fn kill(&mut self) {
        self.act(Action::Kill);
        self.arm(Timer::GiveUp, KILL_LIMIT_MS);
    }

    fn stop(&mut self) {
        match self.life.state {
            State::Stopping => self.life.then = Then::Rest,
            State::Stopped => {}
            State::Starting | State::Ready | State::Degraded => self.begin_stop(Then::Rest, None),
            State::Waiting | State::Backoff | State::Failed => {
                if self.life.has_tree {
                    self.life.then = Then::Rest;
                    self.move_to(State::Stopping, None);
                    self.kill();
                } else {
                    self.move_to(State::Stopped, None);
                    self.tell(Notice::Stopped);
                }
            }
        }
    }

    fn restart(&mut self) {
        if self.life.is_running() {
            self.life.failures = 0;
            self.begin_stop(Then::Start, None);
        } else {
            self.start();
        }
    }

    fn begin_stop(&mut self, then: Then, reason: Option<String>) {
        self.life.then = then;
        self.act(Action::Disarm(Timer::Ready));
        self.move_to(State::Stopping, reason);
        self.arm(Timer::Grace, self.rules.grace_ms);
        self.act(Action::AskToStop);
    }

    fn admit(&mut self) {
        if self.life.state != State::Waiting {
            return;
        }
        self.life.has_tree = true;
        self.life.runs += 1;
        self.life.started_ms = Some(self.moment.now_ms);
        self.life.health_failures = 0;
        self.life.is_done = false;
        self.move_to(State::Starting, None);
        if let Some(limit_ms) = self.rules.ready_within_ms {
            self.arm(Timer::Ready, limit_ms);
        }
        self.act(Action::Spawn);
    }

    fn refuse(&mut self, reason: String) {
        if self.life.state == State::Waiting {
            self.move_to(State::Failed, Some(reason));
            self.tell(Notice::NotStarted);
        }
    }

    fn not_spawned(&mut self, why: String, has_no_room: bool) {
        if self.life.state != State::Starting {
            // A stop came between the decision and the attempt.
            self.gone();
            return;
        }
        self.life.has_tree = false;
        self.act(Action::Disarm(Timer::Ready));
        self.life.reason = Some(why);
        self.tell(Notice::NotStarted);
        if has_no_room {
            // Not the component's fault: it is not counted.
            self.life.started_ms = None;
            self.back_off(NO_ROOM_WAIT_MS, false);
        } else {
            self.fail();
        }
    }

    fn executed(&mut self) {
        if self.life.state == State::Starting {
            self.tell(Notice::Started);
            if self.rules.ready_within_ms.is_none() {
                match self.rules.restart.settle_ms.min(self.rules.restart.min_uptime_ms) {
                    0 => self.answered(),
                    settle_ms => self.arm(Timer::Ready, settle_ms),
                }
            }
        }
    }

    /// The process tells why it ends, and then ends: the end is what counts.
    fn not_executed(&mut self, why: String) {
        if self.life.state == State::Starting {
            self.life.reason = Some(why);
            self.tell(Notice::NotStarted);
        }
    }

    fn answered(&mut self) {
        if self.life.state == State::Starting {
            let after_ms = self.uptime_ms();
            self.act(Action::Disarm(Timer::Ready));
            self.move_to(State::Ready, None);
            self.tell(Notice::Ready { after_ms });
        }
    }

    fn uptime_ms(&self) -> u64 {
        self.life.started_ms.map_or(0, |started_ms| self.moment.now_ms.saturating_sub(started_ms))
    }

    fn healthy(&mut self) {
        self.life.health_failures = 0;
        if self.life.state == State::Degraded {
            self.move_to(State::Ready, None);
            self.tell(Notice::Recovered);
        }
    }

    fn unhealthy(&mut self, why: String) {
        if !matches!(self.life.state, State::Ready | State::Degraded) {
            return;
        }
        self.life.health_failures += 1;
        if self.life.health_failures >= self.rules.health_failures_max.max(1) {
            let why = format!("{} health probes in a row failed: {why}", self.life.health_failures);
            self.life.reason = Some(why.clone());
            self.tell(Notice::Failing);
            self.begin_stop(Then::Retry(why.clone()), Some(why));
        } else if self.life.state == State::Ready {
            self.move_to(State::Degraded, Some(why));
            self.tell(Notice::Degraded);
        } else {
            self.life.reason = Some(why);
        }
    }

    fn ended(&mut self, ending: &Ending, has_survivors: bool) {
        let after_ms = self.uptime_ms();
        if self.life.has_tree {
            self.tell(Notice::Ended { ending: *ending, after_ms });
        }
        if !self.life.is_running() {
            return;
        }
        self.act(Action::Disarm(Timer::Ready));
        if has_survivors {
            self.kill();
        }
        let is_well = ending.is_success();
        let reason = self.life.reason.take().unwrap_or_else(|| format!("it ended with {ending}"));
        if let Some(code) = ending.code().filter(|code| self.rules.restart.fatal_exit_codes.contains(code)) {
            self.give_up(format!("{reason}, which it says is for good"), Notice::Fatal { code });
        } else if is_well && self.rules.restart.mode != RestartMode::Always {
            self.life.started_ms = None;
            self.life.is_done = true;
            self.move_to(State::Stopped, Some(reason));
            self.tell(Notice::Done);
        } else if self.rules.restart.mode == RestartMode::Never {
            let failures = self.count_failure();
            self.give_up(reason, Notice::NoRetryLeft { failures });
        } else {
            self.life.reason = Some(reason);
            self.fail();
        }
    }

    fn give_up(&mut self, reason: String, notice: Notice) {
        self.life.started_ms = None;
        self.move_to(State::Failed, Some(reason));
        self.tell(notice);
    }

    /// Counts a failure: a run that was long enough makes it the first one.
    fn count_failure(&mut self) -> u32 {
        if self.uptime_ms() > self.rules.restart.min_uptime_ms {
            self.life.failures = 0;
        }
        self.life.failures = self.life.failures.saturating_add(1);
        self.life.failures
    }

    /// Plans the next attempt, or none; the reason is already in the life.
    fn fail(&mut self) {
        let failures = self.count_failure();
        self.life.started_ms = None;
        match wait(self.rules.restart, failures, self.moment.chance) {
            Some((wait_ms, is_slow)) => self.back_off(wait_ms, is_slow),
            None => {
                let reason = self.life.reason.clone().unwrap_or_default();
                self.give_up(reason, Notice::NoRetryLeft { failures });
            }
        }
    }

    fn back_off(&mut self, wait_ms: u64, is_slow: bool) {
        let reason = self.life.reason.clone();
        self.move_to(State::Backoff, reason);
        self.life.next_start_ms = Some(self.moment.now_ms.saturating_add(wait_ms));
        self.tell(Notice::RetryIn { wait_ms, failures: self.life.failures, is_slow });
        self.arm(Timer::Backoff, wait_ms);
    }

    fn gone(&mut self) {
        if self.life.is_running() {
            // Nobody was told how it ended.
            self.ended(&Ending::unknown(), false);
        }
        self.life.has_tree = false;
        self.act(Action::Disarm(Timer::GiveUp));
        match self.life.state {
            State::Stopping => {
                self.act(Action::Disarm(Timer::Grace));
                match std::mem::replace(&mut self.life.then, Then::Rest) {
                    Then::Rest => {
                        self.life.started_ms = None;
                        self.move_to(State::Stopped, None);
                        self.tell(Notice::Stopped);
                    }
                    Then::Start => {
                        self.life.started_ms = None;
                        self.tell(Notice::Stopped);
                        self.move_to(State::Waiting, None);
                    }
                    Then::Retry(reason) if self.rules.restart.mode == RestartMode::Never => {
                        let failures = self.count_failure();
                        self.give_up(reason, Notice::NoRetryLeft { failures });
                    }
                    Then::Retry(reason) => {
                        self.life.reason = Some(reason);
                        self.fail();
                    }
                }
            }
            // The time to wait is over, only the old tree was in the way.
            State::Backoff if self.is_overdue() => self.move_to(State::Waiting, None),
            _ => {}
        }
    }

    fn is_overdue(&self) -> bool {
        self.life.next_start_ms.is_some_and(|at_ms| at_ms <= self.moment.now_ms)
    }

    fn due(&mut self, timer: Timer) {
        match (timer, self.life.state) {
            (Timer::Backoff, State::Backoff) if !self.life.has_tree => self.move_to(State::Waiting, None),
            (Timer::Ready, State::Starting) => {
                let Some(limit_ms) = self.rules.ready_within_ms else {
                    self.answered();
                    return;
                };
                let last = self.life.reason.take().map(|last| format!(": {last}")).unwrap_or_default();
                let why = format!("it was not ready within {limit_ms} ms{last}");
                self.life.reason = Some(why.clone());
                self.tell(Notice::Failing);
                self.begin_stop(Then::Retry(why.clone()), Some(why));
            }
            (Timer::Grace, State::Stopping) => {
                self.tell(Notice::KillFollows);
                self.kill();
            }
            (Timer::GiveUp, _) if self.life.has_tree => {
                let why = "processes of it live on after a kill".to_owned();
                self.life.started_ms = None;
                self.move_to(State::Failed, Some(why));
                self.tell(Notice::Unkillable);
            }
            _ => {}
        }
    }
}

/// Returns the waiting time after this many failures in a row, and whether it is the slow one past the list.
fn wait(restart: &Restart, failures: u32, chance: u32) -> Option<(u64, bool)> {
    let position = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let (wait_ms, is_slow) = match restart.intervals_ms.get(position) {
        Some(&wait_ms) => (wait_ms, false),
        None => (restart.slow_retry_ms?, true),
    };
    // Up to so many percent more, evenly spread; 128 bits because an interval may be any number.
    let share = u128::from(wait_ms) * u128::from(restart.jitter_percent) * u128::from(chance);
    let more_ms = u64::try_from(share / 100 / u128::from(u32::MAX)).unwrap_or(u64::MAX);
    Some((wait_ms.saturating_add(more_ms), is_slow))
}
