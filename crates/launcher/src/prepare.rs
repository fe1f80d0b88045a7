//! Preparing a start: global validation, then all components validated, then all configured, then the plan.
//!
//! Everything is checked before anything is changed, and every component gets its row in the summary of each phase.
//! A component that fails is dealt with by its policy: `fail` starts nothing, `skip` leaves it out (and what requires
//! it), `warn` starts it all the same. Components of one phase run at the same time, up to a bound: neither `requires`
//! nor `after` orders validating and configuring.

mod configure;
mod configuring;
mod foresee;
mod global;
mod model;
mod planned;
mod planning;
mod problems;
mod read;
mod run;
mod snapshot;
mod subject;
mod validating;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tender_config::manifest::{FailurePolicy, Phase as Hook};
use tender_supervisor::Scope;
use tender_supervisor::plan::{LeftOut, Plan};

use crate::instance::{Instance, InstanceError, Loaded};
use crate::layout::LayoutError;
use crate::library::{self, LibraryError};
use crate::message::Message;
use crate::ports::PortState;
use crate::progress::{Event, Progress};
use crate::summary::{Outcome, Phase, PhaseSummary, Row};
use configure::Configured;
use model::Model;
use read::Reading;
use run::{Failure, Surroundings};
use subject::Subject;

pub(crate) use read::{add_base, certificate_of};
pub(crate) use snapshot::looks_secret;

/// Lines of output that a component left out takes along.
const LEFT_OUT_LINES: usize = 20;

/// How far preparation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Global validation and `validate` of the components; nothing is written.
    ValidateOnly,
    /// Everything, to a plan.
    Full,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct PrepareRequest {
    /// Which components; the others are not looked at.
    pub scope: Scope,
    /// How far.
    pub mode: Mode,
    /// How many scripts run at once.
    pub bound: NonZeroUsize,
    /// Time after which one script is killed, in milliseconds.
    pub script_limit_ms: u64,
    /// Every script that fails fails the whole, unless the component's own policy says otherwise.
    pub is_strict: bool,
    /// The `tender` program, for probes that the supervisor leaves to others.
    pub program: PathBuf,
}

impl PrepareRequest {
    /// Asks for all components, to a plan, with the usual limits.
    #[must_use]
    pub fn full(program: &Path) -> Self {
        Self {
            scope: Scope::All,
            mode: Mode::Full,
            bound: default_bound(),
            script_limit_ms: 300_000,
            is_strict: false,
            program: program.to_owned(),
        }
    }
}

/// Scripts mostly wait for programs they start, so a few more than there are cores.
fn default_bound() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
    NonZeroUsize::new((cores * 2).clamp(4, 32)).expect("at least four")
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// What to run; nothing when some phase failed, or when it was validation only.
    pub plan: Option<Plan>,
    /// The phases that were gone through.
    pub phases: Vec<PhaseSummary>,
    /// What is to be said, in order.
    pub messages: Vec<Message>,
}

impl Prepared {
    /// Says whether some phase failed, so that nothing may start.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.phases.iter().any(|phase| phase.worst() == Outcome::Failed)
    }

    /// Says whether something was left out or warned of.
    #[must_use]
    pub fn has_warnings(&self) -> bool {
        self.phases.iter().any(|phase| matches!(phase.worst(), Outcome::Warned | Outcome::Skipped))
    }

    /// Returns the rows that are not all right, with their phase.
    pub fn faults(&self) -> impl Iterator<Item = (Phase, &Row)> {
        let rows = self.phases.iter().flat_map(|phase| phase.rows.iter().map(|row| (phase.phase, row)));
        rows.filter(|(_, row)| row.outcome >= Outcome::Warned)
    }
}

/// Says why nothing could be prepared at all.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The configuration cannot be read.
    #[error("read the configuration")]
    Instance(#[from] InstanceError),
    /// A directory or file of the instance cannot be written.
    #[error("prepare the workspace")]
    Layout(#[from] LayoutError),
    /// The shell library cannot be written.
    #[error("prepare the workspace")]
    Library(#[from] LibraryError),
    /// A component is asked for that the configuration does not run.
    #[error("component `{name}` is not enabled; there are {}", known.join(" "))]
    Unknown {
        /// As asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
}

/// Prepares a start.
///
/// Errors: [`PrepareError`] when nothing could be tried; everything a user can mend in a configuration or a component
/// is in the result.
pub fn prepare(
    instance: &Instance,
    request: &PrepareRequest,
    progress: &dyn Progress,
) -> Result<Prepared, PrepareError> {
    prepare_loaded(instance, &instance.load()?, request, progress)
}

/// Prepares a start of an instance whose configuration is read already.
pub fn prepare_loaded(
    instance: &Instance,
    loaded: &Loaded,
    request: &PrepareRequest,
    progress: &dyn Progress,
) -> Result<Prepared, PrepareError> {
    let mut run = Run { progress, phases: Vec::new(), messages: Vec::new() };
    let Some(mut model) = run.configuration(instance, loaded)? else { return Ok(run.ended(None)) };
    restrict(&mut model, &request.scope)?;
    let own_ports = own_ports(&model);
    if run.phase(Phase::Global, global::check(&model, &own_ports)) == Outcome::Failed {
        return Ok(run.ended(None));
    }
    // Validation alone leaves nothing behind: what scripts read lies in a directory that goes.
    let scratch = (request.mode == Mode::ValidateOnly).then(tempfile::tempdir).transpose();
    let failed = |source| LayoutError::Directory { path: std::env::temp_dir(), source };
    let scratch = scratch.map_err(failed)?;
    let (private, _turn) = match &scratch {
        Some(scratch) => (scratch.path().to_owned(), None),
        None => {
            model.layout.create()?;
            (model.layout.private(), Some(model.layout.take_own_turn()?))
        }
    };
    let prelude = library::install(&private)?;
    give_look_alike(&mut model, &private)?;
    let surroundings = Surroundings {
        prelude,
        limit_ms: request.script_limit_ms,
        own_ports: own_ports.iter().map(u16::to_string).collect::<Vec<_>>().join(","),
    };
    let mut states: BTreeMap<String, State> = BTreeMap::new();
    if run.validate(&model, request, &surroundings, &mut states) == Outcome::Failed {
        return Ok(run.ended(None));
    }
    if request.mode == Mode::ValidateOnly {
        run.foresee(&model, request, &mut states);
        return Ok(run.ended(None));
    }
    if run.configure(&model, request, &surroundings, &mut states)? == Outcome::Failed {
        return Ok(run.ended(None));
    }
    let plan = run.plan(&model, request, &surroundings, states)?;
    Ok(run.ended(plan))
}

/// Keeps the components that are asked for.
fn restrict(model: &mut Model, scope: &Scope) -> Result<(), PrepareError> {
    let Scope::Components(names) = scope else { return Ok(()) };
    for name in names {
        if !model.subjects.iter().any(|subject| subject.name == *name) {
            let known = model.subjects.iter().map(|subject| subject.name.clone()).collect();
            return Err(PrepareError::Unknown { name: name.clone(), known });
        }
    }
    model.subjects.retain(|subject| names.contains(&subject.name));
    Ok(())
}

/// Returns the ports that the running instance has: they are taken, and rightly so.
///
/// Without a launcher they are those of components that a killed one left behind: the next one stops them before it
/// starts any.
fn own_ports(model: &Model) -> BTreeSet<u16> {
    if let Some(status) = crate::launch::status(&model.directory, &model.layout.ha_id) {
        return status.components.into_iter().flat_map(|component| component.ports).collect();
    }
    let is_orphan = |port: &u16| match crate::ports::probe(*port, &[]) {
        PortState::Taken(owner) => owner.pid.is_some_and(|pid| is_ours(pid, model)),
        PortState::Free | PortState::Unusable(_) => false,
    };
    model.ports.iter().map(|used| used.port).filter(is_orphan).collect()
}

/// Says whether a process is a component of this instance, by the environment it was started with.
fn is_ours(pid: u32, model: &Model) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let has = |wanted: &str| environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes());
    let is_marked = environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(b"TENDER_COMPONENT="));
    is_marked
        && has(&format!("ZWE_zowe_workspaceDirectory={}", model.layout.workspace.display()))
        && has(&format!("ZWE_haInstance_id={}", model.layout.ha_id))
}

/// Gives components whose scripts read the library of the reference a runtime directory that has one.
fn give_look_alike(model: &mut Model, private: &Path) -> Result<(), LibraryError> {
    const HOOKS: [Hook; 4] = [Hook::PreConfigure, Hook::Validate, Hook::Configure, Hook::Start];
    let expects = |subject: &Subject| {
        HOOKS.iter().any(|hook| {
            let script = subject.manifest.script(&subject.root, *hook);
            let text = script.and_then(|script| std::fs::read_to_string(script.path).ok());
            text.is_some_and(|text| library::is_expected_in(&model.runtime, &text))
        })
    };
    let wanting: Vec<usize> =
        (0..model.subjects.len()).filter(|index| expects(&model.subjects[*index])).collect();
    if wanting.is_empty() {
        return Ok(());
    }
    let place = library::look_alike(private, &model.runtime)?.display().to_string();
    for index in wanting {
        for name in ["ZWE_zowe_runtimeDirectory", "ROOT_DIR", "ZOWE_ROOT_DIR"] {
            let environment = &mut model.subjects[index].environment;
            if environment.get(name).is_some() {
                environment.set(name, place.clone());
            }
        }
    }
    Ok(())
}

/// What became of a component so far.
#[derive(Debug, Default)]
struct State {
    configured: Configured,
    left_out: Option<LeftOut>,
}

/// A preparation under way: what was found so far.
struct Run<'p> {
    progress: &'p dyn Progress,
    phases: Vec<PhaseSummary>,
    messages: Vec<Message>,
}

impl Run<'_> {
    fn ended(self, plan: Option<Plan>) -> Prepared {
        let Self { phases, messages, .. } = self;
        Prepared { plan, phases, messages }
    }

    fn say(&mut self, id: &str, text: impl Into<String>) {
        let message = Message::new(id, text);
        self.progress.event(&Event::Message(message.clone()));
        self.messages.push(message);
    }

    /// Records a phase whose rows are there already; returns how it came out.
    fn phase(&mut self, phase: Phase, rows: Vec<Row>) -> Outcome {
        self.progress.event(&Event::PhaseBegun { phase, rows: rows.len() });
        for row in &rows {
            self.progress.event(&Event::RowDone { phase, row: row.clone() });
        }
        let took_ms = rows.iter().map(|row| row.took_ms).sum();
        self.close(PhaseSummary { phase, took_ms, rows })
    }

    fn close(&mut self, summary: PhaseSummary) -> Outcome {
        let worst = summary.worst();
        self.progress.event(&Event::PhaseDone(summary.clone()));
        self.phases.push(summary);
        worst
    }

    /// Reads and checks the configuration; `None` when it cannot be used.
    fn configuration(&mut self, instance: &Instance, loaded: &Loaded) -> Result<Option<Model>, PrepareError> {
        self.say("ZWEL0020I", format!("loading configuration {}", instance.config()));
        let began = Instant::now();
        let reading = read::read(instance, loaded)?;
        let row = |outcome| Row::new("zowe.yaml and manifests", outcome, elapsed_ms(began));
        let (row, model) = match reading {
            Reading::Usable { model, warnings } if warnings.is_empty() => (row(Outcome::Done), Some(*model)),
            Reading::Usable { model, warnings } => {
                let said = row(Outcome::Warned).because(format!("{} warnings", warnings.len()));
                (Row { output: warnings, ..said }, Some(*model))
            }
            Reading::Wrong { problems } => {
                self.say("ZWEL0070E", "the configuration is not valid");
                let said = row(Outcome::Failed).because(format!("{} problems", problems.len()));
                (Row { output: problems, ..said }, None)
            }
        };
        self.phase(Phase::Configuration, vec![row]);
        if let Some(model) = &model {
            self.say("ZWEL0069I", "the configuration is valid");
            self.say("ZWEL0024I", format!("HA instance {}", model.layout.ha_id));
            self.say("ZWEL0017I", format!("runtime directory {}", model.runtime.display()));
            self.say("ZWEL0058I", format!("workspace directory {}", model.layout.workspace.display()));
        }
        Ok(model)
    }
}

/// Returns what follows from a failure of this component.
fn policy(subject: &Subject, usual: FailurePolicy, request: &PrepareRequest) -> FailurePolicy {
    let default = if request.is_strict { FailurePolicy::Fail } else { usual };
    subject.extension.on_failure.unwrap_or(default)
}

fn failed_row(subject: &Subject, policy: FailurePolicy, failure: Failure, began: Instant) -> Row {
    let outcome = match policy {
        FailurePolicy::Fail => Outcome::Failed,
        FailurePolicy::Skip => Outcome::Skipped,
        FailurePolicy::Warn => Outcome::Warned,
    };
    let row = Row::new(&subject.name, outcome, elapsed_ms(began)).because(failure.reason);
    Row { output: failure.output, ..row }
}

fn left_out(row: &Row, phase: Phase) -> LeftOut {
    let from = row.output.len().saturating_sub(LEFT_OUT_LINES);
    LeftOut {
        name: row.name.clone(),
        phase: phase.name().to_owned(),
        reason: row.reason.clone().unwrap_or_default(),
        output: row.output[from..].to_vec(),
    }
}

fn elapsed_ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
