//! `tender component list`.

use tender_launcher::discover;
use tender_package::{Outcome, Table};

use super::Shell;
use crate::error::CommandError;
use crate::instance::Which;
use crate::live::Live;

/// Options of `tender component list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tender component list\n  tender component list --launched")]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Print the names of those that a launcher starts, with commas, and nothing else
    #[arg(long)]
    launched: bool,
}

impl Args {
    /// Lists them.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let loaded = self.which.load()?;
        let mut outcome = Outcome::default();
        if self.launched {
            let names = discover::launched(&loaded);
            Live::new(shell.audience).line(&names.join(",")).map_err(CommandError::Print)?;
            outcome.data = serde_json::json!(names);
            return Ok(outcome);
        }
        let listed = discover::components(&loaded);
        let mut table = Table::new(
            "",
            &["component", "version", "kind", "enabled", "starts", "other HA instances", "directory"],
        );
        for one in &listed {
            let word = |is_so: bool| if is_so { "yes" } else { "no" }.to_owned();
            let kind = match (one.is_core, one.is_link) {
                (true, _) => "product",
                (false, true) => "extension, linked",
                (false, false) => "extension",
            };
            let enabled_in =
                one.enabled_in.iter().map(|(id, is_enabled)| format!("{id}: {}", word(*is_enabled)));
            table.row([
                one.name.clone(),
                one.version.clone().unwrap_or_else(|| "-".to_owned()),
                kind.to_owned(),
                word(one.is_enabled),
                if one.is_usable { word(one.is_launched) } else { "its manifest cannot be used".to_owned() },
                enabled_in.collect::<Vec<_>>().join(", "),
                one.root.display().to_string(),
            ]);
        }
        outcome.tables.push(table);
        outcome.data = serde_json::json!(listed);
        Ok(outcome)
    }
}
