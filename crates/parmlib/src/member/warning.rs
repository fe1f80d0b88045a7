//! What a member may say but hardly means.

use std::fmt;

use serde::Serialize;

use super::{Lines, RECORD_COLUMNS};

/// One hazard, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Where.
    pub lines: Lines,
    /// What.
    pub kind: WarningKind,
}

/// Hazards of the grammar. All of it is read as the grammar says; only nobody writes it on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// The member ends in the middle of a statement, which is dropped.
    ContinuationAtEnd {
        /// What was dropped.
        text: String,
    },
    /// A comment in a continuation is part of the value.
    CommentInContinuation {
        /// It.
        text: String,
    },
    /// Columns 73 to 80 look like a sequence number, and belong to the value.
    SequenceColumns {
        /// What stands there.
        text: String,
    },
    /// A data set could not hold the record. It is read whole.
    LongRecord {
        /// Its columns.
        columns: u32,
    },
    /// Nothing stands before `=`; the statement is ignored.
    NoKey,
    /// The key was there before; this one counts.
    Repeated {
        /// The key.
        key: String,
        /// Where the one before is.
        before: Lines,
    },
}

/// The most of a text that is shown in a message.
const SHOWN_CHARACTERS_MAX: usize = 40;

pub(super) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.lines)?;
        match &self.kind {
            WarningKind::ContinuationAtEnd { text } => {
                write!(formatter, "the member ends in a continuation; `{text}` is dropped")
            }
            WarningKind::CommentInContinuation { text } => {
                write!(formatter, "`{text}` is part of the value, not a comment: it follows a continuation")
            }
            WarningKind::SequenceColumns { text } => write!(
                formatter,
                "columns 73 to {RECORD_COLUMNS} belong to the value; `{text}` looks like a sequence number"
            ),
            WarningKind::LongRecord { columns } => write!(
                formatter,
                "the record has {columns} columns where a data set has {RECORD_COLUMNS}; it is read whole"
            ),
            WarningKind::NoKey => formatter.write_str("nothing stands before `=`; the line is ignored"),
            WarningKind::Repeated { key, before } => {
                write!(formatter, "`{key}` stands in {before} too; the last one counts")
            }
        }
    }
}
