//! What was decided, in lines that each hold the digest of the line before.
//!
//! A line cannot be changed, taken out or put in without every later line contradicting it; that the end was cut off shows
//! only to somebody who kept an earlier [`AuditHead`].
//!
//! [`AuditWriter`] takes entries from many threads and writes them in batches from its own. Its queue is bounded. When it
//! fills, grants are left out first, and how many is written down; refusals and warnings wait for room, and when none
//! comes in time [`AuditWriter::record`] fails, which obliges the caller to refuse. A disk that is full or failing keeps
//! everything in the queue and is tried again; so nothing is refused without a record for longer than the queue is deep.

mod log;
mod writer;

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::log::{AuditHead, AuditLog};
pub use self::writer::{AuditOptions, AuditWriter};
use crate::decision::{Decision, Question, Rule, remedy};
use crate::level::AccessLevel;
use crate::subject::Subject;

/// The longest text in an entry that came from outside; longer ones are cut.
const TEXT_BYTES_MAX: usize = 1024;

/// How a question was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Access was given.
    Granted,
    /// Access was given only because the profile warns.
    Warning,
    /// Access was refused.
    Refused,
    /// Entries were left out here; `count` says how many.
    Dropped,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// When, by this machine's clock.
    pub at: Timestamp,
    /// How it was answered.
    pub verdict: Verdict,
    /// Who asked; `None` for somebody unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// On whose behalf, where that is somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Where the question came from, as the server saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The class.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// The resource.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<AccessLevel>,
    /// What decided, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// What would give what was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// How many entries this stands for; 1 but for [`Verdict::Dropped`].
    pub count: u64,
}

impl AuditEntry {
    /// Makes the entry of a decision.
    pub fn of(at: Timestamp, subject: &Subject, question: &Question<'_>, decision: &Decision<'_>) -> Self {
        let verdict = match (decision.granted, decision.is_warning) {
            (true, false) => Verdict::Granted,
            (true, true) => Verdict::Warning,
            (false, _) => Verdict::Refused,
        };
        Self {
            at,
            verdict,
            user: subject.user.as_ref().map(ToString::to_string),
            actor: None,
            origin: None,
            class: clipped(question.class).to_owned(),
            resource: clipped(question.resource).to_owned(),
            level: Some(question.level),
            rule: written(decision.rule),
            remedy: (verdict == Verdict::Refused).then(|| remedy(decision, subject, question)),
            count: 1,
        }
    }

    /// Cuts every text to a length that leaves the line readable by whoever goes on with the log.
    fn clip(&mut self) {
        let texts = [&mut self.class, &mut self.resource, &mut self.rule];
        let maybe = [&mut self.user, &mut self.actor, &mut self.origin, &mut self.remedy];
        for text in texts.into_iter().chain(maybe.into_iter().flatten()) {
            text.truncate(clipped(text).len());
        }
    }

    /// Returns the entry that stands for others that were left out.
    fn dropped(at: Timestamp, count: u64) -> Self {
        Self {
            at,
            verdict: Verdict::Dropped,
            user: None,
            actor: None,
            origin: None,
            class: String::new(),
            resource: String::new(),
            level: None,
            rule: "grants came faster than they could be written".to_owned(),
            remedy: None,
            count,
        }
    }
}

/// Returns the beginning of a text that came from outside; no name that exists is longer.
fn clipped(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Writes a rule into text that need not grow on the way: this is done for every call of a server.
fn written(rule: Rule<'_>) -> String {
    let mut text = String::with_capacity(80);
    write!(text, "{rule}").expect("writing to a string cannot fail");
    text
}

/// Says what is wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file could not be used.
    #[error("{step} audit log `{}`", path.display())]
    Io {
        /// What was being done.
        step: &'static str,
        /// Which log.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A line is not a record.
    #[error("line {line} of audit log `{}` is not a record", path.display())]
    Malformed {
        /// Which log.
        path: PathBuf,
        /// Which line; 0 for the last.
        line: u64,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A line does not follow from the one before.
    #[error("line {line} of audit log `{}` does not follow from the line before: the log was changed", path.display())]
    Broken {
        /// Which log.
        path: PathBuf,
        /// Which line.
        line: u64,
    },
    /// Entries wait and none can be written: access must be refused.
    #[error("audit log `{}` takes no more entries{}", path.display(), if *is_failing { ": it cannot be written" } else { "" })]
    Full {
        /// Which log.
        path: PathBuf,
        /// Whether writing fails, or is only slow.
        is_failing: bool,
    },
    /// The writer has ended.
    #[error("the writer of audit log `{}` has ended", path.display())]
    Ended {
        /// Which log.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests;
