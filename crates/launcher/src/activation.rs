//! Following the slots of a managed system: what a launcher does around a switch of levels.
//!
//! Nothing that runs is touched before the switch: a level is validated and configured against a workspace of its own,
//! which is thrown away. After the switch the running launcher makes a new plan and restarts what changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tender_supervisor::client::{self, ClientError};
use tender_supervisor::console::{InstanceStatus, Reply, Request, State};
use tender_supervisor::lock::InstanceLock;

use crate::instance::{Instance, InstanceError};
use crate::launch::background::{self, StartError, StartRequest, Started};
use crate::launch::child::{Identity, faults};
use crate::layout::{Layout, LayoutError, create_dir, remove_dir, write_if_changed};
use crate::message::{Message, Severity};
use crate::prepare::{PrepareError, PrepareRequest, Prepared, prepare};
use crate::progress::{Event, Progress};

/// Says why a level was not activated.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// The instance cannot be read.
    #[error("read the configuration")]
    Instance(#[from] InstanceError),
    /// Nothing could be tried.
    #[error("prepare the instance")]
    Prepare(#[from] PrepareError),
    /// A directory could not be made or removed.
    #[error("make a workspace for the trial")]
    Layout(#[from] LayoutError),
    /// The level's components do not validate or configure.
    #[error("the components are not fit to start:\n{}", faults.join("\n"))]
    Unfit {
        /// What is wrong, output of scripts included.
        faults: Vec<String>,
    },
    /// The launcher could not be asked.
    #[error("ask the launcher")]
    Console(#[from] ClientError),
    /// The launcher could not be started.
    #[error("start the launcher")]
    Start(#[from] StartError),
    /// Components are not ready in time, or failed.
    #[error("the components are not ready: {summary}")]
    NotReady {
        /// What is wrong, in one line.
        summary: String,
        /// What each component that is not READY had to say.
        components: Vec<NotReady>,
    },
    /// The launcher would not do it.
    #[error("the launcher refused: {}", messages.join("; "))]
    Refused {
        /// What it said.
        messages: Vec<String>,
    },
}

/// A component that did not become READY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotReady {
    /// Its name.
    pub name: String,
    /// The state it is in.
    pub state: String,
    /// Why.
    pub reason: String,
    /// The last lines it printed.
    pub output: Vec<String>,
}

impl NotReady {
    /// Writes it as lines: what, why, and the end of the last output.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let first = format!("{} is {}: {}", self.name, self.state, self.reason);
        let said = self.output.iter().filter(|line| line.contains(char::is_alphanumeric));
        let said: Vec<String> = said.map(|line| format!("  {line}")).collect();
        let end = said[said.len().saturating_sub(OUTPUT_LINES_SHOWN)..].iter().cloned();
        [first].into_iter().chain(end).collect()
    }
}

/// Lines of output that go into a message; the log has them all.
const OUTPUT_LINES_SHOWN: usize = 4;

/// Validates and configures every component of the product tree `level` and changes nothing that runs.
///
/// Scripts get a workspace and a log directory of their own, removed afterwards. Ports that the running instance has
/// are not in the way. Every script that fails counts, unless the component's own policy says otherwise.
pub fn validate_and_configure(
    instance: &Instance,
    level: &Path,
    request: &PrepareRequest,
    progress: &dyn Progress,
) -> Result<Prepared, ActivationError> {
    let layout = instance.load()?.layout()?;
    let trial = Trial::make(&layout)?;
    let instance = instance.with_runtime(level).with_overlay(&trial.overlay);
    let request = PrepareRequest { is_strict: true, ..request.clone() };
    let prepared = prepare(&instance, &request, progress)?;
    if prepared.is_failed() {
        return Err(ActivationError::Unfit { faults: faults(&prepared) });
    }
    Ok(prepared)
}

/// A workspace that goes when it is dropped.
struct Trial {
    root: PathBuf,
    overlay: PathBuf,
}

impl Trial {
    fn make(layout: &Layout) -> Result<Self, LayoutError> {
        let env = layout.env();
        for directory in [&layout.workspace, &env] {
            create_dir(directory, if *directory == env { 0o700 } else { 0o770 })?;
        }
        remove_abandoned(&env)?;
        let made = tempfile::Builder::new().prefix(TRIAL_PREFIX).tempdir_in(&env);
        let root = made.map_err(|source| LayoutError::Directory { path: env, source })?.keep();
        let overlay = root.join("overlay.yaml");
        let directories = serde_json::json!({ "zowe": {
            "workspaceDirectory": root.join("workspace"),
            "logDirectory": root.join("logs"),
        }});
        let trial = Self { root, overlay };
        write_if_changed(&trial.overlay, directories.to_string().as_bytes(), 0o600)?;
        Ok(trial)
    }
}

const TRIAL_PREFIX: &str = ".trial-";

/// Removes trials that a killed process left; one that goes on is younger than any script may be.
fn remove_abandoned(env: &Path) -> Result<(), LayoutError> {
    const OLD: Duration = Duration::from_secs(24 * 3600);
    for path in crate::register::api_definition::entries(env)? {
        let is_trial = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TRIAL_PREFIX));
        let changed = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let is_old = changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > OLD));
        if is_trial && is_old {
            remove_dir(&path)?;
        }
    }
    Ok(())
}

impl Drop for Trial {
    fn drop(&mut self) {
        // What cannot be removed now is removed by a later trial.
        fs::remove_dir_all(&self.root).ok();
    }
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Components that were started for the first time.
    pub added: Vec<String>,
    /// Components that were stopped.
    pub removed: Vec<String>,
    /// Components that were restarted.
    pub changed: Vec<String>,
    /// Components that kept their process.
    pub unchanged: Vec<String>,
    /// How the instance is now.
    pub status: InstanceStatus,
}

/// Has the running launcher make a new plan, restart what changed, and waits until all is READY.
///
/// Nothing running is no error: `None`. What failed comes with its last output.
pub fn reload_and_wait(
    instance: &Instance,
    limit: Duration,
    progress: &dyn Progress,
) -> Result<Option<Reloaded>, ActivationError> {
    let identity = instance.identity()?;
    if InstanceLock::holder(&identity.directory, &identity.ha_id).is_none() {
        return Ok(None);
    }
    let began = Instant::now();
    let socket = client::socket_path(&identity.directory, &identity.ha_id);
    let mut console = client::connect(&socket)?;
    let mut reloaded = None;
    let (mut is_done, mut messages) = (false, Vec::new());
    for reply in console.request(&Request::Reload { check: false, wait: false })? {
        match reply? {
            Reply::Message(message) => {
                let message = Message::from(message);
                messages.push(message.to_string());
                progress.event(&Event::Message(message));
            }
            Reply::Changes { added, removed, changed, unchanged } => {
                reloaded = Some((added, removed, changed, unchanged));
            }
            Reply::Event { component, to, reason, .. } => {
                progress.event(&Event::State { component, state: to, reason });
            }
            Reply::Done { ok } => is_done = ok,
            Reply::Status(_) | Reply::Line { .. } => {}
        }
    }
    let Some((added, removed, changed, unchanged)) = reloaded.filter(|_| is_done) else {
        return Err(ActivationError::Refused { messages });
    };
    let status = await_ready(&mut console, limit.saturating_sub(began.elapsed()))?;
    if let Some(error) = not_ready(&status, limit) {
        return Err(error);
    }
    Ok(Some(Reloaded { added, removed, changed, unchanged, status }))
}

fn await_ready(console: &mut client::Client, limit: Duration) -> Result<InstanceStatus, ActivationError> {
    let timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    console.ask(&Request::AwaitReady { timeout_ms })?;
    Ok(background::ask_status(console)?)
}

/// Makes an error of a status that is not READY, or that leaves something out.
fn not_ready(status: &InstanceStatus, limit: Duration) -> Option<ActivationError> {
    let mut components: Vec<NotReady> = Vec::new();
    // What an operator stopped is as it should be, before a switch and after it.
    let is_wrong = |state: State| !matches!(state, State::Ready | State::Stopped);
    for component in status.components.iter().filter(|component| is_wrong(component.state)) {
        let reason = component.reason.clone().or_else(|| component.last_exit.clone());
        let is_late = matches!(component.state, State::Starting | State::Waiting) || reason.is_none();
        let late = is_late.then(|| format!("not READY within {} s", limit.as_secs()));
        let why = late.into_iter().chain(reason).collect::<Vec<_>>().join("; ");
        components.push(NotReady {
            name: component.name.clone(),
            state: format!("{:?}", component.state).to_uppercase(),
            reason: why,
            output: component.last_output.clone(),
        });
    }
    for one in &status.left_out {
        components.push(NotReady {
            name: one.name.clone(),
            state: "LEFT OUT".to_owned(),
            reason: format!("{}: {}", one.phase, one.reason),
            output: one.output.clone(),
        });
    }
    let summary =
        components.iter().map(|one| format!("{} {}", one.name, one.state)).collect::<Vec<_>>().join(", ");
    (!components.is_empty()).then_some(ActivationError::NotReady { summary, components })
}

/// What a test instance showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Every component became READY.
    pub is_ready: bool,
    /// What happened, in one line.
    pub summary: String,
    /// How long it took until it was READY or gave up, in milliseconds.
    pub took_ms: u64,
    /// Its state then; nothing when it could not be prepared.
    pub status: Option<InstanceStatus>,
    /// What was wrong, output included.
    pub faults: Vec<String>,
}

/// How a test instance is run.
#[derive(Debug, Clone)]
pub struct TestRequest {
    /// The `tender` program.
    pub program: PathBuf,
    /// How long components may take until they are READY.
    pub limit: Duration,
    /// It goes on running afterwards.
    pub is_kept: bool,
}

/// Starts a test instance, waits until it is READY or gives up, says what it showed, and stops it unless it is kept.
///
/// One that runs from an earlier test is stopped first.
pub fn start_test(instance: &Instance, request: &TestRequest) -> Result<TestResult, ActivationError> {
    let identity = instance.identity()?;
    stop(&identity)?;
    let began = Instant::now();
    let found = std::sync::Mutex::new(Vec::new());
    let said = std::sync::Mutex::new(Vec::new());
    let progress = |event: &Event| match event {
        Event::PhaseDone(summary) => {
            found.lock().expect("no thread panics while it holds the list").push(summary.clone());
        }
        Event::Message(message) if message.severity() == Severity::Error => {
            said.lock().expect("no thread panics while it holds the list").push(message.to_string());
        }
        _ => {}
    };
    let limit_ms = u64::try_from(request.limit.as_millis()).unwrap_or(u64::MAX);
    let start = StartRequest { program: request.program.clone(), ready_limit_ms: limit_ms.max(1) };
    let started = background::start(instance, &start, &progress)?;
    let phases = found.into_inner().expect("no thread panics while it holds the list");
    let prepared = Prepared { plan: None, phases, messages: Vec::new() };
    let mut faults = faults(&prepared);
    faults.extend(said.into_inner().expect("no thread panics while it holds the list"));
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (status, is_ready) = match started {
        Started::Ready(status) => (Some(status), true),
        Started::NotReady(status) => (Some(status), false),
        Started::Running | Started::NotPrepared { .. } => (None, false),
    };
    let error = status.as_ref().and_then(|status| not_ready(status, request.limit));
    let summary = match (&error, &status) {
        (Some(ActivationError::NotReady { summary, components }), _) => {
            faults.extend(components.iter().flat_map(NotReady::lines));
            summary.clone()
        }
        (_, Some(status)) => format!("{} components READY after {took_ms} ms", status.components.len()),
        (_, None) => "the instance could not be prepared".to_owned(),
    };
    if !request.is_kept {
        stop(&identity)?;
    }
    Ok(TestResult { is_ready: is_ready && error.is_none(), summary, took_ms, status, faults })
}

/// Stops a running launcher and waits until it has given its lock back.
fn stop(identity: &Identity) -> Result<(), ActivationError> {
    const STOP_LIMIT: Duration = Duration::from_secs(300);
    const LOOK_AGAIN: Duration = Duration::from_millis(10);
    if InstanceLock::holder(&identity.directory, &identity.ha_id).is_none() {
        return Ok(());
    }
    let mut console = client::connect(&client::socket_path(&identity.directory, &identity.ha_id))?;
    // It answers, ends, and the connection with it: either end of the answer will do.
    for reply in console.request(&Request::Shutdown)? {
        if reply.is_err() {
            break;
        }
    }
    let deadline = Instant::now() + STOP_LIMIT;
    while InstanceLock::holder(&identity.directory, &identity.ha_id).is_some() {
        if Instant::now() > deadline {
            let source = io::Error::from(io::ErrorKind::TimedOut);
            return Err(ClientError::Talk(source).into());
        }
        std::thread::park_timeout(LOOK_AGAIN);
    }
    Ok(())
}
