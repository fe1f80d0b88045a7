//! Parameter members: records of 80 columns that hold `KEY=VALUE`.
//!
//! ```text
//!             `*`, `//*`, blank                        record without `\`
//!   STATEMENT ─────────────────► STATEMENT   CONTINUED ───────────────────► STATEMENT (parameter)
//!       │ record without `\`: parameter          ▲ │ record with `\`
//!       └──────────── record with `\` ───────────┘ └────────► CONTINUED
//! ```
//!
//! Where a file can hold what a data set cannot: a longer record is read whole and a warning says so, since nothing is
//! gained by losing its end; a tab counts as a blank at either end of a record; `\r\n` ends a record as `\n` does.

mod name;
mod parse;
mod warning;

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use self::name::{MemberName, MemberNameError};
pub use self::warning::{Warning, WarningKind};

/// Columns of a record of a PARMLIB data set.
pub const RECORD_COLUMNS: usize = 80;
/// The longest statement that is continued, in bytes, with the terminator that the reference counts.
pub const STATEMENT_BYTES_MAX: usize = 4096;
/// The longest member, in bytes.
pub const MEMBER_BYTES_MAX: usize = 2 << 20;
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// First and last record of a statement, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Lines {
    /// Where it begins.
    pub first: u32,
    /// Where it ends.
    pub last: u32,
}

impl std::fmt::Display for Lines {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(formatter, "line {}", self.first)
        } else {
            write!(formatter, "lines {} to {}", self.first, self.last)
        }
    }
}

/// One statement of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// What stands before the first `=`, blanks included.
    pub key: String,
    /// What stands after it; `None` where there is no `=`.
    pub value: Option<String>,
    /// Where.
    pub lines: Lines,
    /// The column of the key, from 1.
    pub column: u32,
}

/// A member that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    name: String,
    parameters: Vec<Parameter>,
    warnings: Vec<Warning>,
}

/// Says why a member cannot be read; [`MemberError::return_code`] is the first number of ZWES0008E.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// There is none (ZWES0009E).
    #[error("member {member} is in none of {}", listed(directories))]
    NotFound {
        /// Which.
        member: String,
        /// Where it was looked for.
        directories: Vec<PathBuf>,
    },
    /// It could not be read.
    #[error("read member `{}`", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no file.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// Where.
        path: PathBuf,
    },
    /// It is too large.
    #[error("member {member} is larger than {MEMBER_BYTES_MAX} bytes")]
    TooLarge {
        /// Which.
        member: String,
    },
    /// It is not text.
    #[error("member {member}, line {line}, column {column}: {found}")]
    NotText {
        /// Which.
        member: String,
        /// The record.
        line: u32,
        /// The column.
        column: u32,
        /// What stands there.
        found: String,
    },
    /// A continued statement is too long.
    #[error(
        "member {member}, {lines}: the statement is longer than {} bytes with its continuations",
        STATEMENT_BYTES_MAX - 1
    )]
    ContinuationTooLong {
        /// Which.
        member: String,
        /// From its first record to the one that is too much.
        lines: Lines,
    },
    /// A key is too long.
    #[error("member {member}, {lines}: the key is longer than {KEY_BYTES_MAX} bytes")]
    KeyTooLong {
        /// Which.
        member: String,
        /// Where.
        lines: Lines,
    },
}

fn listed(directories: &[PathBuf]) -> String {
    let names: Vec<_> = directories.iter().map(|directory| format!("`{}`", directory.display())).collect();
    if names.is_empty() { "no directories".to_owned() } else { names.join(", ") }
}

impl MemberError {
    /// Returns the parser's return code.
    ///
    /// Source: specification 3.1.
    #[must_use]
    pub fn return_code(&self) -> u32 {
        match self {
            Self::NotFound { .. } => 2,
            Self::TooLarge { .. } => 11,
            Self::Read { .. } | Self::NotAFile { .. } | Self::NotText { .. } => 12,
            Self::KeyTooLong { .. } => 17,
            Self::ContinuationTooLong { .. } => 19,
        }
    }

    /// Returns the two details that follow the return code in ZWES0008E: first and last record, or zeros.
    #[must_use]
    pub fn details(&self) -> (u32, u32) {
        match self {
            Self::ContinuationTooLong { lines, .. } | Self::KeyTooLong { lines, .. } => {
                (lines.first, lines.last)
            }
            Self::NotText { line, .. } => (*line, *line),
            Self::Read { source, .. } => (source.raw_os_error().unwrap_or(0).unsigned_abs(), 0),
            _ => (0, 0),
        }
    }
}

impl Member {
    /// Reads a member out of its bytes.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, MemberError> {
        parse::parse(name, bytes)
    }

    /// Reads a member from the first directory that has it, as from a concatenation of libraries.
    ///
    /// Errors: a member that is there and cannot be read is an error; the next directory is not tried.
    pub fn read(directories: &[PathBuf], name: &MemberName) -> Result<Self, MemberError> {
        for directory in directories {
            let path = directory.join(name.as_str());
            match contents(&path, name) {
                Ok(bytes) => return Self::parse(name.as_str(), &bytes),
                Err(MemberError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(fault) => return Err(fault),
            }
        }
        Err(MemberError::NotFound { member: name.to_string(), directories: directories.to_vec() })
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns every statement in order, repeated ones included.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Returns the statement that counts for a key: the last one.
    #[must_use]
    pub fn parameter(&self, key: &str) -> Option<&Parameter> {
        self.parameters.iter().rev().find(|parameter| parameter.key == key)
    }

    /// Returns what is allowed but hardly meant.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// Reads a file that may be anything: a pipe does not block, a device is refused.
fn contents(path: &Path, name: &MemberName) -> Result<Vec<u8>, MemberError> {
    let failed = |source| MemberError::Read { path: path.to_owned(), source };
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(MemberError::NotAFile { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.take(MEMBER_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MEMBER_BYTES_MAX {
        return Err(MemberError::TooLarge { member: name.to_string() });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
