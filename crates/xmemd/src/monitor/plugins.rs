//! Plug-ins: loaded one after the other in the order of the member, kept alive, replaced while calls are under way.
//!
//! What happens to a host is decided by [`tender_auxiliary::Life`]; here are only the ways in which it is carried out: the
//! root process starts and kills, the control socket carries frames, the front gets the call socket of what is installed.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use tender_auxiliary::control::{self, Heard};
use tender_auxiliary::{Action, AnchorStore, Event, HostState, Life, Registry, RegistryError, Timing};
use tender_xmem::frame::PACKET_BYTES_MAX;
use tender_xmem::plugin::{CommandStatus, Descriptor, Start};

use super::rights::PluginService;
use super::{Monitor, Timer, token};
use crate::link::{FromMonitor, ToFront};
use crate::messages;
use crate::operator::Outcome;
use crate::wire::{self, Packet};

/// How long plug-ins may delay a start.
const LOAD_MS: u64 = 10_000;
/// How long a replaced host may finish its calls.
const FINISH_MS: u64 = 30_000;

/// One host of a plug-in.
#[derive(Debug)]
struct Hosted {
    /// What stands behind `ZWES.PLUGIN.` in the member.
    id: String,
    module: String,
    /// Numbers the attempt.
    start: u64,
    life: Life,
    control: Option<OwnedFd>,
    calls: Option<OwnedFd>,
    /// The name that it is installed under.
    name: Option<String>,
    pid: u32,
    trouble: String,
    /// Whether it takes the place of another one when it is ready.
    is_replacement: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Plugins {
    hosts: BTreeMap<u64, Hosted>,
    registry: Registry<u64>,
    next_host: u64,
    next_start: u64,
    /// Those of the member that are still to be loaded.
    to_load: Vec<(String, String)>,
    loading: Option<u64>,
    /// Commands that hosts have not answered: ticket by sequence.
    commands: HashMap<u64, (u64, String)>,
}

impl Monitor {
    fn now(&self) -> Duration {
        Duration::from_millis(self.clock.now_ms())
    }

    /// Begins to load what the member names.
    pub(super) fn load_plugins(&mut self) {
        self.plugins.to_load = self.settings.plugins.iter().rev().cloned().collect();
        self.timers.arm(Timer::Loaded, self.clock.now_ms() + LOAD_MS);
        self.load_next();
    }

    /// Begins to load what the member names since it was read again.
    pub(super) fn load_new_plugins(&mut self) {
        let is_known = |id: &String| {
            self.plugins.hosts.values().any(|hosted| hosted.id == *id)
                || self.plugins.to_load.iter().any(|(waiting, _)| waiting == id)
        };
        let new: Vec<_> =
            self.settings.plugins.iter().filter(|(id, _)| !is_known(id)).rev().cloned().collect();
        if new.is_empty() {
            return;
        }
        self.plugins.to_load.splice(0..0, new);
        if self.plugins.loading.is_none() {
            self.load_next();
        }
    }

    /// Says whether every plug-in has been tried, or has had its time.
    pub(super) fn are_plugins_loaded(&self) -> bool {
        !self.timers.is_armed(Timer::Loaded)
    }

    fn load_next(&mut self) {
        let Some((id, module)) = self.plugins.to_load.pop() else {
            self.plugins.loading = None;
            self.timers.disarm(Timer::Loaded);
            self.become_ready().ok();
            return;
        };
        let host = self.add_host(id, module, false);
        self.plugins.loading = Some(host);
        self.host_event(host, Event::Tick);
    }

    fn add_host(&mut self, id: String, module: String, is_replacement: bool) -> u64 {
        self.plugins.next_host += 1;
        let hosted = Hosted {
            id,
            module,
            start: 0,
            life: Life::new(Timing::default()),
            control: None,
            calls: None,
            name: None,
            pid: 0,
            trouble: String::new(),
            is_replacement,
        };
        self.plugins.hosts.insert(self.plugins.next_host, hosted);
        self.plugins.next_host
    }

    fn by_start(&self, start: u64) -> Option<u64> {
        self.plugins.hosts.iter().find(|(_, hosted)| hosted.start == start).map(|(id, _)| *id)
    }

    /// Lets something happen to a host, and carries out what follows.
    fn host_event(&mut self, host: u64, event: Event<'_>) {
        let now = self.now();
        let Some(hosted) = self.plugins.hosts.get_mut(&host) else { return };
        let actions = hosted.life.on(event, now);
        for action in actions {
            self.host_action(host, action);
        }
        let Some(hosted) = self.plugins.hosts.get(&host) else { return };
        let is_tried =
            !matches!(hosted.life.state(), HostState::Allocated | HostState::Starting | HostState::Init);
        match hosted.life.next_tick() {
            Some(at) => self.timers.arm(Timer::Host(host), u64::try_from(at.as_millis()).unwrap_or(u64::MAX)),
            None => self.timers.disarm(Timer::Host(host)),
        }
        if hosted.life.state() == HostState::Terminated && hosted.name.is_none() && hosted.is_replacement {
            self.plugins.hosts.remove(&host);
            self.timers.disarm(Timer::Host(host));
        }
        if is_tried && self.plugins.loading == Some(host) {
            self.load_next();
        }
    }

    pub(super) fn host_tick(&mut self, host: u64) {
        self.host_event(host, Event::Tick);
    }

    fn host_action(&mut self, host: u64, action: Action) {
        let Some(hosted) = self.plugins.hosts.get_mut(&host) else { return };
        match action {
            Action::Spawn => {
                self.plugins.next_start += 1;
                hosted.start = self.plugins.next_start;
                let order = FromMonitor::StartHost {
                    module: hosted.module.clone(),
                    start: hosted.start,
                    parameter: String::new(),
                };
                self.tell_root(&order).ok();
            }
            Action::SendStart => self.send_start(host),
            Action::SendPing => self.say_to_host(host, &control::ping()),
            Action::SendTerm => self.say_to_host(host, &control::term()),
            Action::Kill => {
                let order = FromMonitor::KillHost { module: hosted.module.clone(), start: hosted.start };
                self.tell_root(&order).ok();
            }
            Action::Install(descriptor) => self.install(host, descriptor),
            Action::Withdraw => self.withdraw(host),
            Action::Failed(why, pause) => {
                let again = match pause {
                    Some(pause) => format!("{why}; started again in {} ms", pause.as_millis()),
                    None => format!("{why}; not started again"),
                };
                hosted.trouble.clone_from(&why);
                let id = hosted.id.clone();
                self.print.say(messages::PLUGIN_FAILED, &[&id, &again]);
                self.close_host(host);
            }
            Action::Ended => self.close_host(host),
        }
    }

    fn close_host(&mut self, host: u64) {
        let Some(hosted) = self.plugins.hosts.get_mut(&host) else { return };
        if let Some(control) = hosted.control.take() {
            self.poller.remove(&control);
        }
        hosted.calls = None;
    }

    fn say_to_host(&mut self, host: u64, packet: &[u8]) {
        let Some(control) = self.plugins.hosts.get(&host).and_then(|hosted| hosted.control.as_ref()) else {
            return;
        };
        let flags = rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT;
        if rustix::net::send(control, packet, flags).is_err() {
            // Who does not read pings is found out by not answering them.
            self.print.debug(|| format!("host {host} takes no frames"));
        }
    }

    fn send_start(&mut self, host: u64) {
        let Some(hosted) = self.plugins.hosts.get(&host) else { return };
        let Some(descriptor) = hosted.life.descriptor() else { return };
        let store = AnchorStore::new(&self.begin.state.join("anchors"));
        let anchors = store.read(&descriptor.name, descriptor.anchor_layout).unwrap_or_else(|error| {
            self.print.say(messages::PLUGIN_FAILED, &[&hosted.id, &crate::role::chain(&error)]);
            BTreeMap::new()
        });
        let own = format!("{}.", hosted.id);
        let parameters = self.settings.parameters.iter().filter(|(key, _)| key.starts_with(&own)).cloned();
        let start = Start {
            server: self.begin.server.clone(),
            generation: self.begin.generation,
            parameters: parameters.collect(),
            anchors,
        };
        match control::start(&start) {
            Ok(packet) => self.say_to_host(host, &packet),
            Err(code) => self.host_event(host, Event::Misbehaved(code.text())),
        }
    }

    /// A host runs.
    pub(super) fn host_started(&mut self, start: u64, pid: u32, [control, calls]: [OwnedFd; 2]) {
        let Some(host) = self.by_start(start) else { return };
        if self.poller.add(&control, token::HOST | host).is_err() {
            return;
        }
        if let Some(hosted) = self.plugins.hosts.get_mut(&host) {
            hosted.control = Some(control);
            hosted.calls = Some(calls);
            hosted.pid = pid;
        }
        self.host_event(host, Event::Spawned);
    }

    pub(super) fn host_not_started(&mut self, start: u64, why: &str) {
        if let Some(host) = self.by_start(start) {
            self.host_event(host, Event::NotSpawned(why));
        }
    }

    pub(super) fn host_ended(&mut self, start: u64, how: &str) {
        if let Some(host) = self.by_start(start) {
            self.host_event(host, Event::Exited(how));
        }
    }

    /// Takes what a host says.
    pub(super) fn hear_host(&mut self, host: u64) {
        let mut buffer = vec![0; PACKET_BYTES_MAX + 1];
        for _ in 0..16 {
            let Some(control) = self.plugins.hosts.get(&host).and_then(|hosted| hosted.control.as_ref())
            else {
                return;
            };
            match wire::receive(control.as_fd(), &mut buffer) {
                Packet::Nothing => return,
                Packet::Bytes(bytes, None) => self.host_said(host, &buffer[..bytes]),
                // How it ended is said by the root process.
                Packet::End => {
                    let control = self.plugins.hosts.get_mut(&host).and_then(|hosted| hosted.control.take());
                    if let Some(control) = control {
                        self.poller.remove(&control);
                    }
                    return;
                }
                Packet::Bytes(..) | Packet::Violation(_) => {
                    return self.host_event(host, Event::Misbehaved("descriptors, or a packet too long"));
                }
            }
        }
    }

    fn host_said(&mut self, host: u64, packet: &[u8]) {
        match control::hear(packet) {
            Heard::Event(event) => self.host_event(host, event),
            Heard::Ping(sequence) => self.say_to_host(host, &control::pong(sequence)),
            Heard::Anchors(payload) => {
                let Some(hosted) = self.plugins.hosts.get(&host) else { return };
                let Some(descriptor) = hosted.life.descriptor() else { return };
                let store = AnchorStore::new(&self.begin.state.join("anchors"));
                if let Err(error) = store.keep(&descriptor.name, descriptor.anchor_layout, payload) {
                    self.print.say(messages::PLUGIN_FAILED, &[&hosted.id, &crate::role::chain(&error)]);
                }
            }
            Heard::Output { sequence, status, text } => self.host_answered(sequence, status, &text),
        }
    }

    /// Puts what a host serves in force.
    fn install(&mut self, host: u64, descriptor: Descriptor) {
        let Some(hosted) = self.plugins.hosts.get_mut(&host) else { return };
        let (name, start, is_replacement) = (descriptor.name.clone(), hosted.start, hosted.is_replacement);
        let known = self.plugins.registry.by_name(&name).map(|known| (known.descriptor.version, known.host));
        let is_own = known.is_some_and(|(_, serving)| serving.is_none());
        let installed = if is_replacement || is_own {
            self.plugins
                .registry
                .replace(&name, descriptor.clone(), start)
                .map(|old| old.filter(|_| is_replacement))
        } else {
            self.plugins.registry.install(descriptor.clone(), start).map(|()| None)
        };
        let old = match installed {
            Ok(old) => old,
            Err(error) => return self.not_installed(host, &error),
        };
        hosted.name = Some(name.clone());
        hosted.trouble.clear();
        if let Some((version, _)) = known
            && version != descriptor.version
        {
            self.print.say(messages::PLUGIN_VERSION, &[&name, &descriptor.version, &version]);
        }
        for service in &descriptor.services {
            let path = format!("{name}.{}", service.name);
            self.print.say(messages::SERVICE_INSTALLED, &[&path, &service.version]);
        }
        self.renew_plugins();
        self.give_plugin_to_front(host);
        if let Some(old) = old.and_then(|start| self.by_start(start)) {
            // The front says when it has answered everything; this is for one that never will.
            self.timers.arm(Timer::Retire(old), self.clock.now_ms() + FINISH_MS);
        }
    }

    fn not_installed(&mut self, host: u64, error: &RegistryError) {
        let id = self.plugins.hosts.get(&host).map(|hosted| hosted.id.clone()).unwrap_or_default();
        self.print.say(messages::PLUGIN_FAILED, &[&id, &error]);
        if let Some(hosted) = self.plugins.hosts.get_mut(&host) {
            hosted.trouble = error.to_string();
        }
        self.host_event(host, Event::Stop);
    }

    fn give_plugin_to_front(&mut self, host: u64) {
        let Some(hosted) = self.plugins.hosts.get(&host) else { return };
        let (Some(name), Some(calls)) = (&hosted.name, &hosted.calls) else { return };
        let Ok(calls) = calls.try_clone() else { return };
        let message = ToFront::Plugin { plugin: name.clone(), start: hosted.start };
        self.tell_front(&message, &[], vec![calls]);
    }

    /// Takes what a host serves out of force: its callers get 36.
    fn withdraw(&mut self, host: u64) {
        let Some(hosted) = self.plugins.hosts.get_mut(&host) else { return };
        let Some(name) = hosted.name.take() else { return };
        let start = hosted.start;
        // One that was replaced serves nothing any more.
        let is_current = self.plugins.registry.by_name(&name).is_some_and(|known| known.host == Some(start));
        if is_current {
            self.plugins.registry.deactivate(&name);
        }
        self.tell_front(&ToFront::NoPlugin { plugin: name, start }, &[], Vec::new());
    }

    /// Makes the list of services anew, and the tables of rights with it.
    fn renew_plugins(&mut self) {
        let services = |descriptor: &Descriptor| {
            let plugin = descriptor.name.clone();
            let service = |service: &tender_xmem::plugin::ServiceDescriptor| PluginService {
                plugin: plugin.clone(),
                service: service.name.clone(),
                version: service.version,
                specific: service.class.clone().zip(service.entity.clone()),
            };
            descriptor.services.iter().map(service).collect::<Vec<_>>()
        };
        let all: Vec<PluginService> =
            self.plugins.registry.plugins().flat_map(|known| services(&known.descriptor)).collect();
        if all != self.plugin_services {
            self.plugin_services = all;
            self.renew_tables();
        }
    }

    /// The front has answered everything that it had given to a host.
    pub(super) fn host_is_idle(&mut self, start: u64) {
        if let Some(host) = self.by_start(start) {
            self.retire(host);
        }
    }

    /// Has a host end that was replaced.
    pub(super) fn retire(&mut self, host: u64) {
        self.timers.disarm(Timer::Retire(host));
        self.host_event(host, Event::Stop);
    }

    /// A front was started: what the last one had under way with hosts is mixed up with what comes, so hosts begin anew.
    pub(super) fn plugins_lost_front(&mut self) {
        let serving: Vec<u64> = self
            .plugins
            .hosts
            .iter()
            .filter(|(_, hosted)| hosted.name.is_some())
            .map(|(host, _)| *host)
            .collect();
        for host in serving {
            self.host_event(host, Event::Misbehaved("the front ended while it may have had calls under way"));
        }
    }

    /// Tells every host to finish.
    pub(super) fn stop_plugins(&mut self) {
        for host in self.plugins.hosts.keys().copied().collect::<Vec<_>>() {
            self.host_event(host, Event::Stop);
        }
    }

    /// Gives a command to the plug-in of a nickname.
    pub(super) fn command_plugin(&mut self, ticket: u64, target: &str, text: &str) -> Result<(), Outcome> {
        let unknown = || {
            let hint = format!(": no plug-in is called {target}");
            Outcome::line(messages::UNKNOWN_COMMAND, &[&text, &hint])
        };
        let known = self.plugins.registry.by_nickname(target).ok_or_else(unknown)?;
        let inactive = || Outcome::line(messages::COMMAND_REJECTED, &[&text, &"the plug-in is not active"]);
        let start = known.host.ok_or_else(inactive)?;
        let name = known.descriptor.name.clone();
        let host = self.by_start(start).ok_or_else(inactive)?;
        if text == "REPLACE" {
            let Some(hosted) = self.plugins.hosts.get(&host) else { return Err(inactive()) };
            let id = hosted.id.clone();
            // As the member says now; that of one which is not named any more stays.
            let named = self.settings.plugins.iter().find(|(named, _)| *named == id);
            let module = named.map_or_else(|| hosted.module.clone(), |(_, module)| module.clone());
            let new = self.add_host(id, module, true);
            self.host_event(new, Event::Tick);
            return Err(Outcome::line(messages::COMMAND_ACCEPTED, &[&format!("REPLACE of {name}")]));
        }
        let packet = control::command(ticket, text)
            .map_err(|code| Outcome::line(messages::COMMAND_REJECTED, &[&text, &code.text()]))?;
        let typed = match text.split_once(' ') {
            Some((verb, rest)) => format!("{verb}({target}) {rest}"),
            None => format!("{text}({target})"),
        };
        self.plugins.commands.insert(ticket, (host, typed));
        self.say_to_host(host, &packet);
        Ok(())
    }

    fn host_answered(&mut self, ticket: u64, status: CommandStatus, said: &str) {
        let Some((_, text)) = self.plugins.commands.remove(&ticket) else { return };
        let lines = |first: String| std::iter::once(first).chain(said.lines().map(str::to_owned)).collect();
        let (lines, code) = match status {
            CommandStatus::Processed | CommandStatus::Consumed => {
                (said.lines().map(|line| messages::DISPLAY.with(&[&line])).collect(), 0)
            }
            CommandStatus::Unknown => {
                (lines(messages::UNKNOWN_COMMAND.with(&[&text, &" to the plug-in"])), 4)
            }
            CommandStatus::Rejected => {
                (lines(messages::COMMAND_REJECTED.with(&[&text, &"by the plug-in"])), 4)
            }
        };
        self.plugin_answered(ticket, lines, code);
    }

    /// Returns the plug-ins, in lines.
    pub(crate) fn plugin_lines(&self) -> Vec<String> {
        let line = |hosted: &Hosted| {
            let descriptor = hosted.life.descriptor();
            let what = descriptor.map_or_else(String::new, |found| {
                let services: Vec<&str> = found.services.iter().map(|service| &*service.name).collect();
                format!(
                    " {}({}) version {}: {}",
                    found.name,
                    found.nickname,
                    found.version,
                    services.join(" ")
                )
            });
            let trouble =
                if hosted.trouble.is_empty() { String::new() } else { format!("; {}", hosted.trouble) };
            format!(
                "  {} module {} {:?} pid {} failed {} times{what}{trouble}",
                hosted.id,
                hosted.module,
                hosted.life.state(),
                hosted.pid,
                hosted.life.failures()
            )
        };
        let mut lines: Vec<String> = self.plugins.hosts.values().map(line).collect();
        if lines.is_empty() {
            lines.push("  none".to_owned());
        }
        lines
    }
}
