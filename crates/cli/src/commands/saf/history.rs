//! `tender saf history`.

use std::path::Path;

use tender_package::{Outcome, Table};

use super::{open, store_fault};
use crate::error::CommandError;

/// Options of `tender saf history`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --json each record is shown as it was and as it became.\n\nExample:\n  tender saf history --of ZWES.IS"
)]
pub(super) struct Args {
    /// Only records whose name has this in it
    #[arg(long, value_name = "TEXT")]
    of: Option<String>,
}

impl Args {
    /// Shows what happened.
    pub(super) fn run(self, path: &Path) -> Result<Outcome, CommandError> {
        let failed = |fault| store_fault("failed to read the history", fault);
        let mut entries = open(path)?.history().map_err(failed)?;
        if let Some(of) = &self.of {
            entries.retain(|entry| entry.key.to_string().to_uppercase().contains(&of.to_uppercase()));
        }
        let mut outcome = Outcome { data: serde_json::json!(entries), ..Outcome::default() };
        let mut table = Table::new("", &["change", "when", "who", "record", "command"]);
        for entry in entries {
            let at = entry.at.strftime("%Y-%m-%d %H:%M:%S").to_string();
            table.row([entry.transaction.to_string(), at, entry.who, entry.key.to_string(), entry.what]);
        }
        outcome.tables.push(table);
        Ok(outcome)
    }
}
