//! `tender discovery …`: the service that knows who is there.

mod environment;
mod fault;
mod plan;
mod registry;
mod run;

use clap::Subcommand;
use tender_package::Outcome;

use super::Shell;
use crate::error::CommandError;
use crate::serving::Named;

const NAMED: Named =
    Named { component: "discovery", title: "discovery service", port: 7553, port_names: &["DISCOVERY_PORT"] };

/// Commands about discovery.
#[derive(Debug, Subcommand)]
pub(crate) enum Discovery {
    /// Runs the discovery service until it is told to stop
    Run(run::Args),
}

impl Discovery {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(command) => command.run(shell),
        }
    }
}
