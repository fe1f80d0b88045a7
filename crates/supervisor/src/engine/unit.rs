//! One component as the engine has it: its plan, its life, its processes.

use std::os::fd::OwnedFd;

use regex_lite::Regex;

use super::environment::Shared;
use super::notify::NotifySocket;
use super::probe::Question;
use crate::life::{Event, Life, Rules};
use crate::options::SuperviseError;
use crate::output::Output;
use crate::plan::{Component, Instance, LogSettings, Probe};
use crate::process::cgroup::ComponentCgroup;
use crate::process::ending::Ending;
use crate::process::signal;
use crate::process::spawn::{self, Report};

/// A component under supervision.
#[derive(Debug)]
pub(super) struct Unit {
    /// Its environment is without what is shared.
    pub(super) component: Component,
    pub(super) shared: Shared,
    pub(super) life: Life,
    pub(super) run: Option<Run>,
    /// Where its output comes from.
    pub(super) pipe: Option<OwnedFd>,
    pub(super) output: Output,
    pub(super) group: Option<ComponentCgroup>,
    pub(super) notify: Option<NotifySocket>,
    /// What it gave to be kept for its next run: sockets that go on listening in between.
    pub(super) kept: Vec<OwnedFd>,
    /// A probe that waits for its answer.
    pub(super) question: Option<Question>,
    pub(super) ready_pattern: Option<Regex>,
    pub(super) last_exit: Option<String>,
    /// The server of the run before.
    pub(super) last_pid: Option<i32>,
    /// What it says of itself (`STATUS=`).
    pub(super) status: Option<String>,
    /// The process of its pre-stop program.
    pub(super) pre_stop: Option<i32>,
    /// A stop or restart that waits for those who need it to stop first.
    pub(super) pending: Option<Event>,
    /// What becomes of it once it is at rest.
    pub(super) successor: Option<Successor>,
    pub(super) wait: Waiting,
    /// Kills for want of memory before this run.
    pub(super) memory_kills: u64,
    /// Which of its limits are not enforced, once that was told.
    pub(super) limits_note: Option<String>,
    /// Why it runs without a cgroup where others have one.
    pub(super) group_trouble: Option<String>,
}

/// What a WAITING component waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Waiting {
    #[default]
    Nothing,
    /// It will come by itself.
    Coming(String),
    /// It will not come by itself.
    Hopeless(String),
}

/// What takes the place of a component at rest.
#[derive(Debug)]
pub(super) enum Successor {
    Removed,
    Changed(Box<Component>, Shared),
}

/// One run of a component: from the start of its first process until the last of its tree is gone.
#[derive(Debug)]
pub(super) struct Run {
    /// The first process; the tree's session has its number.
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    /// The first process was waited for: its number may mean another one, unless its session lives.
    pub(super) has_leader_ended: bool,
    /// The server itself: the first process, or, when that has ended well, the oldest one left.
    pub(super) server: i32,
    pub(super) ending: Ending,
    /// The end of this run was told to the life; the rest of the tree is being cleared away.
    pub(super) is_end_told: bool,
    pub(super) report: Option<Report>,
}

/// What a child of this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// First process of a component.
    Leader(u32),
    /// A process of a component that became a child of this one.
    Member(u32),
    Probe(u32),
    PreStop(u32),
    Planner,
    /// Below a helper, or of nobody known: only waited for.
    Stray,
}

impl Unit {
    pub(super) fn new(
        component: Component,
        shared: &Shared,
        instance: &Instance,
        log: &LogSettings,
    ) -> Result<Self, SuperviseError> {
        check(&component)?;
        let path = instance.log_directory.join(&instance.id).join(format!("{}.log", component.name));
        let wants_notify = component.readiness.as_ref().is_some_and(|ready| ready.probe == Probe::Notify)
            || component.health.as_ref().is_some_and(|health| health.probe == Probe::Notify);
        let notify =
            if wants_notify {
                let directory = instance.private_directory.join("notify");
                Some(NotifySocket::open(&directory, &component.name).map_err(|source| {
                    SuperviseError::Path { step: "make a notify socket in", path: directory, source }
                })?)
            } else {
                None
            };
        let ready_pattern = match component.readiness.as_ref().map(|ready| &ready.probe) {
            Some(Probe::Log(pattern)) => {
                Some(Regex::new(pattern).map_err(|error| wrong(&component, &error))?)
            }
            _ => None,
        };
        Ok(Self {
            life: Life::new(),
            run: None,
            pipe: None,
            output: Output::new(&path, log),
            group: None,
            notify,
            kept: Vec::new(),
            question: None,
            ready_pattern,
            last_exit: None,
            last_pid: None,
            status: None,
            pre_stop: None,
            pending: None,
            successor: None,
            wait: Waiting::Nothing,
            memory_kills: 0,
            limits_note: None,
            group_trouble: None,
            component,
            shared: shared.clone(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.component.name
    }

    pub(super) fn rules(&self) -> Rules<'_> {
        Rules {
            restart: &self.component.restart,
            ready_within_ms: self.component.readiness.as_ref().map(|readiness| readiness.deadline_ms),
            health_failures_max: self.component.health.as_ref().map_or(1, |health| health.failures),
            grace_ms: self.component.stop.grace_ms,
        }
    }

    /// Returns the process shown to people.
    pub(super) fn pid(&self) -> Option<i32> {
        self.run.as_ref().map(|run| run.server)
    }

    /// Says whether it does what it is there for: READY, or done for good.
    pub(super) fn is_fine(&self) -> bool {
        self.life.state == crate::console::State::Ready || self.life.is_done
    }
}

fn wrong(component: &Component, what: &dyn std::fmt::Display) -> SuperviseError {
    SuperviseError::Component { component: component.name.clone(), what: what.to_string() }
}

/// Checks what would otherwise be noticed only when it is needed.
pub(super) fn check(component: &Component) -> Result<(), SuperviseError> {
    let name = &component.name;
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0', '\n']) {
        return Err(wrong(component, &"its name cannot be a file name"));
    }
    if signal::named(&component.stop.signal).is_none() {
        return Err(wrong(component, &format!("there is no signal {}", component.stop.signal)));
    }
    if let Some(variable) = component.environment.0.keys().find(|name| !spawn::is_variable_name(name)) {
        return Err(wrong(component, &format!("`{variable}` cannot be a variable")));
    }
    if let Some(Probe::Log(_)) = component.health.as_ref().map(|health| &health.probe) {
        return Err(wrong(component, &"a log pattern tells readiness, not health"));
    }
    let probes = component.readiness.iter().map(|ready| &ready.probe);
    for probe in probes.chain(component.health.iter().map(|health| &health.probe)) {
        super::probe::check(probe).map_err(|what| wrong(component, &what))?;
        if let Probe::Log(pattern) = probe {
            Regex::new(pattern).map_err(|error| wrong(component, &error))?;
        }
    }
    Ok(())
}
