//! What the supervisor is started with, and how it ends.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use crate::console::ConsoleMessage;
use crate::lock::{InstanceLock, LockError};
use crate::order::OrderError;

/// Takes messages; called when neither standard output nor standard error would make it wait.
pub type MessageSink = Box<dyn FnMut(&ConsoleMessage)>;
/// Takes the name of a component and a line of its output; called like [`MessageSink`].
pub type NotableSink = Box<dyn FnMut(&str, &str)>;

/// What the supervisor needs besides its plan.
pub struct Options {
    /// Starts the process that makes a new plan; without one, `reload` and `restart --reconfigure` are refused.
    pub planner: Option<Box<dyn Planner>>,
    /// Takes what the supervisor has to say: the launcher's own log.
    pub messages: MessageSink,
    /// Takes a component's name and a line of its output that is notable (`zowe.sysMessages`).
    pub notable: NotableSink,
    /// The lock of the instance when the caller already holds it; otherwise [`crate::run`] acquires it.
    pub lock: Option<InstanceLock>,
    /// Which cgroups to use.
    pub cgroups: Cgroups,
    /// How long a planner may take, in milliseconds.
    pub planner_limit_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            planner: None,
            messages: Box::new(|_| {}),
            notable: Box::new(|_, _| {}),
            lock: None,
            cgroups: Cgroups::default(),
            planner_limit_ms: 600_000,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("has_planner", &self.planner.is_some())
            .field("lock", &self.lock)
            .field("cgroups", &self.cgroups)
            .finish_non_exhaustive()
    }
}

/// Where trees of processes are held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cgroups {
    /// Below the cgroup of the supervisor, when that can be written; otherwise the supervisor is a sub-reaper.
    #[default]
    Own,
    /// Below this directory of a cgroup v2 file system.
    Below(PathBuf),
    /// Nowhere: the supervisor is a sub-reaper.
    None,
}

/// Starts the process that makes a new plan.
pub trait Planner {
    /// Returns the program to run: it writes the [`crate::plan::Plan`] as JSON on its standard output, what it has to
    /// say as lines on standard error, and ends with 0 when the plan may be used.
    fn command(&self, scope: &Scope) -> Command;
}

/// What a new plan is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// These components; others in the plan are not looked at.
    Components(Vec<String>),
}

/// How the supervisor ended, when it ended as it should.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exit {
    /// Components that did not stop within their grace time and were killed.
    pub forced: Vec<String>,
    /// Components with processes that even a kill did not end.
    pub unkillable: Vec<String>,
}

/// Says why the supervisor could not run.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// Another one runs, or the lock file cannot be used.
    #[error("take the lock of the instance")]
    Lock(#[source] LockError),
    /// The plan has no order of starting.
    #[error("order the components")]
    Order(#[source] OrderError),
    /// A component cannot be run as the plan has it.
    #[error("use the plan of component {component}: {what}")]
    Component {
        /// Which.
        component: String,
        /// What is wrong.
        what: String,
    },
    /// A directory or a socket of the instance cannot be made.
    #[error("{step} `{}`", path.display())]
    Path {
        /// What was done.
        step: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The kernel refused something the supervisor cannot work without.
    #[error("{step}")]
    System {
        /// What was done.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}
