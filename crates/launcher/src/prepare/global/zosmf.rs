//! The probe of z/OSMF: only when something needs it, with a limit of time, tried again, and by policy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::https;
use crate::message::chain;

/// What follows from a z/OSMF that does not answer (`zowe.launchScript.startupChecks.zosmf`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Policy {
    /// It is not asked.
    Disabled,
    /// A warning.
    #[default]
    Warn,
    /// An error.
    Fail,
}

impl Policy {
    /// Reads the word of the configuration; anything unknown is the default.
    pub(crate) fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "disabled" | "off" | "false" => Self::Disabled,
            "fail" | "exit" | "error" => Self::Fail,
            _ => Self::Warn,
        }
    }
}

/// How the probe is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Time for one question.
    pub(crate) question: Duration,
    /// Time for all of them.
    pub(crate) all: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { question: Duration::from_secs(5), all: Duration::from_secs(15) }
    }
}

/// Asks until it answers 200 or the time is over; says why it did not.
pub(crate) fn probe(url: &str, tls: &Arc<ClientConfig>, limits: Limits) -> Result<(), String> {
    let began = Instant::now();
    let mut tries = 0;
    loop {
        tries += 1;
        let asked = Instant::now();
        let answer = https::status(url, &[("X-CSRF-ZOSMF-HEADER", "true")], tls, limits.question);
        let reason = match answer {
            Ok(200) => return Ok(()),
            Ok(code) => format!("it answers {code}"),
            Err(error) => chain(&error),
        };
        let next = limits.question.saturating_sub(asked.elapsed());
        if began.elapsed() + next >= limits.all {
            return Err(format!("z/OSMF at {url}: {reason} (asked {tries} times in {} s)", began.elapsed().as_secs()));
        }
        // A refusal comes at once; the next question is not put before the first one's time is over.
        std::thread::park_timeout(next);
    }
}
