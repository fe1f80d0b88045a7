//! What the supervisor is to keep running: plain values, made elsewhere, carried as JSON.
//!
//! A plan holds the resolved environment of every component, secrets included. It travels through a pipe or an
//! anonymous memory file and is never written to a disk.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything that one HA instance runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Which instance this is.
    pub instance: Instance,
    /// The components to run; their order is the order of the configuration and breaks ties of start order.
    pub components: Vec<Component>,
    /// Components that were left out, and why: shown as FAILED in every status.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// How output is kept.
    #[serde(default)]
    pub log: LogSettings,
    /// Substrings; a line that has one is a notable event (`zowe.sysMessages`).
    #[serde(default)]
    pub notable: Vec<String>,
}

/// Which instance runs, and where its files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The HA instance id, sanitised.
    pub id: String,
    /// The name of the whole, such as `ZWE1SV`.
    pub job_name: String,
    /// The instance directory; holds the console socket and the lock.
    pub directory: PathBuf,
    /// The product tree, as configured (a link stays a link).
    pub runtime_directory: PathBuf,
    /// Where per-component logs go.
    pub log_directory: PathBuf,
    /// A private, writable directory of this HA instance alone (state journal, notify sockets).
    pub private_directory: PathBuf,
    /// Version of the product, when its manifest says so.
    #[serde(default)]
    pub version: Option<String>,
}

/// One component to keep running.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Its name in the configuration.
    pub name: String,
    /// Job name: shown in tables, and the name of its cgroup.
    pub job_name: String,
    /// Program and arguments. The program is executed as it is; a shell appears only when it is the program.
    pub command: Vec<String>,
    /// Working directory: the component's root.
    pub working_directory: PathBuf,
    /// The whole environment; nothing else is inherited.
    pub environment: Environment,
    /// When it is started again.
    #[serde(default)]
    pub restart: Restart,
    /// When it counts as READY; without a probe it does once it has run for [`Restart::settle_ms`].
    #[serde(default)]
    pub readiness: Option<Readiness>,
    /// When a running component is DEGRADED and started again.
    #[serde(default)]
    pub health: Option<Health>,
    /// Components that must be READY before this one starts; stopping goes the other way round.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Components that start earlier when they are in the plan; their failure does not matter.
    #[serde(default)]
    pub after: Vec<String>,
    /// How it is stopped.
    #[serde(default)]
    pub stop: Stop,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// Digest over everything that needs a restart when it changes: parts, manifest, environment, command.
    pub fingerprint: String,
}

/// A component's environment; its values never show in debug output.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(pub BTreeMap<String, String>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// A component that the plan leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Where it failed: `validate`, `configure`, `manifest`.
    pub phase: String,
    /// Why, in one line.
    pub reason: String,
    /// The last lines it printed.
    #[serde(default)]
    pub output: Vec<String>,
}

/// When a component is started again after it ended.
///
/// A run longer than `min_uptime_ms` makes the next failure the first one. The n-th failure waits `intervals_ms[n-1]`;
/// past the list `slow_retry_ms` applies, and without it the component stays FAILED until an operator starts it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restart {
    /// Which ends count.
    pub mode: RestartMode,
    /// Waiting times in milliseconds.
    pub intervals_ms: Vec<u64>,
    /// A longer run resets the counter, in milliseconds.
    pub min_uptime_ms: u64,
    /// A component without a readiness probe is STARTING for so long, in milliseconds, and READY if it still runs then;
    /// never longer than `min_uptime_ms`. One that ends at once is thereby never taken for one that works.
    #[serde(default = "settle_ms", skip_serializing_if = "is_usual_settle")]
    pub settle_ms: u64,
    /// Up to this share of a waiting time is added by chance, in percent.
    #[serde(default)]
    pub jitter_percent: u8,
    /// Waiting time after the last interval, in milliseconds.
    #[serde(default)]
    pub slow_retry_ms: Option<u64>,
    /// Exit codes that end retrying at once.
    #[serde(default)]
    pub fatal_exit_codes: Vec<i32>,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            mode: RestartMode::Always,
            intervals_ms: [1, 1, 1, 5, 5, 10, 20, 60, 120, 240].map(|seconds| seconds * 1000).to_vec(),
            min_uptime_ms: 90_000,
            settle_ms: settle_ms(),
            jitter_percent: 0,
            slow_retry_ms: Some(600_000),
            fatal_exit_codes: Vec::new(),
        }
    }
}

/// What other supervisors call a start that went well as well.
fn settle_ms() -> u64 {
    1000
}

/// The usual time is not written: a plan made before there was one has the same fingerprints.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_usual_settle(value: &u64) -> bool {
    *value == settle_ms()
}

/// Which ends of a process are followed by a new start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartMode {
    /// Every end that nobody asked for.
    #[default]
    Always,
    /// Ends by a signal or with a code other than 0.
    OnFailure,
    /// None.
    Never,
}

/// A question put to a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// A program that ends with 0; runs with the component's environment and working directory.
    Exec(Vec<String>),
    /// A port that takes a connection, `host:port`.
    Tcp(String),
    /// A GET that answers 2xx or 3xx. `https` is asked through [`Probe::Exec`] made by the planner.
    Http(String),
    /// A line of output that matches this regular expression (readiness only).
    Log(String),
    /// `READY=1` on the socket named by `NOTIFY_SOCKET` (readiness), `WATCHDOG=1` (health).
    Notify,
}

/// When a started component counts as READY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// What is asked.
    pub probe: Probe,
    /// Time before the first question, in milliseconds.
    pub initial_delay_ms: u64,
    /// Time between questions, in milliseconds.
    pub period_ms: u64,
    /// Time for one answer, in milliseconds.
    pub timeout_ms: u64,
    /// A component that is not READY by then is stopped and counts as failed, in milliseconds after its start.
    pub deadline_ms: u64,
}

/// When a READY component is DEGRADED, and when it is started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What is asked.
    pub probe: Probe,
    /// Time between questions, in milliseconds.
    pub period_ms: u64,
    /// Time for one answer, in milliseconds.
    pub timeout_ms: u64,
    /// One failure makes it DEGRADED; this many in a row end it, and the restart rules apply.
    pub failures: u32,
}

/// How a component is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The first signal, by name without `SIG`.
    pub signal: String,
    /// Time until its whole tree is killed, in milliseconds.
    pub grace_ms: u64,
    /// A program that runs before the signal, within the same grace time.
    #[serde(default)]
    pub pre_stop: Option<Vec<String>>,
    /// Sockets that it gives to be kept (`FDSTORE=1`) are handed to its next run (`LISTEN_FDS`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub keeps_sockets: bool,
}

/// What most do not say is not written: a plan made before it could be said has the same fingerprints.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Default for Stop {
    fn default() -> Self {
        Self { signal: "TERM".to_owned(), grace_ms: 20_000, pre_stop: None, keeps_sockets: false }
    }
}

/// What a component may use: files by a resource limit of each process, the rest of its whole tree by cgroups.
///
/// Where the launcher has no cgroup controller for a limit it is not enforced, and a note and the status say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Memory in bytes.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Processor time in percent of one core.
    #[serde(default)]
    pub cpu_percent: Option<u32>,
    /// Open files of each process.
    #[serde(default)]
    pub files: Option<u64>,
    /// Processes and threads.
    #[serde(default)]
    pub tasks: Option<u64>,
}

/// How output is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSettings {
    /// A log file is rotated when it is larger, in bytes.
    pub rotate_bytes: u64,
    /// Rotated files that are kept.
    pub keep: u32,
    /// A longer line is cut into pieces of this size, in bytes.
    pub line_bytes: usize,
    /// Lines are JSON objects.
    pub is_json: bool,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { rotate_bytes: 50 << 20, keep: 5, line_bytes: 16 << 10, is_json: false }
    }
}
