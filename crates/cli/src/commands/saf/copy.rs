//! `tender saf copy TO`.

use std::path::{Path, PathBuf};

use tender_package::{Message, Outcome};
use tender_saf::{SqliteStore, Store, StoreError, TextStore};

use super::{open, store_fault};
use crate::commands::Shell;
use crate::error::CommandError;

/// Options of `tender saf copy`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is lost on the way, either way.\n\nExamples:\n  tender saf copy --text /etc/tender/saf\n  \
                        tender saf --database /etc/tender/saf copy new.db"
)]
pub(super) struct Args {
    /// Where to; it must not be there yet
    to: PathBuf,
    /// Make a directory of text and not one file
    #[arg(long)]
    text: bool,
}

impl Args {
    /// Copies.
    pub(super) fn run(self, shell: &Shell, path: &Path) -> Result<Outcome, CommandError> {
        let from = open(path)?;
        let mut outcome = Outcome { data: serde_json::json!({ "database": self.to }), ..Outcome::default() };
        if shell.is_check {
            let text = format!("would copy {} to {}", path.display(), self.to.display());
            outcome.say(Message::with_id("ZWES2008I", text));
            return Ok(outcome);
        }
        self.copy(&*from).map_err(|fault| store_fault("failed to copy the authorisation database", fault))?;
        let text = format!("{} is copied to {}", path.display(), self.to.display());
        outcome.say(Message::with_id("ZWES2008I", text));
        Ok(outcome)
    }

    fn copy(&self, from: &dyn Store) -> Result<(), StoreError> {
        let to: Box<dyn Store> = if self.text {
            Box::new(TextStore::create(&self.to)?)
        } else {
            Box::new(SqliteStore::create(&self.to)?)
        };
        tender_saf::copy(from, &*to).map(drop)
    }
}
