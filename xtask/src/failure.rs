//! What can go wrong in a developer's command, and how to go on.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Wrong usage; what clap reports.
pub(crate) const USAGE: u8 = 24;
const CHECK_FAILED: u8 = 8;
const OUTSIDE: u8 = 12;
const MISSING: u8 = 28;

/// Why a developer's command stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A program of the toolchain or of Debian is not installed.
    #[error("missing: {}", what.join(", "))]
    Missing {
        /// What is missing, for people.
        what: Vec<String>,
        /// The command that installs it.
        install: String,
    },
    /// A program could not be started.
    #[error("`{program}` does not start")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("`{command}` ended with {status}")]
    Ended {
        /// The command as typed.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A measured program ran and failed.
    #[error("`{command}` ended with {status}")]
    Measured {
        /// The command as typed.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error.
        #[source]
        source: Said,
    },
    /// A step of `ci` failed.
    #[error("step `{step}` failed")]
    Step {
        /// Its heading.
        step: &'static str,
        /// What to do.
        way_on: &'static str,
        /// Why.
        #[source]
        source: Box<Failure>,
    },
    /// A package registry did not answer, which says nothing about the code.
    #[error("{registry} did not answer; nothing is known about the code")]
    Registry {
        /// Which.
        registry: String,
        /// What was said last.
        #[source]
        source: Said,
    },
    /// A file or directory could not be used.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// `read`, `write`, …
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What a program wrote is not what was expected of it.
    #[error("it does not hold that {what}: {found}")]
    Unexpected {
        /// What should hold.
        what: String,
        /// What was found.
        found: String,
    },
}

/// The last words of a program.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Said(pub(crate) String);

impl Failure {
    /// Returns a closure that adds a path to an I/O error.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, doing, source }
    }

    /// Returns the failure of a registry, with the last thing its client said.
    pub(crate) fn registry(registry: &str, said: &str) -> Self {
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing was said");
        Self::Registry { registry: registry.to_owned(), source: Said(last.trim().to_owned()) }
    }

    /// Returns the exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Missing { .. } | Self::Start { .. } => MISSING,
            Self::Registry { .. } => OUTSIDE,
            Self::Step { source, .. } => source.exit_code(),
            Self::Ended { .. } | Self::Measured { .. } | Self::File { .. } | Self::Unexpected { .. } => {
                CHECK_FAILED
            }
        }
    }

    /// Returns what to do next, if that is known.
    pub(crate) fn way_on(&self) -> Option<String> {
        match self {
            Self::Missing { install, .. } => Some(install.clone()),
            Self::Registry { .. } => Some("run the same command again when the network is back".to_owned()),
            Self::Step { source, way_on, .. } => {
                Some(source.way_on().unwrap_or_else(|| (*way_on).to_owned()))
            }
            _ => None,
        }
    }

    /// Returns the message followed by its causes, one a line.
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(text, "\n  because {error}").expect("writing to a string cannot fail");
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_inside_a_step_keeps_its_exit_code_and_way_on() {
        let inner = Failure::Registry { registry: "PyPI".to_owned(), source: Said("timed out".to_owned()) };
        let failure = Failure::Step { step: "tests", way_on: "fix them", source: Box::new(inner) };
        assert_eq!(failure.exit_code(), OUTSIDE);
        assert_eq!(failure.way_on().as_deref(), Some("run the same command again when the network is back"));
        assert_eq!(failure.with_causes().lines().count(), 3);
    }
}
