//! Who may start and who may stop now: the order among components.

use std::collections::{BTreeSet, HashMap};

use super::environment::Shared;
use super::unit::{Successor, Unit, Waiting};
use super::{Engine, Mode};
use crate::console::State;
use crate::life::{Event, Life, Timer};
use crate::messages::message;
use crate::options::SuperviseError;
use crate::plan::Component;

impl Engine {
    /// Takes a component in.
    pub(super) fn add_unit(&mut self, component: Component, shared: &Shared) -> Result<u32, SuperviseError> {
        let unit = Unit::new(component, shared, &self.instance, &self.log)?;
        let id = self.ids_used;
        self.ids_used += 1;
        if let Some(notify) = &unit.notify {
            self.poller
                .add(notify, crate::poller::Token::Notify(id), crate::poller::Interest::Read)
                .map_err(|source| SuperviseError::System { step: "wait for a notify socket", source })?;
        }
        self.names.insert(unit.component.name.clone(), id);
        self.order.push(id);
        self.units.insert(id, unit);
        Ok(id)
    }

    /// Notes who waits for whom.
    pub(super) fn connect_units(&mut self) {
        let mut dependents: HashMap<u32, Vec<u32>> = HashMap::new();
        for (id, unit) in &self.units {
            for name in unit.component.requires.iter().chain(&unit.component.after) {
                if let Some(needed) = self.names.get(name) {
                    dependents.entry(*needed).or_default().push(*id);
                }
            }
        }
        self.dependents = dependents;
        self.is_dirty = true;
    }

    /// Finds a component by its name, in any case if that is clear.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        let name = name.trim();
        self.names.get(name).copied().or_else(|| {
            let mut alike = self.names.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            match (alike.next(), alike.next()) {
                (Some((_, id)), None) => Some(*id),
                _ => None,
            }
        })
    }

    /// Returns components with all that they require, themselves last.
    pub(super) fn with_required(&self, ids: &[u32]) -> Vec<u32> {
        let mut found = BTreeSet::new();
        let mut open = ids.to_vec();
        while let Some(id) = open.pop() {
            if found.insert(id) {
                let required = self.units.get(&id).into_iter().flat_map(|unit| &unit.component.requires);
                open.extend(required.filter_map(|name| self.names.get(name)));
            }
        }
        self.order.iter().copied().filter(|id| found.contains(id)).collect()
    }

    /// Returns components with all that require them.
    pub(super) fn with_requiring(&self, ids: &[u32]) -> Vec<u32> {
        let mut found = BTreeSet::new();
        let mut open = ids.to_vec();
        while let Some(id) = open.pop() {
            if found.insert(id) {
                let requires = |other: &&u32| {
                    let (Some(unit), Some(needed)) = (self.units.get(other), self.units.get(&id)) else {
                        return false;
                    };
                    unit.component.requires.contains(&needed.component.name)
                };
                open.extend(self.dependents.get(&id).into_iter().flatten().filter(requires));
            }
        }
        self.order.iter().copied().filter(|id| found.contains(id)).collect()
    }

    /// Has a component stopped or restarted as soon as those that need it and stop as well have stopped.
    pub(super) fn order_stop(&mut self, id: u32, event: Event) {
        if let Some(unit) = self.units.get_mut(&id) {
            unit.pending = Some(event);
            self.is_dirty = true;
        }
    }

    /// Lets go what may go now.
    pub(super) fn schedule(&mut self) {
        // Looked at all together: one that may go must not let the next one go before it has gone.
        let may_stop: Vec<u32> = self.order.iter().copied().filter(|id| self.may_stop(*id)).collect();
        for id in may_stop {
            if let Some(event) = self.units.get_mut(&id).and_then(|unit| unit.pending.take()) {
                self.is_dirty = true;
                self.push(id, event);
            }
        }
        self.process_events();
        if self.mode == Mode::ShuttingDown {
            return;
        }
        for id in self.order.clone() {
            let Some(unit) = self.units.get(&id) else { continue };
            // One with a successor waits for that to take its place.
            if unit.life.state != State::Waiting || unit.pending.is_some() || unit.successor.is_some() {
                continue;
            }
            match self.obstacle(unit) {
                Obstacle::None => {
                    self.is_dirty = true;
                    self.push(id, Event::Admit);
                }
                Obstacle::Absent(why) => self.push(id, Event::Refuse(why)),
                Obstacle::Wait(wait) => {
                    if let Some(unit) = self.units.get_mut(&id) {
                        let (Waiting::Coming(why) | Waiting::Hopeless(why)) = &wait else { continue };
                        unit.life.reason = Some(why.clone());
                        self.is_dirty |= unit.wait != wait;
                        unit.wait = wait;
                    }
                }
            }
        }
        self.process_events();
    }

    /// Says whether nobody who needs a component, and is to stop as well, is still there.
    fn may_stop(&self, id: u32) -> bool {
        let Some(unit) = self.units.get(&id) else { return false };
        if unit.pending.is_none() {
            return false;
        }
        // Without a process nobody can miss it.
        !unit.life.has_tree
            || self.dependents.get(&id).into_iter().flatten().filter_map(|other| self.units.get(other)).all(
                |other| {
                    let is_to_stop = other.pending.is_some() || other.life.state == State::Stopping;
                    !is_to_stop || !other.life.has_tree
                },
            )
    }

    fn obstacle(&self, unit: &Unit) -> Obstacle {
        for name in &unit.component.requires {
            let Some(needed) = self.names.get(name).and_then(|id| self.units.get(id)) else {
                return Obstacle::Absent(self.absent(name));
            };
            if needed.is_fine() && needed.pending.is_none() {
                continue;
            }
            let state = needed.life.state;
            let is_hopeless = needed.pending.is_none()
                && (matches!(state, State::Failed | State::Stopped)
                    || matches!(needed.wait, Waiting::Hopeless(_)));
            let why = format!("it requires {name}, which is {}", name_of(state));
            return Obstacle::Wait(if is_hopeless { Waiting::Hopeless(why) } else { Waiting::Coming(why) });
        }
        for name in &unit.component.after {
            let Some(earlier) = self.names.get(name).and_then(|id| self.units.get(id)) else { continue };
            let is_on_its_way = matches!(earlier.life.state, State::Waiting | State::Starting)
                && !matches!(earlier.wait, Waiting::Hopeless(_));
            if is_on_its_way || earlier.life.is_restarting() || earlier.pending == Some(Event::Restart) {
                let why = format!("it starts after {name}, which is {}", name_of(earlier.life.state));
                return Obstacle::Wait(Waiting::Coming(why));
            }
        }
        Obstacle::None
    }

    fn absent(&self, name: &str) -> String {
        match self.left_out.iter().find(|left_out| left_out.name == *name) {
            Some(left_out) => format!("it requires {name}, which is left out: {}", left_out.reason),
            None => format!("it requires {name}, which is not there"),
        }
    }

    /// Replaces or removes components that are at rest.
    pub(super) fn put_successors_in_place(&mut self) {
        let is_due = |unit: &&Unit| unit.successor.is_some() && unit.pending.is_none() && !unit.life.has_tree;
        let due: Vec<u32> = self.units.iter().filter(|(_, unit)| is_due(unit)).map(|(id, _)| *id).collect();
        for id in &due {
            let Some(unit) = self.units.get_mut(id) else { continue };
            match unit.successor.take() {
                Some(Successor::Removed) => self.remove_unit(*id),
                Some(Successor::Changed(component, shared)) => self.replace_unit(*id, *component, &shared),
                None => {}
            }
        }
        if !due.is_empty() {
            self.connect_units();
        }
    }

    fn remove_unit(&mut self, id: u32) {
        if let Some(unit) = self.units.remove(&id) {
            self.names.remove(&unit.component.name);
            self.order.retain(|other| *other != id);
            if let Some(group) = &unit.group {
                group.remove();
            }
            for timer in
                [Timer::Backoff, Timer::Ready, Timer::Grace, Timer::GiveUp, Timer::Probe, Timer::Answer]
            {
                self.disarm(id, timer);
            }
        }
    }

    fn replace_unit(&mut self, id: u32, component: Component, shared: &Shared) {
        if let Some(old) = self.units.get_mut(&id) {
            // Its file has the name of the next one.
            old.notify = None;
        }
        let made = Unit::new(component, shared, &self.instance, &self.log);
        let Some(old) = self.units.get_mut(&id) else { return };
        match made {
            Ok(mut unit) => {
                let runs = old.life.runs;
                unit.life = std::mem::replace(&mut old.life, Life::new());
                unit.life.runs = runs;
                unit.last_exit = old.last_exit.take();
                if unit.component.stop.keeps_sockets && unit.notify.is_some() {
                    unit.kept = std::mem::take(&mut old.kept);
                }
                std::mem::swap(&mut unit.output, &mut old.output);
                // Limits are set anew with the first process.
                let notify = unit.notify.as_ref().map(|notify| {
                    self.poller.add(notify, crate::poller::Token::Notify(id), crate::poller::Interest::Read)
                });
                *old = unit;
                if let Some(Err(error)) = notify {
                    self.tell(message("ZWEL0093E", format!("a notify socket cannot be waited for: {error}")));
                }
            }
            // It was checked before; only making its notify socket can fail, and then the old one stays.
            Err(error) => self.tell(message("ZWEL0089E", error.to_string())),
        }
    }

    /// Stops everything, in reverse order, and ends; asked again, without grace time.
    pub(super) fn shut_down(&mut self) {
        if self.mode == Mode::ShuttingDown {
            for id in self.order.clone() {
                if let Some(unit) = self.units.get_mut(&id) {
                    if unit.pending.take().is_some() {
                        self.push(id, Event::Stop);
                    }
                    self.push(id, Event::Due(Timer::Grace));
                }
            }
            return;
        }
        self.mode = Mode::ShuttingDown;
        self.stop_planning();
        self.tell(message("ZWEL0008I", "stopping components"));
        super::notify::tell_parent("STOPPING=1");
        for id in self.order.clone() {
            self.order_stop(id, Event::Stop);
        }
        self.is_dirty = true;
    }
}

/// What keeps a component from starting.
enum Obstacle {
    None,
    Wait(Waiting),
    /// What it requires does not exist.
    Absent(String),
}

/// Returns the name of a state as people see it.
pub(super) fn name_of(state: State) -> &'static str {
    match state {
        State::Stopped => "STOPPED",
        State::Waiting => "WAITING",
        State::Starting => "STARTING",
        State::Ready => "READY",
        State::Degraded => "DEGRADED",
        State::Backoff => "BACKOFF",
        State::Stopping => "STOPPING",
        State::Failed => "FAILED",
    }
}
