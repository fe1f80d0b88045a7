//! `tender xmem …`: installing, running and asking the cross-memory server.

mod apf;
mod call;
mod display;
mod fault;
mod install;
mod modify;
mod places;
mod running;
mod schedule;
mod start;
mod status;
mod stop;

use clap::Subcommand;
use tender_package::Outcome;

use super::Shell;
use crate::error::CommandError;

/// Commands about the cross-memory server.
#[derive(Debug, Subcommand)]
pub(crate) enum Xmem {
    /// Installs modules, parameter member and start procedure
    Install(install::Args),
    /// Starts a server and waits until it is ready
    Start(start::Args),
    /// Stops a server and waits until it has ended
    Stop(stop::Args),
    /// Gives a server an operator command
    Modify(modify::Args),
    /// Shows what a server says about itself
    Display(display::Args),
    /// Calls a service
    Call(call::Args),
    /// The list of authorised modules
    #[command(subcommand)]
    Apf(apf::Apf),
    /// What KEY(4) and NOSWAP come to on this machine
    Schedule(schedule::Args),
    /// Lists the servers of this machine
    Status(status::Args),
}

impl Xmem {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Install(command) => command.run(shell),
            Self::Start(command) => command.run(shell),
            Self::Stop(command) => command.run(shell),
            Self::Modify(command) => command.run(shell),
            Self::Display(command) => command.run(shell),
            Self::Call(command) => command.run(shell),
            Self::Apf(command) => command.run(shell),
            Self::Schedule(command) => command.run(shell),
            Self::Status(command) => command.run(shell),
        }
    }
}
