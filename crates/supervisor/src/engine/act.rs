//! Carrying out what was decided about a component.

use std::fs::File;
use std::os::fd::AsFd as _;

use rustix::process::{Pid, Signal};

use super::unit::{Owner, Run};
use super::{Containment, Engine, Key, Mode};
use crate::clock;
use crate::console::{Reply, State};
use crate::life::{Action, Event, Notice, Timer};
use crate::messages::{message, of_notice};
use crate::plan::Limits;
use crate::poller::{Interest, Token};
use crate::process::ending::Ending;
use crate::process::spawn::{self, Program, Report, SpawnError, Spawned, Verdict};
use crate::process::tree::{self, MARKER};
use crate::process::{cgroup::Controllers, signal};

/// Time between two looks at a tree that is being killed.
const LOOK_MS: u64 = 20;

impl Engine {
    /// Has every event decided, and carries out what follows.
    pub(super) fn process_events(&mut self) {
        while let Some((id, event)) = self.events.pop_front() {
            let moment = self.moment();
            let Some(unit) = self.units.get_mut(&id) else { continue };
            let mut life = unit.life.clone();
            let actions = life.decide(unit.rules(), event, moment);
            unit.life = life;
            for action in actions {
                self.act(id, action);
            }
            self.look_after_sockets(id);
        }
    }

    fn act(&mut self, id: u32, action: Action) {
        match action {
            Action::Spawn => self.spawn(id),
            Action::AskToStop => self.ask_to_stop(id),
            Action::Kill => self.kill(id),
            Action::Arm(timer, at_ms) => self.timers.arm(Key::Unit(id, timer), at_ms),
            Action::Disarm(timer) => self.disarm(id, timer),
            Action::Moved { from, to } => self.moved(id, from, to),
            Action::Tell(notice) => self.tell_notice(id, &notice),
        }
    }

    fn moved(&mut self, id: u32, from: State, to: State) {
        self.is_dirty = true;
        match to {
            State::Ready if from == State::Starting => self.begin_probes(id),
            State::Starting | State::Ready | State::Degraded => {}
            _ => self.end_probes(id),
        }
        let Some(unit) = self.units.get_mut(&id) else { return };
        if to != State::Waiting {
            unit.wait = super::unit::Waiting::Nothing;
        }
        let reply = Reply::Event {
            component: unit.name().to_owned(),
            from,
            to,
            reason: unit.life.reason.clone().unwrap_or_default(),
            at_ms: clock::wall_ms(),
        };
        self.broadcast(&reply);
    }

    fn tell_notice(&mut self, id: u32, notice: &Notice) {
        let Some(unit) = self.units.get(&id) else { return };
        let text = of_notice(notice, unit.name(), unit.pid().or(unit.last_pid), &unit.life);
        let name = unit.name().to_owned();
        if *notice == Notice::KillFollows {
            self.tell_waiting(id, &text);
            if self.mode == Mode::ShuttingDown && !self.exit.forced.contains(&name) {
                self.exit.forced.push(name);
            }
        }
        self.tell(text);
    }

    fn spawn(&mut self, id: u32) {
        self.tell_limits_note(id);
        match self.try_spawn(id) {
            Ok(()) => self.journal.is_stale = true,
            Err(error) => {
                let has_no_room = error.has_no_room();
                self.push(id, Event::NotSpawned { why: error.to_string(), has_no_room });
            }
        }
    }

    fn try_spawn(&mut self, id: u32) -> Result<(), SpawnError> {
        let group = self.group_of(id);
        let Some(unit) = self.units.get_mut(&id) else { return Ok(()) };
        let (pipe, child_pipe) = spawn::output_pipe().map_err(SpawnError::System)?;
        let marker = format!("{}/{}", self.uuid, unit.component.name);
        let watchdog_us = super::watchdog_us(&unit.component);
        let mut markers: Vec<(&str, &str)> = Vec::new();
        if let Some(notify) = &unit.notify {
            markers.push(("NOTIFY_SOCKET", notify.address()));
        }
        if let Some(watchdog_us) = &watchdog_us {
            markers.push(("WATCHDOG_USEC", watchdog_us));
        }
        let kept: Vec<_> = unit.kept.iter().map(std::os::fd::AsFd::as_fd).collect();
        let count = kept.len().to_string();
        if !kept.is_empty() {
            markers.push(("LISTEN_FDS", &count));
        }
        markers.push((MARKER, &marker));
        let limits = unit.component.limits;
        let mut program = Program {
            command: &unit.component.command,
            directory: &unit.component.working_directory,
            environment: &unit.component.environment.0,
            shared: &unit.shared,
            markers: &markers,
            output: child_pipe.as_fd(),
            more: &kept,
            cgroup: group.as_ref().map(|group| group.as_fd()),
            files: limits.files.map_or(self.files, |files| (files, files)),
        };
        let spawned = match program.spawn() {
            Err(error) if group.is_some() && error.is_of_cgroup() => {
                // Better outside its cgroup than not at all: sub-reaper and marker hold it too.
                program.cgroup = None;
                unit.group = None;
                unit.group_trouble = Some(error.to_string());
                program.spawn()?
            }
            other => other?,
        };
        drop((child_pipe, kept));
        unit.memory_kills = unit.group.as_ref().and_then(|group| group.memory_kills()).unwrap_or(0);
        unit.status = None;
        // It has them; what it goes on using it gives again.
        self.drop_sockets(id);
        self.register(id, spawned, pipe);
        Ok(())
    }

    fn register(&mut self, id: u32, spawned: Spawned, pipe: std::os::fd::OwnedFd) {
        let Spawned { pid, pidfd, report } = spawned;
        let added = [
            self.poller.add(&pidfd, Token::Process(id), Interest::Read),
            self.poller.add(&pipe, Token::Output(id), Interest::Read),
            self.poller.add(&report, Token::Report(id), Interest::Read),
        ];
        self.owners.insert(pid, Owner::Leader(id));
        self.timers.disarm(Key::Flood(id));
        if let Some(unit) = self.units.get_mut(&id) {
            unit.pipe = Some(pipe);
            unit.run = Some(Run {
                pid,
                pidfd,
                has_leader_ended: false,
                server: pid,
                ending: Ending::unknown(),
                is_end_told: false,
                report: Some(report),
            });
        }
        if let Some(error) = added.into_iter().find_map(Result::err) {
            // It runs, but nobody would hear of it.
            let why = format!("its process cannot be watched: {error}");
            self.tell(message("ZWEL0040E", why));
            self.kill(id);
        }
    }

    /// Returns the opened cgroup of a component, making it when it is not there.
    fn group_of(&mut self, id: u32) -> Option<std::os::fd::OwnedFd> {
        let Containment::Cgroups(instance) = &self.containment else { return None };
        let unit = self.units.get_mut(&id)?;
        let mut trouble = None;
        if unit.group.as_ref().is_some_and(|group| group.is_killed()) {
            let is_gone = unit.group.take().is_some_and(|group| group.remove());
            trouble = (!is_gone).then(|| "its old one cannot be removed".to_owned());
        }
        if unit.group.is_none() && trouble.is_none() {
            let name = cgroup_name(&unit.component.job_name, &unit.component.name);
            match instance.component(&name, &unit.component.limits) {
                Ok(group) => unit.group = Some(group),
                Err(error) => trouble = Some(error.to_string()),
            }
        }
        unit.group_trouble.clone_from(&trouble);
        if let Some(why) = trouble {
            let text = format!("component {} runs without a cgroup: {why}", unit.component.name);
            self.tell(message("ZWEL0094W", text));
            return None;
        }
        let unit = self.units.get_mut(&id)?;
        let opened = unit.group.as_ref().map(|group| group.descriptor());
        match opened {
            Some(Ok(descriptor)) => Some(descriptor),
            // Somebody removed it: made anew at the next start.
            _ => {
                unit.group = None;
                None
            }
        }
    }

    fn tell_limits_note(&mut self, id: u32) {
        let controllers = match &self.containment {
            Containment::Cgroups(group) => group.controllers(),
            Containment::SubReaper(_) => Controllers::default(),
        };
        let Some(unit) = self.units.get_mut(&id) else { return };
        if unit.limits_note.is_some() {
            return;
        }
        unit.limits_note = limits_note(&unit.component.limits, controllers);
        if let Some(note) = &unit.limits_note {
            let text = format!("component {}: {note}", unit.component.name);
            self.tell(message("ZWEL0084W", text));
        }
    }

    /// Takes whether a program could be executed.
    pub(super) fn take_report(&mut self, id: u32) {
        let Some(unit) = self.units.get_mut(&id) else { return };
        let Some(run) = &mut unit.run else { return };
        let Some(report) = &run.report else { return };
        match report.read(&unit.component.command, &unit.component.working_directory) {
            Verdict::NotYet => {}
            verdict => {
                self.poller.remove(report);
                run.report = None;
                if let Verdict::NotExecuted(why) = verdict {
                    self.push(id, Event::NotExecuted(why));
                } else {
                    self.push(id, Event::Executed);
                    self.begin_probes(id);
                }
            }
        }
    }

    /// Runs the pre-stop program, and then sends the signal.
    fn ask_to_stop(&mut self, id: u32) {
        let pre_stop = self.units.get(&id).and_then(|unit| unit.component.stop.pre_stop.clone());
        if let Some(command) = pre_stop.filter(|command| !command.is_empty()) {
            match self.spawn_helper(id, &command, Owner::PreStop(id)) {
                Ok((pid, _)) => {
                    if let Some(unit) = self.units.get_mut(&id) {
                        unit.pre_stop = Some(pid);
                    }
                    return;
                }
                Err(why) => {
                    let name = self.units.get(&id).map(|unit| unit.name().to_owned()).unwrap_or_default();
                    self.tell(message("ZWEL0093E", format!("pre-stop program of component {name}: {why}")));
                }
            }
        }
        self.send_stop_signal(id);
    }

    /// Sends the stop signal to every process of a tree.
    pub(super) fn send_stop_signal(&mut self, id: u32) {
        let Some(unit) = self.units.get(&id) else { return };
        let wanted = signal::named(&unit.component.stop.signal).unwrap_or(Signal::TERM);
        let tree = self.tree(id);
        if tree.is_empty() {
            self.look_again(id);
            return;
        }
        for stat in &tree {
            tree::send(stat, wanted);
            // One that was halted could not take it otherwise.
            tree::send(stat, Signal::CONT);
        }
    }

    /// Kills a tree, and looks again soon whether it is gone.
    pub(super) fn kill(&mut self, id: u32) {
        let Some(unit) = self.units.get_mut(&id) else { return };
        let pre_stop = unit.pre_stop.take();
        if let Some(pid) = pre_stop {
            self.kill_helper(pid);
        }
        let is_killed = self
            .units
            .get(&id)
            .and_then(|unit| unit.group.as_ref())
            .is_some_and(|group| group.kill().is_ok());
        if !is_killed {
            for stat in self.tree(id) {
                tree::send(&stat, Signal::KILL);
            }
        }
        self.arm(id, Timer::Look, LOOK_MS);
    }

    /// Looks whether a tree that is being stopped is gone; what is left of one being killed is killed again.
    pub(super) fn look_again(&mut self, id: u32) {
        self.reap();
        self.check_tree(id);
        let is_killing = self.timers.is_armed(Key::Unit(id, Timer::GiveUp));
        if is_killing && self.units.get(&id).is_some_and(|unit| unit.run.is_some()) {
            self.kill(id);
        }
    }

    /// Starts a program beside a component: with its environment and directory, but not of its tree.
    pub(super) fn spawn_helper(
        &mut self,
        id: u32,
        command: &[String],
        owner: Owner,
    ) -> Result<(i32, Report), String> {
        let unit = self.units.get(&id).ok_or_else(|| "the component is gone".to_owned())?;
        let nothing = File::options().write(true).open("/dev/null").map_err(|error| error.to_string())?;
        let marker = format!("{}/{}#helper", self.uuid, unit.component.name);
        let server = unit.pid().map(|pid| pid.to_string()).unwrap_or_default();
        let program = Program {
            command,
            directory: &unit.component.working_directory,
            environment: &unit.component.environment.0,
            shared: &unit.shared,
            markers: &[("MAINPID", &server), (MARKER, &marker)],
            output: nothing.as_fd(),
            more: &[],
            cgroup: None,
            files: self.files,
        };
        let spawned = program.spawn().map_err(|error| error.to_string())?;
        self.owners.insert(spawned.pid, owner);
        Ok((spawned.pid, spawned.report))
    }

    /// Kills a helper with its session; it is waited for like every child.
    pub(super) fn kill_helper(&mut self, pid: i32) {
        // It was not waited for yet, so the number still means it.
        if self.owners.contains_key(&pid)
            && let Some(pid) = Pid::from_raw(pid)
        {
            // One that ended by itself needs no killing.
            rustix::process::kill_process_group(pid, Signal::KILL).ok();
        }
    }

    /// Takes what a component says of itself.
    pub(super) fn take_notifications(&mut self, id: u32) {
        while let Some((said, descriptors)) =
            self.units.get(&id).and_then(|unit| unit.notify.as_ref()).and_then(|notify| notify.receive())
        {
            let Some(unit) = self.units.get_mut(&id) else { return };
            let uses = |probe: Option<&crate::plan::Probe>| probe == Some(&crate::plan::Probe::Notify);
            let is_for_ready = uses(unit.component.readiness.as_ref().map(|ready| &ready.probe));
            let is_for_health = uses(unit.component.health.as_ref().map(|health| &health.probe));
            if said.status.is_some() {
                unit.status = said.status;
            }
            if said.is_ready && is_for_ready {
                self.push(id, Event::Answered);
            }
            if said.is_alive && is_for_health {
                self.answered(id, Ok(()));
            }
            if let Some(pid) = said.main_pid {
                self.follow(id, pid);
            }
            self.keep_sockets(id, descriptors);
        }
    }
}

/// Says which limits nobody enforces, and what would help.
///
/// A limit of memory is not replaced by one of the shell's (`ulimit`): those hold for each process by itself and count
/// what is reserved or mapped, not what is used. A Node or Java server far below its limit would not even start, and a
/// tree of small processes could use any amount.
fn limits_note(limits: &Limits, controllers: Controllers) -> Option<String> {
    let missing = [
        ("memory", limits.memory_bytes.is_some() && !controllers.has_memory),
        ("cpu", limits.cpu_percent.is_some() && !controllers.has_cpu),
        ("tasks", limits.tasks.is_some() && !controllers.has_pids),
    ];
    let missing: Vec<&str> =
        missing.iter().filter(|(_, is_missing)| *is_missing).map(|(name, _)| *name).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "its limits of {} are not enforced: this launcher has no cgroup controller for them; it has where cgroups of \
             version 2 are delegated to it, such as by systemd with `Delegate=yes`",
            missing.join(", ")
        )
    })
}

/// Returns the name of a component's cgroup: its job name, as far as that can be a directory of ours.
fn cgroup_name(job_name: &str, name: &str) -> String {
    let text = if job_name.is_empty() { name } else { job_name };
    let clean: String = text
        .chars()
        .map(
            |character| {
                if character.is_ascii_alphanumeric() || "-_".contains(character) { character } else { '_' }
            },
        )
        .collect();
    // Two components may have one job name, and `cgroup.…` is the kernel's own.
    format!("{clean}.{}", name.replace(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'), "_"))
}
