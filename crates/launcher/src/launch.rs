//! Running an instance: lock, prepare in a process of its own, supervise.
//!
//! Preparing needs YAML, schemas and perhaps a template engine; the process that then supervises for months should
//! carry none of that. So the plan is made by a child, `tender launcher prepare`, and comes back through a pipe.
//!
//! ```text
//! tender start ──► tender launcher run (own session) ──► tender launcher prepare ──► plan
//!      ▲                 │ lock, supervise                     │
//!      └─── events ◄─────┴──────────── events ◄────────────────┘
//! ```

pub mod background;
pub mod child;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use tender_supervisor::client;
use tender_supervisor::console::{InstanceStatus, Reply, Request};
use tender_supervisor::lock::{InstanceLock, LockError};
use tender_supervisor::plan::{LogSettings, Plan};
use tender_supervisor::{Exit, LogFile, Options, Planner, Scope, SuperviseError, Written};

use crate::instance::Instance;
use crate::layout::create_dir;
use crate::message::{Message, chain, log_line};
use crate::prepare::Prepared;
use crate::progress::{Event, Progress};
use child::ChildError;

/// How an instance is run.
pub struct RunRequest {
    /// The `tender` program: it is executed again to prepare and to probe.
    pub program: PathBuf,
    /// Messages go to a log file of the instance instead of to `progress` alone, and the process becomes the leader
    /// of a session of its own.
    pub is_detached: bool,
    /// Takes what happens.
    pub progress: Arc<dyn Progress + Send + Sync>,
}

impl std::fmt::Debug for RunRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunRequest").field("program", &self.program).finish_non_exhaustive()
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// Preparing found what must be mended first; nothing was started.
    NotPrepared(Box<Prepared>),
    /// It ran and was stopped.
    Stopped(Exit),
}

/// Says why an instance could not be run.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Another launcher runs it.
    #[error("take the lock of the instance")]
    Lock(#[from] LockError),
    /// The child that prepares went wrong.
    #[error("prepare the instance")]
    Child(#[from] ChildError),
    /// Components could not be supervised.
    #[error("run the components")]
    Supervise(#[from] SuperviseError),
    /// The log of the launcher cannot be written.
    #[error("open the log `{}`: {reason}", path.display())]
    Log {
        /// Which.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

/// Runs an instance until it is stopped.
pub fn run(instance: &Instance, request: &RunRequest) -> Result<Ended, LaunchError> {
    if request.is_detached {
        // Fails only for a process that leads its group already; then nothing else hangs on a terminal either.
        rustix::process::setsid().ok();
    }
    let log = Arc::new(Mutex::new(LauncherLog {
        progress: Arc::clone(&request.progress),
        file: None,
        early: Vec::new(),
        is_awaited: request.is_detached,
    }));
    say(&log, "ZWEL0021I", format!("the launcher of {} starts", instance.directory().display()));
    say(&log, "ZWEL0023I", format!("configuration {}", instance.config()));
    let mut locks = None;
    let mut child = child::start(instance, &request.program)?;
    let identity = child.identity()?;
    if let Some(identity) = &identity {
        locks = Some(take_locks(identity).inspect_err(|_| child.abandon())?);
        if request.is_detached {
            open_log(&log, &identity.logs, &identity.ha_id)?;
        }
    }
    let mut prepared = child.finish(request.progress.as_ref(), &mut |message| log_message(&log, message))?;
    let Some(plan) = prepared.plan.take_if(|plan| !plan.components.is_empty()) else {
        say(&log, "ZWEL0030E", "the instance is not prepared; nothing was started".to_owned());
        return Ok(Ended::NotPrepared(Box::new(prepared)));
    };
    drop(prepared);
    limit_log(&log, &plan.log);
    let (own, shared) = locks.map_or((None, None), |(own, shared)| (Some(own), Some(shared)));
    let exit = supervise(instance, request, plan, own, &log)?;
    drop(shared);
    if !exit.forced.is_empty() {
        say(&log, "ZWEL0053W", format!("components that had to be killed: {}", exit.forced.join(", ")));
    }
    say(&log, "ZWEL0022I", "the launcher stopped".to_owned());
    Ok(Ended::Stopped(exit))
}

/// Returns the state of the running instance; nothing when none runs or it does not answer.
#[must_use]
pub fn status(directory: &Path, ha_id: &str) -> Option<InstanceStatus> {
    let mut client = client::connect(&client::socket_path(directory, ha_id)).ok()?;
    client.ask(&Request::Status).ok()?.into_iter().find_map(|reply| match reply {
        Reply::Status(status) => Some(status),
        _ => None,
    })
}

/// Takes the lock of the instance directory and that of the workspace, which another directory may share.
fn take_locks(identity: &child::Identity) -> Result<(InstanceLock, InstanceLock), LockError> {
    let own = InstanceLock::acquire(&identity.directory, &identity.ha_id)?;
    let made = create_dir(&identity.private, 0o700);
    made.map_err(|error| LockError::Io { path: identity.private.clone(), source: io::Error::other(error) })?;
    let shared = InstanceLock::acquire(&identity.private, &identity.ha_id)?;
    Ok((own, shared))
}

fn supervise(
    instance: &Instance,
    request: &RunRequest,
    plan: Plan,
    lock: Option<InstanceLock>,
    log: &Arc<Mutex<LauncherLog>>,
) -> Result<Exit, LaunchError> {
    let pinned = instance.pinned(&plan.instance.id);
    let planner = ChildPlanner { instance: pinned, program: request.program.clone() };
    let (messages, notable) = (Arc::clone(log), Arc::clone(log));
    request.progress.event(&Event::Supervising { ha_id: plan.instance.id.clone() });
    let options = Options {
        planner: Some(Box::new(planner)),
        messages: Box::new(move |message| log_message(&messages, &Message::from(message.clone()))),
        notable: Box::new(move |component, line| {
            // The line has its own id and time.
            log_message(&notable, &Message::new("ZWEL0800I", format!("{component}: {line}")));
        }),
        lock,
        ..Options::default()
    };
    Ok(tender_supervisor::run(plan, options)?)
}

/// Makes new plans by executing ourselves again.
#[derive(Debug)]
struct ChildPlanner {
    instance: Instance,
    program: PathBuf,
}

impl Planner for ChildPlanner {
    fn command(&self, scope: &Scope) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["launcher", "prepare", "--output", "plan"]).args(self.instance.arguments());
        if let Scope::Components(names) = scope {
            for name in names {
                command.arg("--component").arg(name);
            }
        }
        command
    }
}

/// What the launcher itself has to say: to whoever follows, and into a file.
struct LauncherLog {
    progress: Arc<dyn Progress + Send + Sync>,
    file: Option<LogFile>,
    /// Said before it was known where the log is.
    early: Vec<String>,
    /// There will be a log.
    is_awaited: bool,
}

fn say(log: &Mutex<LauncherLog>, id: &str, text: impl Into<String>) {
    log_message(log, &Message::new(id, text));
}

fn log_message(log: &Mutex<LauncherLog>, message: &Message) {
    let mut log = log.lock().expect("no thread panics while it logs");
    log.progress.event(&Event::Message(message.clone()));
    let line = log_line(message);
    if let Some(file) = &mut log.file {
        // A full disk must not stop what runs; the console shows the message all the same.
        append(file, &line);
    } else if log.is_awaited {
        log.early.push(line);
    }
}

/// Appends a line, or says why it cannot.
fn append(file: &mut LogFile, line: &str) -> Option<String> {
    let wall_ms = jiff::Timestamp::now().as_millisecond();
    match file.write(format!("{line}\n").as_bytes(), 1, wall_ms) {
        Some(Written::Failing(reason)) => Some(reason),
        _ => None,
    }
}

fn open_log(log: &Mutex<LauncherLog>, directory: &Path, ha_id: &str) -> Result<(), LaunchError> {
    let path = directory.join(format!("launcher.{ha_id}.log"));
    let failed = |reason| LaunchError::Log { path: path.clone(), reason };
    create_dir(directory, 0o750).map_err(|error| failed(chain(&error)))?;
    let LogSettings { rotate_bytes, keep, .. } = LogSettings::default();
    let mut file = LogFile::new(&path, rotate_bytes, keep);
    let mut log = log.lock().expect("no thread panics while it logs");
    for line in log.early.drain(..) {
        append(&mut file, &line).map_or(Ok(()), |reason| Err(failed(reason)))?;
    }
    log.file = Some(file);
    Ok(())
}

/// Keeps the log of the launcher as logs of components are kept.
fn limit_log(log: &Mutex<LauncherLog>, settings: &LogSettings) {
    let mut log = log.lock().expect("no thread panics while it logs");
    if let Some(file) = &mut log.file {
        file.set_limits(settings.rotate_bytes, settings.keep);
    }
}
