//! What clients wait for, and when that has come.

use super::unit::{Unit, Waiting};
use super::{Engine, Key};
use crate::console::{ConsoleMessage, Reply, State};
use crate::messages::message;

/// So many failures in a row, and nobody waits any longer for a component to become READY.
const FAILURES_AWAITED: u32 = 3;
/// Nor for one that is started again only after this time, in milliseconds.
const BACKOFF_AWAITED_MS: u64 = 10_000;

/// A client that waits.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) client: u32,
    pub(super) until: Until,
    /// What was found before the waiting began.
    pub(super) is_well: bool,
}

/// What a client waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Until {
    /// These are READY, or cannot become so.
    Ready(Vec<u32>),
    /// These are at rest.
    Rest(Vec<u32>),
    /// Everything is READY, or cannot become so.
    Instance,
}

/// How far a wait is.
enum Outcome {
    Open,
    Met,
    /// These make it impossible.
    Missed(Vec<u32>),
}

impl Engine {
    /// Answers the waits that are over.
    pub(super) fn answer_waits(&mut self) {
        for wait in std::mem::take(&mut self.waits) {
            match self.outcome(&wait.until) {
                Outcome::Open => self.waits.push(wait),
                Outcome::Met => self.end_wait(&wait, wait.is_well),
                Outcome::Missed(missing) => {
                    for id in missing {
                        self.reply_trouble(wait.client, id);
                    }
                    self.end_wait(&wait, false);
                }
            }
        }
    }

    /// Tells those who wait for a component what happens to it meanwhile.
    pub(super) fn tell_waiting(&mut self, id: u32, text: &ConsoleMessage) {
        let is_about = |wait: &&Wait| match &wait.until {
            Until::Ready(ids) | Until::Rest(ids) => ids.contains(&id),
            Until::Instance => true,
        };
        let clients: Vec<u32> = self.waits.iter().filter(is_about).map(|wait| wait.client).collect();
        for client in clients {
            self.reply(client, &Reply::Message(text.clone()));
        }
    }

    fn end_wait(&mut self, wait: &Wait, is_ok: bool) {
        self.timers.disarm(Key::Client(wait.client));
        self.reply(wait.client, &Reply::Done { ok: is_ok });
    }

    /// Answers a client whose time is over.
    pub(super) fn wait_overdue(&mut self, client: u32) {
        let Some(at) = self.waits.iter().position(|wait| wait.client == client) else { return };
        let wait = self.waits.remove(at);
        let late: Vec<u32> = match &wait.until {
            Until::Ready(ids) | Until::Rest(ids) => ids.clone(),
            Until::Instance => self.order.clone(),
        };
        let late = late.into_iter().filter(|id| self.units.get(id).is_some_and(|unit| !unit.is_fine()));
        for id in late.collect::<Vec<_>>() {
            self.reply_trouble(client, id);
        }
        self.end_wait(&wait, false);
    }

    fn outcome(&self, until: &Until) -> Outcome {
        let ids = match until {
            Until::Rest(ids) => {
                let units = ids.iter().filter_map(|id| self.units.get(id));
                let is_open = units.clone().any(|unit| {
                    unit.pending.is_some() || (unit.life.has_tree && unit.life.state != State::Failed)
                });
                return if is_open { Outcome::Open } else { Outcome::Met };
            }
            Until::Ready(ids) => ids.clone(),
            // What an operator stopped is as it should be; nobody waits for it.
            Until::Instance => {
                let is_at_rest = |unit: &Unit| {
                    unit.life.state == State::Stopped && !is_touched(unit) && !unit.life.is_done
                };
                let awaited = |id: &u32| self.units.get(id).is_some_and(|unit| !is_at_rest(unit));
                self.order.iter().copied().filter(awaited).collect()
            }
        };
        let units = || ids.iter().filter_map(|id| Some((*id, self.units.get(id)?)));
        let missing: Vec<u32> =
            units().filter(|(_, unit)| !is_touched(unit) && is_hopeless(unit)).map(|(id, _)| id).collect();
        if !missing.is_empty() {
            return Outcome::Missed(missing);
        }
        if units().all(|(_, unit)| unit.is_fine() && !is_touched(unit)) {
            Outcome::Met
        } else {
            Outcome::Open
        }
    }

    /// Says why a component is not READY, with its last output.
    fn reply_trouble(&mut self, client: u32, id: u32) {
        let Some(unit) = self.units.get(&id) else { return };
        let name = unit.component.name.clone();
        let reason = unit.life.reason.clone().or_else(|| unit.last_exit.clone()).unwrap_or_default();
        let text = format!("component {name} is {}: {reason}", super::schedule::name_of(unit.life.state));
        let lines = unit.output.last_lines();
        self.reply(client, &Reply::Message(message("ZWEL0090E", text)));
        let at_ms = crate::clock::wall_ms();
        for text in lines {
            self.reply(client, &Reply::Line { component: name.clone(), text, at_ms });
        }
    }
}

/// Says whether something is still to be done with a component.
fn is_touched(unit: &Unit) -> bool {
    unit.pending.is_some() || unit.successor.is_some()
}

/// Says whether a component will not become READY soon by itself.
fn is_hopeless(unit: &Unit) -> bool {
    match unit.life.state {
        State::Failed => true,
        State::Stopped => !unit.life.is_done,
        State::Waiting => matches!(unit.wait, Waiting::Hopeless(_)),
        State::Backoff => {
            let wait_ms =
                unit.life.next_start_ms.map_or(0, |at_ms| at_ms.saturating_sub(crate::clock::monotonic_ms()));
            unit.life.failures >= FAILURES_AWAITED || wait_ms > BACKOFF_AWAITED_MS
        }
        _ => false,
    }
}
