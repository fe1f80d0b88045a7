//! Carrying out what clients ask for.

use std::collections::BTreeSet;

use super::operator::{self, Command, Refusal};
use super::reload::Purpose;
use super::schedule::name_of;
use super::unit::Waiting;
use super::waits::{Until, Wait};
use super::{Engine, Key, Mode};
use crate::clock;
use crate::console::{Reply, Request, State};
use crate::life::Event;
use crate::messages::{message, seconds};
use crate::output::history;

/// Lines of output answered at most.
const LINES_MAX: usize = 10_000;

impl Engine {
    pub(super) fn take_request(&mut self, client: u32, request: Request) {
        let changes = !matches!(
            request,
            Request::Status | Request::Logs { .. } | Request::Events | Request::AwaitReady { .. }
        );
        if changes && self.mode == Mode::ShuttingDown && request != Request::Shutdown {
            self.reply(client, &Reply::Message(message("ZWEL0093E", "the launcher is stopping")));
            self.reply(client, &Reply::Done { ok: false });
            return;
        }
        match request {
            Request::Start { components, wait } => self.start_request(client, &components, wait),
            Request::Stop { components, wait } => self.stop_request(client, &components, wait),
            Request::Restart { components, reconfigure, wait } => {
                self.restart_request(client, &components, reconfigure, wait);
            }
            Request::Reload { check, wait } => self.plan_anew(Purpose::Reload { check }, Some(client), wait),
            Request::Shutdown => {
                self.tell(message("ZWEL0014I", "the launcher is told to stop from the console"));
                self.shut_down();
                // The answer comes when everything has stopped.
            }
            Request::Status => {
                let status = self.status();
                self.reply(client, &Reply::Status(status));
                self.reply(client, &Reply::Done { ok: true });
            }
            Request::AwaitReady { timeout_ms } => {
                let until_ms = clock::monotonic_ms().saturating_add(timeout_ms);
                self.timers.arm(Key::Client(client), until_ms);
                self.wait_for(client, Until::Instance, true);
            }
            Request::Logs { components, lines, follow } => {
                self.logs_request(client, &components, lines, follow);
            }
            Request::Events => self.watch_events(client),
            Request::Operator { line } => self.operator_request(client, &line),
        }
    }

    /// Returns the components of these names, all when there is none; unknown ones are told.
    fn resolve(&mut self, client: u32, names: &[String]) -> (Vec<u32>, bool) {
        if names.is_empty() {
            return (self.order.clone(), true);
        }
        let mut ids = Vec::new();
        let mut is_well = true;
        for name in names {
            match self.find(name) {
                Some(id) if ids.contains(&id) => {}
                Some(id) => ids.push(id),
                None => {
                    is_well = false;
                    let known = self.order.iter().filter_map(|id| self.units.get(id));
                    let known: Vec<&str> = known.map(|unit| unit.name()).collect();
                    let text =
                        format!("there is no component {}; there are {}", name.trim(), known.join(", "));
                    self.reply(client, &Reply::Message(message("ZWEL0054W", text)));
                }
            }
        }
        (ids, is_well)
    }

    /// Answers when it has come to that, or at once.
    fn finish(&mut self, client: u32, until: Until, is_well: bool, wait: bool) {
        let is_empty = matches!(&until, Until::Ready(ids) | Until::Rest(ids) if ids.is_empty());
        if wait && !is_empty {
            self.wait_for(client, until, is_well);
        } else {
            self.reply(client, &Reply::Done { ok: is_well });
        }
    }

    pub(super) fn wait_for(&mut self, client: u32, until: Until, is_well: bool) {
        self.waits.push(Wait { client, until, is_well });
        self.is_dirty = true;
    }

    fn start_request(&mut self, client: u32, names: &[String], wait: bool) {
        let (ids, is_well) = self.resolve(client, names);
        for id in &ids {
            let Some(unit) = self.units.get(id) else { continue };
            let is_running = unit.life.is_running() && unit.pending.is_none();
            if is_running && !names.is_empty() {
                let pid = unit.pid().map_or_else(|| "none".to_owned(), |pid| pid.to_string());
                let text = format!(
                    "component {} is already {}, process {pid}",
                    unit.name(),
                    name_of(unit.life.state)
                );
                self.reply(client, &Reply::Message(message("ZWEL0039E", text)));
            }
        }
        self.start_units(&ids);
        self.finish(client, Until::Ready(ids), is_well, wait);
    }

    /// Starts components, with what they require if nobody else would.
    pub(super) fn start_units(&mut self, ids: &[u32]) {
        for id in self.with_required(ids) {
            let Some(unit) = self.units.get_mut(&id) else { continue };
            let is_asked = ids.contains(&id);
            // What is on its way by itself is left to its own back-off.
            let is_needed = unit.life.state == State::Stopped && !unit.life.is_done
                || unit.life.state == State::Stopping
                || unit.pending == Some(Event::Stop);
            if !is_asked && !is_needed {
                continue;
            }
            match unit.pending {
                Some(Event::Stop) if unit.life.is_running() => unit.pending = Some(Event::Restart),
                _ => self.push(id, Event::Start),
            }
        }
        self.is_dirty = true;
    }

    fn stop_request(&mut self, client: u32, names: &[String], wait: bool) {
        let (ids, is_well) = self.resolve(client, names);
        let ids = self.stop_units(&ids);
        self.finish(client, Until::Rest(ids), is_well, wait);
    }

    /// Stops components and what requires them; returns all of these.
    fn stop_units(&mut self, ids: &[u32]) -> Vec<u32> {
        let all = self.with_requiring(ids);
        for id in &all {
            self.order_stop(*id, Event::Stop);
        }
        all
    }

    fn restart_request(&mut self, client: u32, names: &[String], reconfigure: bool, wait: bool) {
        let (ids, is_well) = self.resolve(client, names);
        if reconfigure && is_well {
            let names = ids.iter().filter_map(|id| self.units.get(id)).map(|unit| unit.name().to_owned());
            let purpose = Purpose::Reconfigure { components: names.collect() };
            self.plan_anew(purpose, Some(client), wait);
            return;
        }
        for id in &ids {
            self.order_stop(*id, Event::Restart);
        }
        self.finish(client, Until::Ready(ids), is_well, wait);
    }

    fn logs_request(&mut self, client: u32, names: &[String], lines: usize, follow: bool) {
        let (ids, is_well) = self.resolve(client, names);
        let mut found = Vec::new();
        for id in &ids {
            let Some(unit) = self.units.get_mut(id) else { continue };
            let name = unit.component.name.clone();
            let file = unit.output.file_mut();
            // A log that cannot be read has no lines to show.
            let mut logged = history::last_lines(file.path(), lines.min(LINES_MAX)).unwrap_or_default();
            if logged.is_empty() || file.trouble().is_some() {
                let at_ms = clock::wall_ms();
                let last = unit.output.last_lines().into_iter();
                logged = last.map(|text| history::Logged { text, at_ms }).collect();
            }
            found.extend(logged.into_iter().map(|line| (line.at_ms, name.clone(), line.text)));
        }
        found.sort_by_key(|(at_ms, _, _)| *at_ms);
        let from = found.len().saturating_sub(lines);
        for (at_ms, component, text) in found.drain(from..) {
            self.reply(client, &Reply::Line { component, text, at_ms });
        }
        if follow && is_well {
            self.watch_lines(client, ids.into_iter().collect::<BTreeSet<u32>>());
        } else {
            self.reply(client, &Reply::Done { ok: is_well });
        }
    }

    fn operator_request(&mut self, client: u32, line: &str) {
        let shown = crate::output::lines::visible(line.trim().as_bytes());
        let received = message("ZWEL0013I", format!("command received: {shown}"));
        self.tell(received.clone());
        self.reply(client, &Reply::Message(received));
        match operator::parse(line) {
            Ok(Command::Start(name)) => self.operator_start(client, &name),
            Ok(Command::Stop(name)) => self.stop_request(client, &[name], true),
            Ok(Command::Restart { component, reconfigure }) => {
                self.restart_request(client, &[component], reconfigure, false);
            }
            Ok(Command::Reload) => self.plan_anew(Purpose::Reload { check: false }, Some(client), false),
            Ok(Command::Display) => self.display(client),
            Err(refusal) => {
                let said = match refusal {
                    Refusal::BadValue => {
                        message("ZWEL0041E", format!("the value of `{shown}` makes no sense"))
                    }
                    Refusal::Unknown => {
                        let text = format!(
                            "unknown command `{shown}`; there are START(c), STOP(c), RESTART(c), \
                             RESTART(c,RECONFIGURE), RELOAD, DISP"
                        );
                        message("ZWEL0042E", text)
                    }
                };
                self.tell(said.clone());
                self.reply(client, &Reply::Message(said));
                self.reply(client, &Reply::Done { ok: false });
            }
        }
    }

    /// An operator's START of what runs is an error, as it always was.
    fn operator_start(&mut self, client: u32, name: &str) {
        let is_running = self
            .find(name)
            .and_then(|id| self.units.get(&id))
            .is_some_and(|unit| unit.life.is_running() && unit.pending.is_none());
        if is_running {
            let text = format!("component {} is already running", name.trim());
            self.reply(client, &Reply::Message(message("ZWEL0039E", text)));
            self.reply(client, &Reply::Done { ok: false });
        } else {
            self.start_request(client, &[name.to_owned()], false);
        }
    }

    fn display(&mut self, client: u32) {
        let text = format!("{:<16} {:<9} {:>8} {:>8} {:>10}", "component", "state", "pid", "restarts", "up");
        self.reply(client, &Reply::Message(message("ZWEL0010I", text)));
        let now_ms = clock::monotonic_ms();
        for id in self.order.clone() {
            let Some(unit) = self.units.get(&id) else { continue };
            let pid = unit.pid().map_or_else(|| "-1".to_owned(), |pid| pid.to_string());
            let up = unit.life.started_ms.map(|started_ms| seconds(now_ms.saturating_sub(started_ms)));
            let why = match &unit.wait {
                Waiting::Nothing => String::new(),
                Waiting::Coming(why) | Waiting::Hopeless(why) => format!(" {why}"),
            };
            let text = format!(
                "{:<16} {:<9} {pid:>8} {:>8} {:>10}{why}",
                unit.name(),
                name_of(unit.life.state),
                unit.life.runs.saturating_sub(1),
                up.unwrap_or_else(|| "-".to_owned()),
            );
            self.reply(client, &Reply::Message(message("ZWEL0011I", text)));
        }
        self.reply(client, &Reply::Done { ok: true });
    }

    /// SIGHUP: log files are opened anew, and the plan is made anew when somebody can make one.
    pub(super) fn hang_up(&mut self) {
        self.reopen_logs();
        if self.options.planner.is_some() && self.mode == Mode::Running {
            self.plan_anew(Purpose::Reload { check: false }, None, false);
        }
    }
}
