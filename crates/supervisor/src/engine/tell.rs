//! Telling what happens, without ever waiting for whoever reads it.
//!
//! What takes messages may write them to standard output or standard error, and these may lead to a terminal that
//! somebody has halted, to a pager, to a log daemon that hangs. Nothing is handed over while one of them takes no more;
//! it is kept for later, and what there is no room for is counted.

use std::collections::VecDeque;
use std::io;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::{Engine, Key};
use crate::clock;
use crate::console::ConsoleMessage;
use crate::messages::{message, plural};

/// What is kept for later is not more, in messages.
const BACKLOG_MAX: usize = 1000;
/// Time between two attempts to hand it over.
const PAUSE_MS: u64 = 100;
/// How long the end waits for whoever reads.
const END_LIMIT_MS: i64 = 500;
/// A longer text is cut, in bytes: a pipe that says it takes more takes a page, and JSON may double a text.
const TEXT_BYTES_MAX: usize = 1900;

/// What could not be handed over yet.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    said: VecDeque<Said>,
    left_out: u64,
}

#[derive(Debug)]
enum Said {
    Message(ConsoleMessage),
    Notable { component: String, line: String },
}

impl Engine {
    /// Says something to the launcher's log.
    pub(super) fn tell(&mut self, mut message: ConsoleMessage) {
        cut(&mut message.text);
        self.say(Said::Message(message));
    }

    /// Hands over a notable line of a component.
    pub(super) fn tell_notable(&mut self, component: &str, mut line: String) {
        cut(&mut line);
        self.say(Said::Notable { component: component.to_owned(), line });
    }

    fn say(&mut self, said: Said) {
        if self.backlog.said.is_empty() && is_taken(0) {
            self.hand_over(&said);
            return;
        }
        if self.backlog.said.len() < BACKLOG_MAX {
            self.backlog.said.push_back(said);
        } else {
            self.backlog.left_out += 1;
        }
        if !self.timers.is_armed(Key::Backlog) {
            self.timers.arm(Key::Backlog, clock::monotonic_ms() + PAUSE_MS);
        }
    }

    /// Hands over what was kept, as far as it is taken now.
    pub(super) fn say_backlog(&mut self) {
        while !self.backlog.said.is_empty() && is_taken(0) {
            self.say_next();
        }
        if !self.backlog.said.is_empty() {
            self.timers.arm(Key::Backlog, clock::monotonic_ms() + PAUSE_MS);
        }
    }

    /// Hands over the rest at the end, or gives it up.
    pub(super) fn end_backlog(&mut self) {
        while !self.backlog.said.is_empty() && is_taken(END_LIMIT_MS) {
            self.say_next();
        }
    }

    fn say_next(&mut self) {
        if let Some(said) = self.backlog.said.pop_front() {
            self.hand_over(&said);
        }
        if self.backlog.said.is_empty() && self.backlog.left_out > 0 {
            let count = std::mem::take(&mut self.backlog.left_out);
            let text = format!("{} left out: nobody took them for a while", plural(count, "message"));
            // Behind the others, and asked for like them.
            self.backlog.said.push_back(Said::Message(message("ZWEL0096W", text)));
        }
    }

    fn hand_over(&mut self, said: &Said) {
        match said {
            Said::Message(message) => (self.options.messages)(message),
            Said::Notable { component, line } => (self.options.notable)(component, line),
        }
    }
}

/// Says whether neither standard output nor standard error would make a writer wait; looks again for so long.
fn is_taken(limit_ms: i64) -> bool {
    let (out, error) = (io::stdout(), io::stderr());
    let limit = Timespec { tv_sec: 0, tv_nsec: limit_ms * 1_000_000 };
    // One after the other: each may be the one that takes no more. A broken one does not make anybody wait.
    let takes = |mut fd: PollFd<'_>| match rustix::event::poll(std::slice::from_mut(&mut fd), Some(&limit)) {
        Ok(count) => count > 0,
        Err(_) => true,
    };
    takes(PollFd::new(&out, PollFlags::OUT)) && takes(PollFd::new(&error, PollFlags::OUT))
}

fn cut(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_too_long_is_cut_between_characters() {
        let mut text = format!("x{}", "ä".repeat(2000));
        cut(&mut text);
        assert!(text.ends_with("ä…") && text.len() <= TEXT_BYTES_MAX + 3);
        let mut short = "short".to_owned();
        cut(&mut short);
        assert_eq!(short, "short");
    }
}
