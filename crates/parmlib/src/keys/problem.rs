//! What is wrong with a parameter.

use std::fmt;

use serde::Serialize;

use crate::member::Lines;

/// Where a parameter comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The start command or the PARM of the start procedure.
    Start,
    /// The member.
    Member(Lines),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => formatter.write_str("start parameter"),
            Self::Member(lines) => write!(formatter, "{lines}"),
        }
    }
}

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The server starts.
    Warning,
    /// The server does not start.
    Error,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether the server starts all the same.
    pub severity: Severity,
    /// Where.
    pub origin: Origin,
    /// The key.
    pub key: String,
    /// What.
    pub kind: ProblemKind,
}

/// What can be wrong with a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// Nobody knows the key.
    Unknown {
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A word of the start command that is none (ZWES0227W).
    UnknownOperand {
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// The value cannot be used (ZWES0019W); the default counts.
    Value {
        /// The value.
        value: String,
        /// What it must be.
        expected: String,
        /// What counts instead; empty for nothing.
        default: String,
    },
    /// `yes` or `no` in small letters (ZWES0019W); the default counts.
    Case {
        /// The value.
        value: String,
        /// How it is written.
        meant: &'static str,
        /// What counts instead.
        default: String,
    },
    /// A flag has a value and so does nothing.
    FlagWithValue {
        /// The value.
        value: String,
    },
    /// It can be used, and is hardly meant.
    Risky {
        /// Why.
        reason: String,
    },
}

impl Problem {
    /// Returns the number of its message, with the letter of its severity.
    #[must_use]
    pub fn id(&self) -> &'static str {
        let is_error = self.severity == Severity::Error;
        match (&self.kind, is_error) {
            (ProblemKind::UnknownOperand { .. }, false) => "ZWES0227W",
            (ProblemKind::UnknownOperand { .. }, true) => "ZWES0227E",
            (ProblemKind::Unknown { .. }, false) => "ZWES0022W",
            (ProblemKind::Unknown { .. }, true) => "ZWES0022E",
            (_, false) => "ZWES0019W",
            (_, true) => "ZWES0019E",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, key, .. } = self;
        match &self.kind {
            ProblemKind::Unknown { nearest } | ProblemKind::UnknownOperand { nearest } => {
                write!(formatter, "{origin}: `{key}` is unknown")?;
                nearest.as_ref().map_or(Ok(()), |nearest| write!(formatter, "; is `{nearest}` meant?"))
            }
            ProblemKind::Value { value, expected, default } => {
                write!(formatter, "{origin}: `{key}` is `{value}`, but must be {expected}")?;
                counts(formatter, default)
            }
            ProblemKind::Case { value, meant, default } => {
                write!(formatter, "{origin}: `{key}` is `{value}`; write `{meant}`")?;
                counts(formatter, default)
            }
            ProblemKind::FlagWithValue { value } => {
                write!(
                    formatter,
                    "{origin}: `{key}={value}` does nothing; `{key}` counts only without a value"
                )
            }
            ProblemKind::Risky { reason } => write!(formatter, "{origin}: `{key}`: {reason}"),
        }
    }
}

fn counts(formatter: &mut fmt::Formatter<'_>, default: &str) -> fmt::Result {
    if default.is_empty() {
        formatter.write_str("; it is left out")
    } else {
        write!(formatter, "; the default {default} counts")
    }
}
