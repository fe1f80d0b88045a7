//! What the boxes of the server say to each other: root process, keeper, monitor, front.
//!
//! Each message is the head of a [`crate::channel::Message`]; descriptors that come along are named beside it, in order.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::settings::Settings;
use crate::sysprint::Level;

/// Who a box is to become before it does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunAs {
    /// User; `None` stays who it is.
    pub(crate) uid: Option<u32>,
    /// Group.
    pub(crate) gid: Option<u32>,
}

/// What every box is told first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) run_as: RunAs,
    /// The server's name.
    pub(crate) server: String,
    pub(crate) generation: u64,
    /// How often the box was started before by this root process.
    pub(crate) start: u64,
    pub(crate) level: Level,
    pub(crate) settings: Settings,
    /// Audit log, keys, anchors.
    pub(crate) state: PathBuf,
    pub(crate) parmlib: PathBuf,
    pub(crate) database: PathBuf,
    /// Whether the server has privilege at all.
    pub(crate) is_privileged: bool,
    /// Whether what the last server left is discarded.
    pub(crate) is_cold: bool,
    /// Where the sockets are, to be shown.
    pub(crate) run: PathBuf,
    /// Whether it is to take the place of others, which serve until it is ready.
    #[serde(default)]
    pub(crate) is_replacement: bool,
}

/// Every box to the root process, before anything else: it is in its sandbox, and this is what that became.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Confined {
    pub(crate) sandbox: String,
}

/// Root process to monitor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToMonitor {
    /// Descriptors: the listening socket, the listening control socket.
    Begin(Box<Begin>),
    /// Descriptor: the link to a front that was just started. What the last one did is over.
    Front,
    /// Descriptor: the link to a keeper that was just started.
    Keeper,
    /// Descriptor: the orders of a worker.
    Worker { kind: String },
    /// A worker cannot be had.
    NoWorker { kind: String, why: String },
    /// An auxiliary host runs. Descriptors: its control socket, its call socket.
    Host { module: String, start: u64, pid: u32 },
    /// It could not be started.
    NoHost { module: String, start: u64, why: String },
    /// It has ended.
    HostEnded { module: String, start: u64, how: String },
    /// The parameters were read again.
    Settings(Box<Settings>),
    /// What a command said that only the root process can do led to.
    Said { ticket: u64, lines: Vec<String>, is_last: bool },
    /// Take no more connections; say GOODBYE with this code and end when all calls have, at most so long.
    Drain { code: u32, within_ms: u64 },
}

/// Monitor to root process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromMonitor {
    /// It can take calls.
    Ready { services: usize, plugins: usize, version: String },
    /// It needs a worker.
    NeedWorker { kind: String },
    /// Start an auxiliary host: a module of the authorised list, `start` numbers the attempt.
    StartHost { module: String, start: u64, parameter: String },
    /// Kill it with its whole cgroup.
    KillHost { module: String, start: u64 },
    /// An operator said what only the root process can do.
    Operator { ticket: u64, what: RootCommand },
    /// Draining is done.
    Drained { is_clean: bool },
}

/// What an operator can ask of the root process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RootCommand {
    /// Stop.
    Stop,
    /// Read the parameters again.
    Reload,
    /// Be replaced by another program; `None` is the one that was started.
    Replace(Option<PathBuf>),
    /// Tell about the processes and their sandboxes.
    Sandboxes,
}

/// Root process to front.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum RootToFront {
    /// Descriptor: the link to the monitor.
    Begin(Box<Begin>),
    /// Descriptor: the link to a monitor that was just started.
    Monitor,
}

/// Front to root process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FrontToRoot {
    /// It takes connections.
    Ready,
}

/// Root process to keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum RootToKeeper {
    /// Descriptor: the link to the monitor.
    Begin(Box<Begin>),
    /// Descriptor: the link to a monitor that was just started.
    Monitor,
}

/// Root process to worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum RootToWorker {
    /// Descriptor: where its orders come from.
    Begin { kind: String, begin: Box<Begin> },
}

/// Root process to the process that becomes a plug-in.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum RootToHost {
    /// Descriptors: the module, its control socket, its call socket.
    Begin { entrance: tender_auxiliary::Entrance },
}

/// Keeper to monitor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromKeeper {
    /// The database as it is now: a list of `saf::Record`, in the body.
    Loaded { epoch: u64, path: PathBuf },
    /// It cannot be read; the old one stays in force.
    NotLoaded { why: String },
    /// A transaction is on disk.
    Committed { ticket: u64, transaction: Option<u64>, epoch: u64 },
    /// It was not made.
    NotCommitted { ticket: u64, why: String, is_conflict: bool },
}

/// Monitor to keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToKeeper {
    /// Make these changes; a list of `saf::Change` in the body.
    Commit { ticket: u64, who: String, what: String },
    /// Send the database again.
    Load,
}

/// What a subject may do with one service, decided beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) granted: bool,
    /// Whether a grant is counted for the audit log.
    pub(crate) audit: bool,
    /// What decided, in words.
    pub(crate) rule: String,
    /// Why not, for those who may know: JSON.
    pub(crate) refusal: Option<String>,
}

/// A service of a plug-in, in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PluginRow {
    pub(crate) plugin: String,
    pub(crate) service: String,
    pub(crate) version: u32,
    /// What its own class and entity say, beyond the profile of the service.
    pub(crate) specific: Option<Row>,
    pub(crate) row: Row,
}

/// What one subject may do; made anew whenever the profiles change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    /// The gate.
    pub(crate) gate: Row,
    /// By number of the service.
    pub(crate) services: Vec<(u16, Row)>,
    pub(crate) plugins: Vec<PluginRow>,
    /// User of the database.
    pub(crate) user: Option<String>,
    /// Its groups.
    pub(crate) groups: Vec<String>,
    /// Parameters that it may read.
    pub(crate) parameters: Vec<(String, String)>,
}

/// Monitor to front.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToFront {
    /// A table, new or in place of the one with this number.
    Table { id: u32, epoch: u64, table: Box<Table> },
    /// Nobody has this table any more.
    Forget { id: u32 },
    /// A connection. Descriptors: its socket, its process.
    Connection(Box<Newcomer>),
    /// A connection has another table from now on.
    Retable { connection: u64, table: u32 },
    /// End a connection.
    Close { connection: u64, code: u32, why: String },
    /// What came of a call; the payload is the body. A descriptor goes to the caller.
    Answer { call: u64, code: u32, detail: u32, reference: u64 },
    /// A refusal is in the audit log; or it was none: what was asked for is granted and does not exist.
    Recorded { ticket: u64, reference: u64, is_granted: bool },
    /// A connection got an actor, or lost it.
    Actor { connection: u64, handle: u64, user: Option<String> },
    /// Descriptor: where a plug-in takes calls. What an earlier one had under way stays with that.
    Plugin { plugin: String, start: u64 },
    /// A plug-in takes no more calls; those under way there are answered with this code.
    NoPlugin { plugin: String, start: u64 },
    /// The parameters were read again.
    Settings(Box<Settings>),
    /// How much is printed.
    Level(Level),
    /// Print everything that waits, then say so.
    Flush { ticket: u64 },
    /// Tell about connections and calls.
    Report { ticket: u64 },
    /// Say GOODBYE to every connection and end when calls have.
    Drain { code: u32, within_ms: u64 },
}

/// Who is at the other end of a connection; the kernel says so.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Newcomer {
    pub(crate) id: u64,
    pub(crate) table: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) pid: u32,
    pub(crate) gids: Vec<u32>,
    pub(crate) program: String,
    /// Whether the connection is known already to clients: a monitor that was started again tells of it anew.
    pub(crate) is_known: bool,
}

/// Front to monitor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromFront {
    /// A call for the monitor; its payload is the body, or a descriptor.
    Call { call: u64, connection: u64, service: u16, version: u32, actor: u64, deadline_ms: u64 },
    /// Nobody waits for it any more.
    Cancel { call: u64 },
    /// Write down a refusal, then say `Recorded`.
    Refused { ticket: u64, connection: u64, what: Asked },
    /// Calls that were granted and that profiles want to know of.
    Grants { connection: u64, counts: Vec<(Asked, u64)> },
    /// A connection is over.
    Ended { connection: u64, why: Option<String> },
    /// A new monitor learns of a connection. Descriptor: its socket; the kernel still knows who connected.
    Known { connection: u64 },
    /// Everything is answered that was given to a host which no longer is the one that counts.
    HostIdle { start: u64 },
    /// Everything is printed.
    Flushed { ticket: u64 },
    /// About connections and calls.
    Report { ticket: u64, report: Box<Report> },
    /// All connections have ended.
    Drained { is_clean: bool },
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Asked {
    /// The gate.
    Gate,
    /// A service, by number.
    Service(u16),
    /// A service of a plug-in.
    Plugin { plugin: String, service: String },
    /// What a service of a plug-in asks for beyond its own profile.
    Specific { plugin: String, service: String },
}

/// What the front knows about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) connections: Vec<ReportedConnection>,
    pub(crate) calls: u64,
    pub(crate) refused: u64,
    pub(crate) in_flight: usize,
    /// By number of the service: calls, refusals, failures.
    pub(crate) services: Vec<(u16, u64, u64, u64)>,
    /// Calls that waited at most 2^n microseconds for what others did for them; index n.
    pub(crate) waits: Vec<u64>,
    pub(crate) rings: usize,
}

/// One connection of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportedConnection {
    pub(crate) id: u64,
    pub(crate) uid: u32,
    pub(crate) pid: u32,
    pub(crate) program: String,
    pub(crate) client: String,
    pub(crate) calls: u64,
    pub(crate) in_flight: usize,
    pub(crate) has_ring: bool,
}
