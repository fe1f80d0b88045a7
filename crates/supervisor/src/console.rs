//! What is said over the console socket: one JSON request a line, then one or more JSON replies.
//!
//! The socket is `<instance directory>/.console-<HA id>` with mode 0600; the peer must be root or the user of the
//! supervisor, by the kernel's credentials. A reply that [`Reply::is_last`] ends the answer to a request.

pub(crate) mod socket;

use serde::{Deserialize, Serialize};

use crate::plan::LeftOut;

/// What a caller wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Request {
    /// Start stopped components with what they require, or all with an empty list; counters begin anew.
    Start {
        /// Names; upper and lower case are alike where that is clear.
        components: Vec<String>,
        /// Answer when they are READY or cannot become so: FAILED, three failures in a row, or a long back-off.
        wait: bool,
    },
    /// Stop components and what requires them, or all with an empty list; the supervisor stays.
    Stop {
        /// Names.
        components: Vec<String>,
        /// Answer when they are at rest.
        wait: bool,
    },
    /// Stop and start components, or all with an empty list, in order; others keep running.
    Restart {
        /// Names.
        components: Vec<String>,
        /// Make their plan anew first; when that fails nothing is stopped.
        reconfigure: bool,
        /// Answer when they are READY or cannot become so.
        wait: bool,
    },
    /// Make a new plan, show what differs, restart only what it touches.
    Reload {
        /// Only show.
        check: bool,
        /// Answer when what was touched is READY or cannot become so.
        wait: bool,
    },
    /// Stop everything in reverse order and end; the answer is done when everything has stopped.
    Shutdown,
    /// Tell the state of everything.
    Status,
    /// Answer once the instance is ready, or cannot become so, or the time is over.
    AwaitReady {
        /// In milliseconds.
        timeout_ms: u64,
    },
    /// Lines of output, the newest last.
    Logs {
        /// Names; all with an empty list.
        components: Vec<String>,
        /// So many of the last lines.
        lines: usize,
        /// More as they come, until the caller closes the connection.
        follow: bool,
    },
    /// Changes of state as they come, until the caller closes the connection.
    Events,
    /// An operator's line as typed: `START(c)`, `STOP(c)`, `DISP`, `RESTART(c)`, `RESTART(c,RECONFIGURE)`, `RELOAD`.
    Operator {
        /// The line.
        line: String,
    },
}

/// What the supervisor answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// A message with its id, such as ZWEL0001I.
    Message(ConsoleMessage),
    /// The state of everything.
    Status(InstanceStatus),
    /// What a reload would touch or touches.
    Changes {
        /// Started for the first time.
        added: Vec<String>,
        /// Stopped for good.
        removed: Vec<String>,
        /// Stopped and started with what is new.
        changed: Vec<String>,
        /// Left alone: they keep their processes and connections.
        unchanged: Vec<String>,
    },
    /// A line of output.
    Line {
        /// Whose.
        component: String,
        /// The line, without control characters.
        text: String,
        /// When it was read, in milliseconds since 1970.
        at_ms: i64,
    },
    /// A change of state.
    Event {
        /// Whose.
        component: String,
        /// The state before.
        from: State,
        /// The state now.
        to: State,
        /// Why, or nothing.
        reason: String,
        /// When, in milliseconds since 1970.
        at_ms: i64,
    },
    /// The request is done.
    Done {
        /// Everything asked for was done or has come.
        ok: bool,
    },
}

impl Reply {
    /// Says whether this reply ends the answer.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// A message for people and logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleMessage {
    /// Such as `ZWEL0004I`.
    pub id: String,
    /// Such as `component redis ended by signal KILL after 12 s`.
    pub text: String,
}

/// State of one component.
///
/// ```text
///            start       probe answers, settled       probe fails
///  STOPPED ────────► STARTING ───────────► READY ◄──────────────► DEGRADED
///     ▲                 │ exit, deadline     │ exit                   │ exit, too many failures
///     │                 ▼                    ▼                        ▼
///     │              BACKOFF ◄───────────────┴────────────────────────┘
///     │                 │ time over: STARTING      no retry left, fatal code: FAILED
///     └──── STOPPING ◄──┴── stop (from every state but STOPPED)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Not running, nobody wants it to, or it is done for good.
    Stopped,
    /// Waits for what it requires.
    Waiting,
    /// Runs, not yet READY: its probe was not answered, or without one it has not run for the settling time.
    Starting,
    /// Runs and answers.
    Ready,
    /// Runs, but a health probe fails.
    Degraded,
    /// Ended; will start again when its time is over.
    Backoff,
    /// Is being stopped.
    Stopping,
    /// Ended and is not started again by itself.
    Failed,
}

/// The state of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// HA instance id.
    pub id: String,
    /// Name of the whole.
    pub job_name: String,
    /// Version of the product.
    pub version: Option<String>,
    /// Process id of the supervisor.
    pub pid: u32,
    /// Time since its start, in milliseconds.
    pub uptime_ms: u64,
    /// Every component is READY, or done for good; those left out do not count.
    pub is_ready: bool,
    /// How trees are held: `cgroup2`, or `sub-reaper` with the reason.
    pub containment: String,
    /// Its components.
    pub components: Vec<ComponentStatus>,
    /// Components the plan left out.
    pub left_out: Vec<LeftOut>,
    /// What is not as it should be with the supervisor itself: a journal that is not written (ZWEL0092W).
    #[serde(default)]
    pub conditions: Vec<ConsoleMessage>,
}

/// The state of one component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentStatus {
    /// Its name.
    pub name: String,
    /// Its job name.
    pub job_name: String,
    /// Its state.
    pub state: State,
    /// Process id of the server itself.
    pub pid: Option<u32>,
    /// Time since its start, in milliseconds.
    pub uptime_ms: Option<u64>,
    /// How often it was started again since the launcher runs.
    pub restarts: u64,
    /// Failures in a row, as the back-off counts them.
    pub failures: u32,
    /// Time until the next start, in milliseconds.
    pub next_start_ms: Option<u64>,
    /// Processor time of the tree so far, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Memory of the tree, in bytes.
    pub memory_bytes: Option<u64>,
    /// TCP ports the tree listens on.
    pub ports: Vec<u16>,
    /// How it ended last, such as `exit 1` or `signal KILL (out of memory)`.
    pub last_exit: Option<String>,
    /// Why it is in this state, or else the first of its conditions, or else what it says of itself.
    pub reason: Option<String>,
    /// What is not as it should be, whatever the state: a log that is not written (ZWEL0085W), a limit that is not
    /// enforced (ZWEL0084W), a tree that no cgroup holds (ZWEL0094W).
    #[serde(default)]
    pub conditions: Vec<ConsoleMessage>,
    /// The last lines of output, when it is STARTING, DEGRADED, FAILED or in BACKOFF.
    pub last_output: Vec<String>,
}
