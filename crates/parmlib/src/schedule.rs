//! What `PPT PGMNAME(ZWESIS01) KEY(4) NOSWAP` is on Linux: checking that it holds, and making it so.
//!
//! KEY(4), nobody else gets at it: users of their own, processes that cannot be dumped or traced, no core, no new
//! privileges, a file system that can only be read. NOSWAP, it stays in memory: locked secrets, no swap, killed last.

mod apply;
mod check;
mod host;

use std::path::PathBuf;

use serde::Serialize;

pub use self::apply::apply;
pub use self::check::check;
pub use self::host::{HostFacts, ProcessFacts, StartProcedure};

/// Which half of the PPT entry something belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Attribute {
    /// `KEY(4)`.
    #[serde(rename = "KEY(4)")]
    Key,
    /// `NOSWAP`.
    #[serde(rename = "NOSWAP")]
    Noswap,
}

impl std::fmt::Display for Attribute {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            Self::Key => "KEY(4)",
            Self::Noswap => "NOSWAP",
        })
    }
}

/// What would make it so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Users are created.
    CreateUsers(Vec<&'static str>),
    /// A line goes into a drop-in of the unit; it counts from the next start.
    UnitLine(String),
    /// The kernel is told about a process that runs.
    OomScore {
        /// Which.
        pid: u32,
        /// How unwilling to be killed it is to be.
        score: i32,
    },
    /// A person has to do it.
    Advice(String),
}

/// One thing that makes up KEY(4) or NOSWAP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduleItem {
    /// What it belongs to.
    pub attribute: Attribute,
    /// What it is about.
    pub what: String,
    /// How it is to be.
    pub wanted: String,
    /// How it is.
    pub found: String,
    /// Whether that will do.
    pub is_met: bool,
    /// What would make it so, where it is not.
    pub remedy: Option<Remedy>,
}

/// What was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Applied {
    /// Users that were created.
    pub users: Vec<&'static str>,
    /// The drop-in that was written.
    pub drop_in: Option<PathBuf>,
    /// Processes that the kernel was told about.
    pub processes: Vec<u32>,
}

#[cfg(test)]
mod tests;
