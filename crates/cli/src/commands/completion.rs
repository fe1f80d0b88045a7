//! `tender completion SHELL`.

use clap::CommandFactory as _;
use clap_complete::Shell;
use tender_package::Outcome;

use crate::error::CommandError;

/// Options of `tender completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender completion bash > /etc/bash_completion.d/tender")]
pub(crate) struct Args {
    /// Which shell
    shell: Shell,
}

impl Args {
    /// Writes the script to standard output.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::Tender::command(), "tender", &mut script);
        std::io::Write::write_all(&mut std::io::stdout().lock(), &script).map_err(CommandError::Print)?;
        Ok(Outcome::default())
    }
}
