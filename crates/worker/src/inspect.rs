//! Reads memory of another process.

mod process;
mod worker;

use serde::{Deserialize, Serialize};

use crate::order::Bytes;
use crate::range::Range;

pub use process::start_time;
pub(crate) use worker::inspect;

/// The most bytes of one look.
pub const INSPECT_BYTES_MAX: u32 = 65_536;

/// Read memory of the process whose pidfd came along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InspectOrder {
    /// When it was started: [`start_time`], as who orders saw it when it decided. Compared before and after.
    pub start_time: u64,
    /// Where in its address space.
    pub address: u64,
    /// How much: 1 to [`INSPECT_BYTES_MAX`].
    pub bytes: u32,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum InspectOutcome {
    /// All of it.
    Complete {
        /// What was asked for.
        bytes: Bytes,
    },
    /// The first part; what follows is not readable.
    Partial {
        /// Fewer than were asked for, at least one.
        bytes: Bytes,
    },
    /// Nothing is readable at that address.
    Unreadable,
    /// The process has ended, or is not the one that was meant. Whatever had been read is thrown away.
    Gone,
}

/// Whose memory may be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InspectSettings {
    /// Off unless this says so.
    pub enabled: bool,
    /// Users whose processes may be read. All four uids of the process must be in one of them.
    pub uids: Vec<Range>,
}
