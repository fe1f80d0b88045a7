//! A new plan: made by another process, compared with what runs, and put in place where they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};

use rustix::io::Errno;

use super::environment::{self, Shared};
use super::unit::{self, Owner, Successor};
use super::waits::Until;
use super::{Engine, Key, Mode};
use crate::clock;
use crate::console::{Reply, State};
use crate::life::Event;
use crate::messages::message;
use crate::options::Scope;
use crate::order;
use crate::output::Piece;
use crate::output::lines::{self, Framer};
use crate::output::notable::Notable;
use crate::plan::{Component, Plan};
use crate::poller::{Interest, Token};
use crate::process::ending::Ending;

/// A plan is not larger, in bytes.
const PLAN_BYTES_MAX: usize = 64 << 20;
/// What a planner says is not longer, in lines.
const PLANNER_LINES_MAX: usize = 2000;

/// A planner at work.
#[derive(Debug)]
pub(super) struct Planning {
    purpose: Purpose,
    client: Option<u32>,
    wait: bool,
    pid: i32,
    output: Option<OwnedFd>,
    messages: Option<OwnedFd>,
    plan: Vec<u8>,
    framer: Framer,
    lines: usize,
    ending: Option<Ending>,
}

/// What a new plan is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    Reload {
        check: bool,
    },
    /// These are restarted, with what the new plan has for them.
    Reconfigure {
        components: Vec<String>,
    },
}

/// How a new plan differs from what runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Difference {
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) unchanged: Vec<String>,
    /// They run, but the new plan leaves them out because something is wrong with them: they go on as they are.
    pub(super) kept: Vec<String>,
}

/// Compares what runs, by name and fingerprint, with a new plan.
pub(super) fn compare(running: &[(&str, &str)], plan: &Plan) -> Difference {
    let new: BTreeMap<&str, &str> =
        plan.components.iter().map(|c| (c.name.as_str(), c.fingerprint.as_str())).collect();
    let left_out: BTreeSet<&str> = plan.left_out.iter().map(|left_out| left_out.name.as_str()).collect();
    let mut difference = Difference::default();
    for (name, fingerprint) in running {
        let list = match new.get(name) {
            Some(new) if new == fingerprint => &mut difference.unchanged,
            Some(_) => &mut difference.changed,
            None if left_out.contains(name) => &mut difference.kept,
            None => &mut difference.removed,
        };
        list.push((*name).to_owned());
    }
    let is_new = |name: &&str| !running.iter().any(|(known, _)| known == name);
    let names = plan.components.iter().map(|component| component.name.as_str());
    difference.added = names.filter(is_new).map(str::to_owned).collect();
    difference
}

impl Engine {
    /// Starts a planner; the rest follows when it has ended.
    pub(super) fn plan_anew(&mut self, purpose: Purpose, client: Option<u32>, wait: bool) {
        let refusal = if self.planning.is_some() {
            Some("a new plan is being made already; ask again when it is in place".to_owned())
        } else {
            self.start_planner(purpose, client, wait).err()
        };
        if let Some(why) = refusal {
            self.planning_failed(client, &why);
        }
    }

    fn start_planner(&mut self, purpose: Purpose, client: Option<u32>, wait: bool) -> Result<(), String> {
        let planner = self.options.planner.as_ref().ok_or("this launcher cannot make a new plan")?;
        let scope = match &purpose {
            Purpose::Reload { .. } => Scope::All,
            Purpose::Reconfigure { components } => Scope::Components(components.clone()),
        };
        let mut command = planner.command(&scope);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child: Child =
            command.spawn().map_err(|error| format!("the planner does not start: {error}"))?;
        let output: OwnedFd = child.stdout.take().expect("it was asked for as a pipe").into();
        let messages: OwnedFd = child.stderr.take().expect("it was asked for as a pipe").into();
        let pid = i32::try_from(child.id()).expect("process numbers fit in 31 bits");
        // It is waited for with all other children; dropping the handle does nothing.
        drop(child);
        self.owners.insert(pid, Owner::Planner);
        let planning = Planning {
            purpose,
            client,
            wait,
            pid,
            output: None,
            messages: None,
            plan: Vec::new(),
            framer: Framer::new(self.log.line_bytes),
            lines: 0,
            ending: None,
        };
        self.planning = Some(planning);
        let watched = [(&output, Token::PlannerOutput), (&messages, Token::PlannerMessages)]
            .into_iter()
            .try_for_each(|(fd, token)| {
                rustix::io::ioctl_fionbio(fd, true)?;
                self.poller.add(fd, token, Interest::Read)
            });
        if let Err(error) = watched {
            self.stop_planning();
            return Err(format!("the planner cannot be watched: {error}"));
        }
        if let Some(planning) = &mut self.planning {
            (planning.output, planning.messages) = (Some(output), Some(messages));
        }
        self.timers.arm(Key::Planner, clock::monotonic_ms().saturating_add(self.options.planner_limit_ms));
        Ok(())
    }

    pub(super) fn read_plan(&mut self) {
        let Some(planning) = &mut self.planning else { return };
        let Some(output) = &planning.output else { return };
        match rustix::io::read(output, self.piece.as_mut_slice()) {
            Ok(length @ 1..) if planning.plan.len() + length <= PLAN_BYTES_MAX => {
                planning.plan.extend_from_slice(&self.piece[..length]);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            _ => {
                self.poller.remove(output);
                planning.output = None;
                self.finish_planning();
            }
        }
    }

    pub(super) fn read_planner_messages(&mut self) {
        let Some(planning) = &mut self.planning else { return };
        let Some(messages) = &planning.messages else { return };
        let mut said = Vec::new();
        let mut take = |line: &[u8]| said.push(lines::visible(line));
        match rustix::io::read(messages, self.piece.as_mut_slice()) {
            Ok(length @ 1..) => planning.framer.feed(Piece::Bytes(&self.piece[..length]), &mut take),
            Err(Errno::AGAIN | Errno::INTR) => {}
            _ => {
                planning.framer.feed(Piece::End, &mut take);
                self.poller.remove(messages);
                planning.messages = None;
            }
        }
        let room = PLANNER_LINES_MAX.saturating_sub(planning.lines);
        planning.lines += said.len();
        let client = planning.client;
        for text in said.into_iter().take(room) {
            self.tell_both(client, "ZWEL0091I", text);
        }
        self.finish_planning();
    }

    pub(super) fn planner_ended(&mut self, ending: Ending) {
        if let Some(planning) = &mut self.planning {
            planning.ending = Some(ending);
            self.finish_planning();
        }
    }

    pub(super) fn planner_overdue(&mut self) {
        let Some(client) = self.planning.as_ref().map(|planning| planning.client) else { return };
        self.stop_planning();
        let limit = crate::messages::seconds(self.options.planner_limit_ms);
        self.planning_failed(client, &format!("no new plan was made within {limit}"));
    }

    /// Gives up a planner at work.
    pub(super) fn stop_planning(&mut self) {
        self.timers.disarm(Key::Planner);
        let Some(planning) = self.planning.take() else { return };
        for fd in [planning.output, planning.messages].into_iter().flatten() {
            self.poller.remove(&fd);
        }
        if let (None, Some(pid)) = (planning.ending, rustix::process::Pid::from_raw(planning.pid)) {
            // Not waited for yet, so the number still means it.
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
            self.owners.insert(planning.pid, Owner::Stray);
        }
    }

    pub(super) fn forget_planning_client(&mut self, client: u32) {
        if let Some(planning) = &mut self.planning {
            planning.client = planning.client.filter(|known| *known != client);
        }
    }

    /// Takes the plan when the planner has said everything and ended.
    fn finish_planning(&mut self) {
        let is_complete = self.planning.as_ref().is_some_and(|planning| {
            planning.output.is_none() && planning.messages.is_none() && planning.ending.is_some()
        });
        if !is_complete {
            return;
        }
        self.timers.disarm(Key::Planner);
        let Some(planning) = self.planning.take() else { return };
        let client = planning.client;
        let ending = planning.ending.unwrap_or_else(Ending::unknown);
        if !ending.is_success() {
            self.planning_failed(
                client,
                &format!("making a new plan ended with {ending}; nothing was changed"),
            );
            return;
        }
        let plan = match serde_json::from_slice::<Plan>(&planning.plan) {
            Ok(plan) => plan,
            Err(error) => {
                self.planning_failed(client, &format!("the new plan makes no sense: {error}"));
                return;
            }
        };
        let done = match planning.purpose {
            Purpose::Reload { check } => self.reload(plan, check, client, planning.wait),
            Purpose::Reconfigure { components } => self.reconfigure(plan, &components, client, planning.wait),
        };
        if let Err(why) = done {
            self.planning_failed(client, &why);
        }
        crate::process::sys::give_memory_back();
    }

    fn planning_failed(&mut self, client: Option<u32>, why: &str) {
        self.tell_both(client, "ZWEL0089E", why.to_owned());
        if let Some(client) = client {
            self.reply(client, &Reply::Done { ok: false });
        }
    }

    fn tell_both(&mut self, client: Option<u32>, id: &str, text: String) {
        let said = message(id, text);
        if let Some(client) = client {
            self.reply(client, &Reply::Message(said.clone()));
        }
        self.tell(said);
    }

    /// Puts a new plan in place of the old one; components that did not change keep their processes.
    fn reload(&mut self, plan: Plan, check: bool, client: Option<u32>, wait: bool) -> Result<(), String> {
        self.check_plan(&plan)?;
        let running: Vec<(&str, &str)> = self
            .order
            .iter()
            .filter_map(|id| self.units.get(id))
            .map(|unit| (unit.name(), unit.component.fingerprint.as_str()))
            .collect();
        let difference = compare(&running, &plan);
        self.check_order(&plan.components, &difference.kept)?;
        if let Some(client) = client {
            let Difference { added, removed, changed, unchanged, .. } = difference.clone();
            self.reply(client, &Reply::Changes { added, removed, changed, unchanged });
        }
        for name in &difference.kept {
            let reason = plan.left_out.iter().find(|left_out| left_out.name == *name);
            let reason = reason.map_or("", |left_out| left_out.reason.as_str());
            self.tell_both(client, "ZWEL0095W", format!("component {name} runs on as it was: {reason}"));
        }
        let is_well = difference.kept.is_empty();
        if !check {
            let text = format!(
                "reload: {} added, {} removed, {} changed, {} unchanged",
                difference.added.len(),
                difference.removed.len(),
                difference.changed.len(),
                difference.unchanged.len()
            );
            self.tell(message("ZWEL0088I", text));
            let touched = self.put_in_place(plan, &difference)?;
            if let (true, Some(client)) = (wait, client) {
                self.wait_for(client, Until::Ready(touched), is_well);
                return Ok(());
            }
        }
        if let Some(client) = client {
            self.reply(client, &Reply::Done { ok: is_well });
        }
        Ok(())
    }

    /// Checks a plan as a whole, so that nothing of it is put in place when something of it is wrong.
    fn check_plan(&self, plan: &Plan) -> Result<(), String> {
        if self.mode != Mode::Running {
            return Err("the launcher is stopping".to_owned());
        }
        if plan.instance.id != self.instance.id || plan.instance.directory != self.instance.directory {
            return Err(format!("the new plan is for instance {}, not this one", plan.instance.id));
        }
        plan.components.iter().try_for_each(unit::check).map_err(|error| error.to_string())
    }

    /// Checks that the new components and those that stay have an order.
    fn check_order(&self, new: &[Component], staying: &[String]) -> Result<(), String> {
        let staying =
            staying.iter().filter_map(|name| Some(&self.units.get(self.names.get(name)?)?.component));
        let all: Vec<Component> = new.iter().chain(staying).cloned().collect();
        order::check(&all).map_err(|error| error.to_string())
    }

    /// Returns the components that start or restart.
    fn put_in_place(&mut self, plan: Plan, difference: &Difference) -> Result<Vec<u32>, String> {
        let Plan { mut components, left_out, log, notable, instance } = plan;
        let shared = environment::share(&mut components);
        self.left_out = left_out;
        self.log = log;
        self.instance = instance;
        self.notable = Notable::new(&notable);
        for name in &difference.removed {
            if let Some(id) = self.names.get(name).copied() {
                self.order_stop(id, Event::Stop);
                self.succeed(id, Successor::Removed);
            }
        }
        let mut touched = Vec::new();
        let wanted_order: Vec<String> = components.iter().map(|component| component.name.clone()).collect();
        for component in components {
            if difference.added.contains(&component.name) {
                let id = self.add_unit(component, &shared).map_err(|error| error.to_string())?;
                self.push(id, Event::Start);
                touched.push(id);
            } else if difference.changed.contains(&component.name) {
                touched.extend(self.change(component, &shared));
            } else if let Some(unit) = self.names.get(&component.name).and_then(|id| self.units.get_mut(id)) {
                // The same fingerprint: what may differ is what needs no restart.
                (unit.component, unit.shared) = (component, shared.clone());
            }
        }
        self.limit_logs();
        self.order_as(&wanted_order);
        self.connect_units();
        Ok(touched)
    }

    fn order_as(&mut self, names: &[String]) {
        let place: BTreeMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
        let units = &self.units;
        self.order.sort_by_key(|id| {
            units.get(id).and_then(|unit| place.get(unit.name()).copied()).unwrap_or(usize::MAX)
        });
    }

    /// Has a component replaced once it is at rest, and started again unless an operator had stopped it.
    fn change(&mut self, component: Component, shared: &Shared) -> Option<u32> {
        let id = *self.names.get(&component.name)?;
        let unit = self.units.get(&id)?;
        let is_stopped = matches!(unit.life.state, State::Stopped) && !unit.life.is_done
            || unit.pending == Some(Event::Stop);
        self.succeed(id, Successor::Changed(Box::new(component), shared.clone()));
        // One without a process is at rest already: it would start once more as it was.
        self.put_successors_in_place();
        if is_stopped {
            return None;
        }
        self.order_stop(id, Event::Restart);
        Some(id)
    }

    fn succeed(&mut self, id: u32, successor: Successor) {
        if let Some(unit) = self.units.get_mut(&id) {
            unit.successor = Some(successor);
            self.is_dirty = true;
        }
    }

    /// Restarts the named components with what the new plan has for them.
    fn reconfigure(
        &mut self,
        plan: Plan,
        names: &[String],
        client: Option<u32>,
        wait: bool,
    ) -> Result<(), String> {
        self.check_plan(&plan)?;
        let mut wanted = Vec::new();
        for component in plan.components {
            if names.contains(&component.name) {
                wanted.push(component);
            }
        }
        if let Some(name) = names.iter().find(|name| !wanted.iter().any(|component| component.name == **name))
        {
            let left_out = plan.left_out.iter().find(|left_out| left_out.name == *name);
            if let (Some(client), Some(left_out)) = (client, left_out) {
                for text in left_out.output.clone() {
                    let at_ms = clock::wall_ms();
                    self.reply(client, &Reply::Line { component: name.clone(), text, at_ms });
                }
            }
            let reason = left_out.map_or("it is not there", |left_out| left_out.reason.as_str());
            return Err(format!("the new plan leaves out component {name}: {reason}; nothing was changed"));
        }
        let staying: Vec<String> = self.names.keys().filter(|name| !names.contains(name)).cloned().collect();
        self.check_order(&wanted, &staying)?;
        let shared = environment::share(&mut wanted);
        let mut touched = Vec::new();
        for component in wanted {
            let id = self.names.get(&component.name).copied();
            if let Some(id) = id {
                self.succeed(id, Successor::Changed(Box::new(component), shared.clone()));
                self.put_successors_in_place();
                self.order_stop(id, Event::Restart);
                touched.push(id);
            }
        }
        if let Some(client) = client {
            if wait {
                self.wait_for(client, Until::Ready(touched), true);
            } else {
                self.reply(client, &Reply::Done { ok: true });
            }
        }
        Ok(())
    }
}
