//! The life of one host: from events to actions, without processes, sockets or a clock.

use std::time::Duration;

use tender_xmem::plugin::Descriptor;

use crate::descriptor::{DescriptorError, read_descriptor};
use crate::restart::RestartPolicy;

/// Where a host is in its life.
///
/// ```text
/// ALLOCATED ─► STARTING ── process there ─► INIT ── DESCRIPTOR, START, READY ─► READY ◄─► pings
///     ▲           │ no process               │ not in time, ended                │ ended, pings unanswered
///     │           ▼                          ▼                                   ▼
///     └─ pause ─ PAUSED ◄──────────────────────────── killed with its whole tree ┘
///
/// any ── stop ─► TERMINATING (TERM sent) ── ended, or killed when time is up ─► TERMINATED
/// INIT ── bad descriptor, or READY with a code ─► killed ─► TERMINATED: another try would end the same way
/// ```
///
/// Source: 7.7, and PAUSED, which the reference does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// Known, and to be started.
    Allocated,
    /// A process was asked for.
    Starting,
    /// The process is there and makes itself ready.
    Init,
    /// It serves.
    Ready,
    /// It failed and will be started again.
    Paused,
    /// It was asked to end.
    Terminating,
    /// It has ended and will not be started again.
    Terminated,
}

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// From the start of the process until READY.
    pub init: Duration,
    /// Between two pings.
    pub ping: Duration,
    /// How many pings may be unanswered.
    pub pings_lost_max: u32,
    /// From TERM until the process is killed.
    pub term: Duration,
    /// When a host that failed is started again.
    pub restart: RestartPolicy,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            init: Duration::from_secs(10),
            ping: Duration::from_secs(1),
            pings_lost_max: 3,
            term: Duration::from_secs(5),
            restart: RestartPolicy::default(),
        }
    }
}

/// What can happen to a host.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// There is a process.
    Spawned,
    /// There is none, and why.
    NotSpawned(&'a str),
    /// It sent DESCRIPTOR.
    Described(&'a [u8]),
    /// It sent READY: with 0, or a code and text why it cannot.
    Ready {
        /// The code.
        code: u32,
        /// The text.
        text: &'a str,
    },
    /// It answered a ping.
    Pong,
    /// It sent what it must not send now, and what that was.
    Misbehaved(&'a str),
    /// The process has ended, and how.
    Exited(&'a str),
    /// Time has passed.
    Tick,
    /// It is no longer wanted.
    Stop,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask for a process.
    Spawn,
    /// Send START.
    SendStart,
    /// Send PING.
    SendPing,
    /// Send TERM.
    SendTerm,
    /// Kill the process and everything it started.
    Kill,
    /// It serves from now on.
    Install(Descriptor),
    /// It serves no longer; its callers get 36.
    Withdraw,
    /// Tell operators that it failed, why, and after which pause it is started again; `None` for never.
    Failed(String, Option<Duration>),
    /// Tell operators that it has ended as it was asked to.
    Ended,
}

/// The life of one host.
///
/// Units: time is a duration since any fixed moment, the same for all calls.
#[derive(Debug)]
pub struct Life {
    state: HostState,
    timing: Timing,
    descriptor: Option<Descriptor>,
    /// When the present state was entered.
    since: Duration,
    pings_open: u32,
    next_ping: Duration,
    failures: u32,
    resume_at: Duration,
    /// Why it was killed, until its process has ended; the flag says whether it is started again.
    doom: Option<(String, bool)>,
}

impl Life {
    /// Makes the life of a host that is not yet started.
    pub fn new(timing: Timing) -> Self {
        Self {
            state: HostState::Allocated,
            timing,
            descriptor: None,
            since: Duration::ZERO,
            pings_open: 0,
            next_ping: Duration::ZERO,
            failures: 0,
            resume_at: Duration::ZERO,
            doom: None,
        }
    }

    /// Returns where it is.
    pub fn state(&self) -> HostState {
        self.state
    }

    /// Returns how often in a row it has failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns what it said of itself, once it has.
    pub fn descriptor(&self) -> Option<&Descriptor> {
        self.descriptor.as_ref()
    }

    /// Returns when [`Event::Tick`] is wanted next; `None` when only other events matter.
    pub fn next_tick(&self) -> Option<Duration> {
        match self.state {
            HostState::Allocated => Some(self.since),
            HostState::Paused => Some(self.resume_at),
            _ if self.doom.is_some() => None,
            HostState::Starting | HostState::Init => Some(self.since + self.timing.init),
            HostState::Ready => Some(self.next_ping),
            HostState::Terminating => Some(self.since + self.timing.term),
            HostState::Terminated => None,
        }
    }

    /// Takes an event and returns what is to be done, in this order.
    pub fn on(&mut self, event: Event<'_>, now: Duration) -> Vec<Action> {
        match (self.state, event) {
            (HostState::Terminated, _) => Vec::new(),
            (_, Event::Stop) => self.stop(now),
            (_, Event::Exited(how)) => self.exited(how, now),
            (HostState::Starting, Event::NotSpawned(why)) => self.fail(why.to_owned(), true, now),
            (HostState::Starting, Event::Spawned) => {
                self.enter(HostState::Init, now);
                Vec::new()
            }
            // Stopped before the process was there: it is told at once.
            (HostState::Terminating, Event::Spawned) => vec![Action::SendTerm],
            (HostState::Terminating, Event::NotSpawned(_)) => self.ended(now),
            (_, _) if self.doom.is_some() => Vec::new(),
            (_, Event::Tick) => self.tick(now),
            (HostState::Init, Event::Described(payload)) => self.described(payload),
            (HostState::Init, Event::Ready { code, text }) => self.ready(code, text, now),
            (_, Event::Pong) => {
                self.pings_open = 0;
                Vec::new()
            }
            (HostState::Terminating | HostState::Paused | HostState::Allocated, _) => Vec::new(),
            (_, Event::Misbehaved(what)) => self.doom(format!("it sent {what}"), true),
            (_, Event::Described(_)) => self.doom("it described itself when it was not asked".into(), true),
            (_, Event::Ready { .. }) => self.doom("it said READY when it was not asked".into(), true),
            (_, Event::Spawned | Event::NotSpawned(_)) => Vec::new(),
        }
    }

    fn enter(&mut self, state: HostState, now: Duration) {
        self.state = state;
        self.since = now;
    }

    fn tick(&mut self, now: Duration) -> Vec<Action> {
        match self.state {
            HostState::Allocated => self.start(now),
            HostState::Paused if now >= self.resume_at => self.start(now),
            HostState::Init | HostState::Starting if now >= self.since + self.timing.init => {
                self.doom(format!("it was not ready within {} s", self.timing.init.as_secs()), true)
            }
            HostState::Ready if now >= self.next_ping => self.ping(now),
            HostState::Terminating if now >= self.since + self.timing.term => {
                self.doom(format!("it did not end within {} s", self.timing.term.as_secs()), false)
            }
            _ => Vec::new(),
        }
    }

    fn start(&mut self, now: Duration) -> Vec<Action> {
        self.descriptor = None;
        self.enter(HostState::Starting, now);
        vec![Action::Spawn]
    }

    fn ping(&mut self, now: Duration) -> Vec<Action> {
        if self.pings_open >= self.timing.pings_lost_max {
            return self.doom(format!("it did not answer {} pings", self.pings_open), true);
        }
        self.pings_open += 1;
        self.next_ping = now + self.timing.ping;
        vec![Action::SendPing]
    }

    fn described(&mut self, payload: &[u8]) -> Vec<Action> {
        if self.descriptor.is_some() {
            return self.doom("it described itself twice".into(), false);
        }
        match read_descriptor(payload) {
            Ok(descriptor) => {
                self.descriptor = Some(descriptor);
                vec![Action::SendStart]
            }
            Err(DescriptorError::Malformed(source)) => {
                self.doom(format!("its descriptor cannot be read: {source}"), false)
            }
            Err(error) => self.doom(error.to_string(), false),
        }
    }

    fn ready(&mut self, code: u32, text: &str, now: Duration) -> Vec<Action> {
        if code != 0 {
            return self.doom(format!("it cannot serve, code {code}: {text}"), false);
        }
        let Some(descriptor) = self.descriptor.clone() else {
            return self.doom("it said READY before it described itself".into(), false);
        };
        self.enter(HostState::Ready, now);
        (self.pings_open, self.next_ping) = (0, now + self.timing.ping);
        vec![Action::Install(descriptor)]
    }

    fn stop(&mut self, now: Duration) -> Vec<Action> {
        match self.state {
            HostState::Allocated | HostState::Paused => self.ended(now),
            HostState::Terminating | HostState::Terminated => Vec::new(),
            state => {
                self.enter(HostState::Terminating, now);
                let mut actions = Vec::new();
                if state == HostState::Ready && self.doom.is_none() {
                    actions.push(Action::Withdraw);
                }
                // Without a process there is nobody to tell yet; with a doomed one there is no use.
                if state != HostState::Starting && self.doom.is_none() {
                    actions.push(Action::SendTerm);
                }
                actions
            }
        }
    }

    /// Kills it; what becomes of it is decided when its process has ended.
    fn doom(&mut self, why: String, is_restarted: bool) -> Vec<Action> {
        let was_ready = self.state == HostState::Ready;
        self.doom = Some((why, is_restarted));
        if was_ready { vec![Action::Withdraw, Action::Kill] } else { vec![Action::Kill] }
    }

    fn exited(&mut self, how: &str, now: Duration) -> Vec<Action> {
        let doom = self.doom.take();
        if self.state == HostState::Terminating {
            return self.ended(now);
        }
        let was_ready = self.state == HostState::Ready && doom.is_none();
        let (why, is_restarted) = doom.unwrap_or_else(|| (format!("it ended: {how}"), true));
        let mut actions = if was_ready { vec![Action::Withdraw] } else { Vec::new() };
        actions.extend(self.fail(why, is_restarted, now));
        actions
    }

    fn fail(&mut self, why: String, is_restarted: bool, now: Duration) -> Vec<Action> {
        let was_stable = self.state == HostState::Ready
            && now.saturating_sub(self.since) >= self.timing.restart.stable_after;
        self.failures = if was_stable { 1 } else { self.failures.saturating_add(1) };
        let pause = self.timing.restart.pause(self.failures).filter(|_| is_restarted);
        match pause {
            Some(pause) => {
                self.enter(HostState::Paused, now);
                self.resume_at = now + pause;
            }
            None => self.enter(HostState::Terminated, now),
        }
        vec![Action::Failed(why, pause)]
    }

    fn ended(&mut self, now: Duration) -> Vec<Action> {
        self.enter(HostState::Terminated, now);
        vec![Action::Ended]
    }
}

#[cfg(test)]
mod tests;
