//! Runs a program as a user.

mod child;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::range::Range;

pub(crate) use worker::RunAs;

/// The most arguments and variables of a program, each.
pub const WORDS_MAX: usize = 1024;
/// The most supplementary groups.
pub const GROUPS_MAX: usize = 1024;

/// Run this program as this user. Brings a descriptor for each of `stdin`, `stdout`, `stderr` that is true, in that
/// order; the others are `/dev/null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunAsOrder {
    /// Who runs it.
    pub identity: Identity,
    /// The program: an absolute path. It is opened as the user, so whom it may not be run by cannot run it.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// All of its environment; nothing else is in it.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Its working directory: an absolute path, entered as the user.
    pub directory: PathBuf,
    /// Whether a descriptor for its standard input came along.
    #[serde(default)]
    pub stdin: bool,
    /// Whether a descriptor for its standard output came along.
    #[serde(default)]
    pub stdout: bool,
    /// Whether a descriptor for its standard error came along.
    #[serde(default)]
    pub stderr: bool,
    /// What it may use; each at most what the settings allow.
    #[serde(default)]
    pub limits: Limits,
}

/// A user as who orders has found it in the user database. The worker asks no database: looking up would run foreign
/// code with its capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Its number.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// All its supplementary groups, as `initgroups` would set them.
    pub groups: Vec<u32>,
    /// When it was looked up: [`now_ms`]. One that is older than the settings allow, or from the future, is refused.
    pub resolved_ms: u64,
}

/// What a program may use. 0 stands for the settings' own limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Processor time, in seconds.
    pub processor_s: u64,
    /// Address space of each process, in bytes.
    pub memory_bytes: u64,
    /// Open descriptors of each process.
    pub descriptors: u64,
    /// Processes and threads of the user.
    pub processes: u64,
    /// Longest file, in bytes.
    pub file_bytes: u64,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum RunAsOutcome {
    /// It ended itself.
    Exited {
        /// Its exit status.
        status: i32,
    },
    /// A signal ended it.
    Signalled {
        /// Its number.
        signal: i32,
    },
    /// It was not started; nothing of it has run.
    NotStarted {
        /// What failed.
        stage: Stage,
        /// The system's reason.
        errno: i32,
    },
}

/// Steps between fork and exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Session, descriptors, limits.
    Prepare,
    /// Groups, gid and uid, and the look whether they are now as ordered.
    Switch,
    /// The working directory.
    Directory,
    /// The program itself.
    Program,
}

/// Who may be run as, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunAsSettings {
    /// Users that may be run as. 0 is refused even if it is in one of them.
    pub uids: Vec<Range>,
    /// Groups that such a user may have, primary or other. 0 is refused even if it is in one of them.
    pub gids: Vec<Range>,
    /// The oldest identity, in milliseconds.
    pub identity_ms_max: u64,
    /// Orders at once.
    pub orders_max: usize,
    /// Time for a program whose order names none, in milliseconds.
    pub deadline_ms: u32,
    /// The longest time that an order may name, in milliseconds.
    pub deadline_ms_max: u32,
    /// The most that a program may use.
    pub limits: Limits,
}

impl Default for RunAsSettings {
    fn default() -> Self {
        Self {
            uids: Vec::new(),
            gids: vec![Range::new(1, 0xFFFF_FFFE)],
            identity_ms_max: 60_000,
            orders_max: 64,
            deadline_ms: 60_000,
            deadline_ms_max: 3_600_000,
            limits: Limits {
                processor_s: 600,
                memory_bytes: 16 << 30,
                descriptors: 1024,
                processes: 1024,
                file_bytes: 16 << 30,
            },
        }
    }
}

impl RunAsOrder {
    pub(crate) const fn descriptors(&self) -> usize {
        self.stdin as usize + self.stdout as usize + self.stderr as usize
    }
}

/// The time by which [`Identity::resolved_ms`] goes: milliseconds since the host was started, sleep included.
#[must_use]
pub fn now_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}
