//! Messages, return codes and tables: what every verb answers with.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The return codes of the whole product; the process exits with the same number.
///
/// Source: specification 2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[repr(u8)]
pub enum ReturnCode {
    /// Done, nothing to report.
    #[default]
    Done = 0,
    /// Done with warnings; the state changed as asked.
    Warning = 4,
    /// Partly done; running the same command again resumes.
    Partial = 8,
    /// Outside failure: network, disk, agent. The state is recorded.
    Outside = 12,
    /// Refused by a rule.
    Refused = 16,
    /// Another operation holds the lock.
    Busy = 20,
    /// The command was not understood.
    Syntax = 24,
    /// The named thing does not exist.
    Unknown = 28,
    /// Integrity failure: digest, signature or table; a person must look.
    Integrity = 32,
}

impl From<ReturnCode> for u8 {
    fn from(code: ReturnCode) -> Self {
        code as Self
    }
}

/// Says that a number is not a return code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a return code")]
pub struct NotAReturnCode(u8);

impl TryFrom<u8> for ReturnCode {
    type Error = NotAReturnCode;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        use ReturnCode::{Busy, Done, Integrity, Outside, Partial, Refused, Syntax, Unknown, Warning};
        [Done, Warning, Partial, Outside, Refused, Busy, Syntax, Unknown, Integrity]
            .into_iter()
            .find(|code| *code as u8 == number)
            .ok_or(NotAReturnCode(number))
    }
}

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// For information.
    I,
    /// A warning.
    W,
    /// An error: what was asked was not done.
    E,
    /// Severe: integrity is in doubt.
    S,
}

/// One line for people with an id for machines, such as `CSM0112E`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Stable id without its severity letter: `CSM` and four digits.
    pub id: String,
    /// How much it matters.
    pub severity: Severity,
    /// What was being done to what, and what came of it.
    pub text: String,
    /// How to go on, when there is a way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Message {
    /// Makes a message with the id `CSM<number>`.
    #[must_use]
    pub fn csm(number: u16, severity: Severity, text: impl Into<String>) -> Self {
        Self { id: format!("CSM{number:04}"), severity, text: text.into(), hint: None }
    }

    /// Makes a message of a whole id such as `ZWEL0004I`; its last letter is the severity.
    ///
    /// Limits: an id that does not end in a severity letter is kept whole, for information.
    #[must_use]
    pub fn with_id(id: &str, text: impl Into<String>) -> Self {
        let (stem, severity) = match id.as_bytes().last() {
            Some(b'I') => (&id[..id.len() - 1], Severity::I),
            Some(b'W') => (&id[..id.len() - 1], Severity::W),
            Some(b'E') => (&id[..id.len() - 1], Severity::E),
            Some(b'S') => (&id[..id.len() - 1], Severity::S),
            _ => (id, Severity::I),
        };
        Self { id: stem.to_owned(), severity, text: text.into(), hint: None }
    }

    /// Adds how to go on.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?} {}", self.id, self.severity, self.text)
    }
}

/// A table for people; the same facts stand in [`Outcome::data`] for machines.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Table {
    /// Title above the table; may be empty.
    pub title: String,
    /// Column heads.
    pub header: Vec<String>,
    /// Rows of cells.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Starts a table.
    #[must_use]
    pub fn new(title: impl Into<String>, header: &[&str]) -> Self {
        Self {
            title: title.into(),
            header: header.iter().map(|head| (*head).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

/// What a verb answers with.
///
/// Shape: `data` is the whole answer as JSON (`--json` prints exactly it); `tables` show the same to people.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The return code; the worst one over several targets.
    pub code: ReturnCode,
    /// Messages in order.
    pub messages: Vec<Message>,
    /// Tables in order.
    pub tables: Vec<Table>,
    /// The answer for machines.
    pub data: serde_json::Value,
}

impl Outcome {
    /// Adds a message and raises the return code to at least what its severity means.
    pub fn say(&mut self, message: Message) {
        let least = match message.severity {
            Severity::I => ReturnCode::Done,
            Severity::W => ReturnCode::Warning,
            Severity::E => ReturnCode::Partial,
            Severity::S => ReturnCode::Integrity,
        };
        self.code = self.code.max(least);
        self.messages.push(message);
    }
}
