//! `tender agent …`: the managed system.

mod base;
mod enrol;
mod init;
mod instance;
mod run;
mod status;

use std::path::PathBuf;

use clap::Subcommand;
use tender_agent::Home;
use tender_agent::home::HomeError;
use tender_package::{Outcome, ReturnCode};

use super::Shell;
use crate::error::CommandError;

/// Commands on the managed system.
#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Makes this machine a managed system, or changes how it listens
    Init(init::Args),
    /// Uses a join token from the principal; the key is made here and stays here
    Enrol(enrol::Args),
    /// Receives: serves the principal until it is told to stop
    #[command(after_help = "Example:\n  tender agent run")]
    Run,
    /// Executes: carries out the requests that were received
    #[command(after_help = "Example:\n  tender agent execute --check")]
    Execute,
    /// Takes in a release as shipped, so that packages need not carry it
    Base(base::Args),
    /// Takes over a runtime directory that is in use already
    Adopt(base::AdoptArgs),
    /// Says which instances follow the slots: one that runs production, one for tests
    Instance(instance::Args),
    /// Shows what is loaded, in production and under way
    #[command(after_help = "Example:\n  tender agent status --json")]
    Status,
}

impl Agent {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Init(command) => command.run(shell),
            Self::Enrol(command) => command.run(shell),
            Self::Run => run::run(shell),
            Self::Execute => run::execute(shell),
            Self::Base(command) => command.run(shell),
            Self::Adopt(command) => command.run(shell),
            Self::Instance(command) => command.run(shell),
            Self::Status => status::run(shell),
        }
    }
}

/// Returns where the managed system lies below `$TENDER_HOME`.
pub(crate) fn root(shell: &Shell) -> PathBuf {
    shell.home.join("system")
}

/// Opens the managed system of this machine.
pub(crate) fn open(shell: &Shell) -> Result<Home, CommandError> {
    Home::open(&root(shell)).map_err(|fault| {
        let code = match fault {
            HomeError::NotAHome { .. } => ReturnCode::Unknown,
            _ => ReturnCode::Outside,
        };
        failed("open the managed system", code)(fault)
    })
}

/// Wraps an error of the agent with what was being done.
pub(crate) fn failed<E: std::error::Error + Send + Sync + 'static>(
    doing: &'static str,
    code: ReturnCode,
) -> impl FnOnce(E) -> CommandError {
    move |fault| CommandError::Agent { doing: format!("failed to {doing}"), code, source: Box::new(fault) }
}
