//! What was decided, in lines that each hold the digest of the line before.
//!
//! Where the same access is given at a high rate, writing down every grant costs more than the grant. Whoever gives it counts
//! in an [`AuditTally`] and hands over one [`AuditEntry`] for many, at least every second; the count is exact, and the chain
//! covers it like everything else.
//!
//! A line cannot be changed, taken out or put in without every later line contradicting it; that the end was cut off shows
//! only to somebody who kept an earlier [`AuditHead`].
//!
//! [`AuditWriter`] takes entries from many threads and writes them in batches from its own. Its queue is bounded. When it
//! fills, grants are left out first, and how many is written down; refusals and warnings wait for room, and when none
//! comes in time [`AuditWriter::record`] fails, which obliges the caller to refuse. A disk that is full or failing keeps
//! everything in the queue and is tried again; so nothing is refused without a record for longer than the queue is deep.

mod line;
mod log;
mod tally;
mod writer;

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::log::{AuditHead, AuditLog};
pub use self::tally::AuditTally;
pub use self::writer::{AuditOptions, AuditReceipt, AuditWriter};
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

/// One entry, or many that differ only in when they were made.
///
/// Shape: where the same access is given again and again, one entry stands for all of it: `count` grants from `since` to
/// `at`, which agree in everything else. Only grants are put together; everything else stands for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(serialize = "S: Serialize + AsRef<str>", deserialize = "S: Deserialize<'de> + Default"))]
pub struct AuditEntry<S = String> {
    /// When, by this machine's clock; of several the last.
    pub at: Timestamp,
    /// When the first of several was; `None` where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How it was answered.
    pub verdict: Verdict,
    /// Who asked; `None` for somebody unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<S>,
    /// On whose behalf, where that is somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<S>,
    /// Where the question came from, as the server saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<S>,
    /// The class.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub class: S,
    /// The resource.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub resource: S,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<AccessLevel>,
    /// What decided, in words.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub rule: S,
    /// What would give what was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<S>,
    /// How many it stands for: 1, or more of [`Verdict::Granted`] and [`Verdict::Dropped`].
    pub count: u64,
}

fn is_empty<S: AsRef<str>>(text: &S) -> bool {
    text.as_ref().is_empty()
}

impl AuditEntry {
    /// Makes the entry of a decision.
    pub fn of(at: Timestamp, subject: &Subject, question: &Question<'_>, decision: &Decision<'_>) -> Self {
        let verdict = verdict_of(decision);
        Self {
            at,
            since: None,
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

    /// Returns the entry that stands for others that were left out.
    fn dropped(at: Timestamp, count: u64) -> Self {
        Self {
            at,
            since: None,
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

impl<S: AsRef<str>> AuditEntry<S> {
    /// Returns what is wrong with how many it stands for, as a fragment of a sentence.
    fn contradiction(&self) -> Option<&'static str> {
        let is_many = matches!(self.verdict, Verdict::Granted | Verdict::Dropped);
        match (self.count, self.since) {
            (0, _) => Some("stands for nothing"),
            (2.., _) if !is_many => Some("stands for several that must stand alone"),
            (1, Some(_)) => Some("stands for one and has a time of the first"),
            (_, Some(since)) if since > self.at => Some("has its first after its last"),
            (_, Some(_)) if self.verdict == Verdict::Dropped => {
                Some("has a time of the first that was left out")
            }
            _ => None,
        }
    }

    /// Returns the same with every text cut to a length that leaves the line readable by whoever goes on with the log.
    fn clipped(&self) -> AuditEntry<&str> {
        fn text<S: AsRef<str>>(text: &Option<S>) -> Option<&str> {
            text.as_ref().map(|text| clipped(text.as_ref()))
        }
        AuditEntry {
            at: self.at,
            since: self.since,
            verdict: self.verdict,
            user: text(&self.user),
            actor: text(&self.actor),
            origin: text(&self.origin),
            class: clipped(self.class.as_ref()),
            resource: clipped(self.resource.as_ref()),
            level: self.level,
            rule: clipped(self.rule.as_ref()),
            remedy: text(&self.remedy),
            count: self.count,
        }
    }
}

fn verdict_of(decision: &Decision<'_>) -> Verdict {
    match (decision.granted, decision.is_warning) {
        (true, false) => Verdict::Granted,
        (true, true) => Verdict::Warning,
        (false, _) => Verdict::Refused,
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

/// Writes a rule into text that need not grow on the way.
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
    /// A line says of itself what cannot be.
    #[error("line {line} of audit log `{}` {what}", path.display())]
    Contradiction {
        /// Which log.
        path: PathBuf,
        /// Which line.
        line: u64,
        /// What is wrong, as the rest of the sentence.
        what: &'static str,
    },
    /// Entries wait and none can be written: access must be refused.
    #[error("audit log `{}` takes no more entries{}", path.display(), if *is_failing { ": it cannot be written" } else { "" })]
    Full {
        /// Which log.
        path: PathBuf,
        /// Whether writing fails, or is only slow.
        is_failing: bool,
    },
    /// The number of an entry was asked for long after it was written, or of one that was left out.
    #[error("the number of the entry in audit log `{}` is no longer known", path.display())]
    Unnumbered {
        /// Which log.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests;
