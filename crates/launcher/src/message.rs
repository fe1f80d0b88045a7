//! Messages of the launcher: the id, how bad it is, and what is said.
//!
//! Ids `ZWEL0001` to `ZWEL0074` and `ZWEL0100` to `ZWEL0399` mean what they mean in the reference. `ZWEL0800` to
//! `ZWEL0899` are ours, for what the reference has no message of.

use std::fmt;

use serde::{Deserialize, Serialize};
use tender_supervisor::console::ConsoleMessage;

/// How bad a message is, read from the last letter of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information.
    Information,
    /// Goes on, but look at it.
    Warning,
    /// Not done.
    Error,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Such as `ZWEL0017I`.
    pub id: String,
    /// What is said, one line or a few.
    pub text: String,
}

impl Message {
    /// Makes a message; `id` ends in `I`, `W` or `E`.
    pub fn new(id: &str, text: impl Into<String>) -> Self {
        Self { id: id.to_owned(), text: text.into() }
    }

    /// Returns how bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self.id.as_bytes().last() {
            Some(b'E') => Severity::Error,
            Some(b'W') => Severity::Warning,
            _ => Severity::Information,
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.text)
    }
}

impl From<ConsoleMessage> for Message {
    fn from(message: ConsoleMessage) -> Self {
        Self { id: message.id, text: message.text }
    }
}

impl From<Message> for ConsoleMessage {
    fn from(message: Message) -> Self {
        Self { id: message.id, text: message.text }
    }
}

/// Writes a message as a line of the launcher's log: UTC with milliseconds, process, user, level, text.
#[must_use]
pub fn log_line(message: &Message) -> String {
    let level = match message.severity() {
        Severity::Information => "INFO",
        Severity::Warning => "WARN",
        Severity::Error => "ERROR",
    };
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.3f");
    let user = rustix::process::getuid().as_raw();
    format!("{now} <ZWELNCH:{}> {user} {level} {message}", std::process::id())
}

/// Writes an error with all its causes, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_the_last_letter_of_the_id() {
        let severity = |id| Message::new(id, "").severity();
        assert_eq!(
            ["ZWEL0001I", "ZWEL0052W", "ZWEL0030E"].map(severity),
            [Severity::Information, Severity::Warning, Severity::Error]
        );
    }
}
