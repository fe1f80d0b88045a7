//! `tender man DIR`.

use std::path::PathBuf;

use clap::CommandFactory as _;
use tender_package::{Message, Outcome, Severity};

use crate::error::CommandError;

/// Options of `tender man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender man /usr/local/share/man/man1")]
pub(crate) struct Args {
    /// Where to write the pages
    directory: PathBuf,
}

impl Args {
    /// Writes one page for every command.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        let fault = |source| CommandError::File {
            doing: "write the manual pages into",
            path: self.directory.clone(),
            source,
        };
        std::fs::create_dir_all(&self.directory).map_err(fault)?;
        clap_mangen::generate_to(crate::Tender::command(), &self.directory).map_err(fault)?;
        let mut outcome = Outcome::default();
        outcome.say(Message::csm(
            2,
            Severity::I,
            format!("the manual pages are in {}", self.directory.display()),
        ));
        Ok(outcome)
    }
}
