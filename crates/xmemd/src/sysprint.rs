//! SYSPRINT: the lines that the server prints.
//!
//! A line is stamped by the server: time (UTC), program, process, then the message. What a client sent stands after the
//! client's own stamp and has no control characters left in it, so that no line can be forged. Lines are written by a
//! thread of their own: a reader that does not read delays nobody, and what finds no room is counted and reported.

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use jiff::Timestamp;

use crate::messages::{self, Text};

/// Lines that may wait.
const LINES_MAX: usize = 32_768;
/// The longest line that is printed.
const LINE_BYTES_MAX: usize = 8192;

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub(crate) enum Level {
    Severe,
    Warning,
    Info,
    Debug,
    Debug2,
    Debug3,
}

impl Level {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Severe, "SEVERE"),
        (Self::Warning, "WARNING"),
        (Self::Info, "INFO"),
        (Self::Debug, "DEBUG"),
        (Self::Debug2, "DEBUG2"),
        (Self::Debug3, "DEBUG3"),
    ];

    /// Reads the word of LOG.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name)| *name == word).map(|(level, _)| level)
    }

    pub(crate) fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

enum Item {
    Line(String),
    Flush(SyncSender<()>),
}

/// Prints lines.
#[derive(Debug, Clone)]
pub(crate) struct Sysprint {
    lines: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
    level: Arc<AtomicU8>,
    role: &'static str,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Line(_) => "line",
            Self::Flush(_) => "flush",
        })
    }
}

impl Sysprint {
    /// Begins to print to standard output.
    pub(crate) fn start(role: &'static str, level: Level) -> std::io::Result<Self> {
        let (lines, taken) = sync_channel(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let for_thread = Arc::clone(&dropped);
        std::thread::Builder::new().name("sysprint".to_owned()).spawn(move || {
            write_lines(&taken, &for_thread, role);
        })?;
        Ok(Self { lines, dropped, level: Arc::new(AtomicU8::new(level as u8)), role })
    }

    /// Prints a message.
    pub(crate) fn say(&self, text: Text, values: &[&dyn Display]) {
        let level = self.level.load(Ordering::Relaxed);
        let wanted = match text.id.as_bytes().last() {
            Some(b'E') => Level::Severe,
            Some(b'W') => Level::Warning,
            _ => Level::Info,
        };
        if wanted as u8 <= level {
            self.line(stamped(self.role, &text.with(values)));
        }
    }

    /// Prints what helps to find faults, if asked to.
    pub(crate) fn debug(&self, what: impl FnOnce() -> String) {
        if self.level.load(Ordering::Relaxed) >= Level::Debug as u8 {
            self.line(stamped(self.role, &format!("ZWES0098I {}", what())));
        }
    }

    /// Prints a line as it is.
    pub(crate) fn line(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Item::Line(line)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how much is printed.
    pub(crate) fn level(&self) -> u8 {
        self.level.load(Ordering::Relaxed)
    }

    /// Changes how much is printed.
    pub(crate) fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Waits until everything printed so far is written, at most so long; says whether it is.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        let (done, wait) = sync_channel(1);
        self.lines.try_send(Item::Flush(done)).is_ok() && wait.recv_timeout(timeout).is_ok()
    }
}

fn write_lines(taken: &Receiver<Item>, dropped: &AtomicU64, role: &'static str) {
    let mut out = std::io::stdout();
    while let Ok(item) = taken.recv() {
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let line = stamped(role, &messages::LOG_DROPPED.with(&[&missing]));
            // Nobody is left to be told when even this cannot be written.
            out.write_all(line.as_bytes()).ok();
        }
        match item {
            Item::Line(line) => out.write_all(line.as_bytes()).and_then(|()| out.flush()).ok(),
            Item::Flush(done) => done.send(()).ok(),
        };
    }
}

/// Stamps a line of the server's own; ends it.
pub(crate) fn stamped(role: &str, text: &str) -> String {
    let now = Timestamp::now().strftime("%Y/%m/%d-%H:%M:%S.%2f").to_string();
    let mut line = format!("{now} TENDER-XMEMD {role}({}) ", std::process::id());
    escape(&mut line, text);
    line.push('\n');
    line
}

/// Stamps what a client sent: the server says who it was.
pub(crate) fn stamped_for(connection: u64, uid: u32, pid: u32, program: &str, text: &str) -> String {
    let now = Timestamp::now().strftime("%Y/%m/%d-%H:%M:%S.%2f").to_string();
    let mut line = format!("{now} ");
    // A blank in the name of a program could look like the end of the stamp.
    escape(&mut line, &program.replace(|found: char| found.is_whitespace(), "_"));
    write!(line, " c{connection}(uid {uid}) {pid} | ").expect("writing to a string cannot fail");
    escape(&mut line, text);
    line.push('\n');
    line
}

/// Appends text whose control characters cannot do anything, cut to what fits in a line.
fn escape(line: &mut String, text: &str) {
    for found in text.chars() {
        if line.len() > LINE_BYTES_MAX {
            line.push_str("...");
            return;
        }
        match found {
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            // Also what turns the direction of writing, and separates lines in some viewers.
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                write!(line, "\\u{{{:x}}}", u32::from(found)).expect("writing to a string cannot fail");
            }
            _ if found.is_control() => {
                write!(line, "\\u{{{:x}}}", u32::from(found)).expect("writing to a string cannot fail");
            }
            _ => line.push(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_a_client_cannot_look_like_another() {
        let line =
            stamped_for(7, 1000, 42, "evil\nzwesis", "ok\n2025/01/01 ZWES0109I Ready\u{1b}[2J\u{202e}x\\");
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(line.contains(" evil_zwesis c7(uid 1000) 42 | ok\\n2025/01/01"), "{line}");
        assert!(line.contains("\\u{1b}[2J\\u{202e}x\\\\"), "{line}");
    }

    #[test]
    fn long_line_is_cut() {
        let line = stamped_for(7, 1000, 42, "p", &"\u{1}".repeat(100_000));
        assert!(line.len() < LINE_BYTES_MAX + 100 && line.ends_with("...\n"));
    }

    #[test]
    fn level_is_read_as_it_is_written() {
        for (level, name) in Level::ALL {
            assert_eq!((Level::parse(name), level.as_str()), (Some(level), name));
        }
        assert_eq!(Level::parse("info"), None);
    }
}
