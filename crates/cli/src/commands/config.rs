//! `tender config …`: the configuration of an instance.

mod convert;
mod env;
mod explain;
mod get;
mod schema;
mod validate;

use clap::Subcommand;
use tender_package::Outcome;

use super::Shell;
use crate::error::CommandError;

/// Commands about the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Prints a value
    Get(get::Args),
    /// Checks files, keys and values; every problem with file, line and column
    Validate(validate::Args),
    /// Says where a value comes from, and what it overrides
    Explain(explain::Args),
    /// Prints the environment a component gets
    Env(env::Args),
    /// Prints the published schemas
    Schema(schema::Args),
    /// Makes a zowe.yaml of an instance.env of version 1
    Convert(convert::Args),
}

impl Config {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Get(command) => command.run(shell),
            Self::Validate(command) => command.run(),
            Self::Explain(command) => command.run(),
            Self::Env(command) => command.run(shell),
            Self::Schema(command) => command.run(shell),
            Self::Convert(command) => command.run(shell),
        }
    }
}
