//! The quickstart: the sample scenario on one machine, every step the command a person would type.

mod interrupt;
mod scenario;
mod stage;
mod step;

use std::io;
use std::path::PathBuf;

use tender_package::{Message, Outcome, Severity};

use stage::Stage;

/// Why the quickstart ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QuickstartError {
    /// The directory cannot be used.
    #[error("failed to prepare {}", path.display())]
    Stage {
        /// The directory or file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The directory has something in it.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// No ports are free.
    #[error("found no ports in a row that are free on the loopback address")]
    Ports,
    /// A process could not be run.
    #[error("failed to run tender for {host}")]
    Agent {
        /// The host it was to play.
        host: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// An agent did not come up.
    #[error("the agent of {host} did not listen in time")]
    NotReady {
        /// The host.
        host: String,
    },
    /// A component did not answer.
    #[error("nobody answered on port {port}")]
    Service {
        /// The port.
        port: u16,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A command ended otherwise than it should.
    #[error("`tender {line}` ended {}", ended(*code, expected))]
    Step {
        /// The command.
        line: String,
        /// Its exit code; none when a signal ended it.
        code: Option<i32>,
        /// What was expected.
        expected: Vec<i32>,
    },
    /// A command did not print what the next step needs.
    #[error("`{command}` did not print {what}")]
    Missing {
        /// The command.
        command: &'static str,
        /// What was looked for.
        what: &'static str,
    },
    /// Somebody pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Signals cannot be heard.
    #[error("failed to listen for Ctrl-C")]
    Signals(#[source] io::Error),
    /// The story could not be printed.
    #[error("failed to print")]
    Tell(#[source] io::Error),
    /// The stage could not be removed.
    #[error("failed to remove {}", path.display())]
    Strike {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl QuickstartError {
    /// Says how to go on.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NotEmpty { .. } => Some("give a fresh directory with --directory, or none".to_owned()),
            Self::Ports => Some("stop something that listens on many ports".to_owned()),
            _ => None,
        }
    }
}

fn ended(code: Option<i32>, expected: &[i32]) -> String {
    let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
    let code = code.map_or_else(|| "by a signal".to_owned(), |code| format!("with return code {code}"));
    format!("{code}; {} was expected", expected.join(" or "))
}

/// Plays the scenario; everything is removed afterwards unless `is_kept`.
pub(crate) fn run(directory: Option<PathBuf>, is_kept: bool) -> Result<Outcome, QuickstartError> {
    let directory = match directory {
        Some(directory) => directory,
        None => tempfile::Builder::new()
            .prefix("tender-quickstart-")
            .tempdir()
            .map_err(|source| QuickstartError::Stage { path: std::env::temp_dir(), source })?
            .keep(),
    };
    interrupt::listen().map_err(QuickstartError::Signals)?;
    let mut stage = Stage::set(directory)?;
    let played = scenario::play(&mut stage);
    if is_kept && played.is_ok() {
        scenario::farewell(&stage)?;
        stage.keep();
    } else {
        stage.strike()?;
    }
    played?;
    let mut outcome = Outcome::default();
    if !is_kept {
        let text = "the agents are stopped and everything is removed; --keep leaves the fleet to play with";
        outcome.say(Message::csm(91, Severity::I, text));
    }
    Ok(outcome)
}
