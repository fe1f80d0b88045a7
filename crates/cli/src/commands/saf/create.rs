//! `tender saf create`.

use std::path::Path;

use tender_package::{Message, Outcome};
use tender_saf::{SqliteStore, TextStore};

use super::store_fault;
use crate::commands::Shell;
use crate::error::CommandError;

/// Options of `tender saf create`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender saf create\n  tender saf --database /etc/tender/saf create --text"
)]
pub(super) struct Args {
    /// Make a directory of text, for those who keep it in git, and not one file
    #[arg(long)]
    text: bool,
}

impl Args {
    /// Makes the database.
    pub(super) fn run(self, shell: &Shell, path: &Path) -> Result<Outcome, CommandError> {
        let path = match (self.text, path.file_name()) {
            (true, Some(name)) if name == "saf.db" => path.with_file_name("saf"),
            _ => path.to_owned(),
        };
        let mut outcome = Outcome { data: serde_json::json!({ "database": path }), ..Outcome::default() };
        if shell.is_check {
            let text = format!("would make the authorisation database {}", path.display());
            outcome.say(Message::with_id("ZWES2004I", text));
            return Ok(outcome);
        }
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above).map_err(|source| CommandError::File {
                doing: "make the directory",
                path: above.to_owned(),
                source,
            })?;
        }
        let made =
            if self.text { TextStore::create(&path).map(drop) } else { SqliteStore::create(&path).map(drop) };
        made.map_err(|fault| store_fault("failed to make the authorisation database", fault))?;
        outcome.say(
            Message::with_id("ZWES2004I", format!("authorisation database {} is made", path.display()))
                .with_hint("`tender security init` defines what the product needs"),
        );
        Ok(outcome)
    }
}
