//! `tender config schema`.

use std::path::PathBuf;

use tender_content::durable;
use tender_package::{Message, Outcome, ReturnCode, Table};

use super::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::live::Live;

/// Options of `tender config schema`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender config schema\n  tender config schema zowe-yaml > zowe-yaml.json\n  tender config \
                  schema --to schemas"
)]
pub(crate) struct Args {
    /// Which one; without a name they are listed
    name: Option<String>,
    /// Write all of them into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    to: Option<PathBuf>,
}

impl Args {
    /// Lists, prints or writes them.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let schemas = tender_config::schema::published();
        let stem = |name: &str| name.trim_end_matches(".json").to_owned();
        let mut outcome = Outcome::default();
        if let Some(name) = &self.name {
            let found = schemas.iter().find(|(known, _)| stem(known) == stem(name));
            let Some((_, text)) = found else {
                let known: Vec<_> = schemas.iter().map(|(name, _)| stem(name)).collect();
                return Err(RuntimeFault::new(
                    "ZWEL0073E",
                    ReturnCode::Unknown,
                    format!("there is no schema {name}"),
                )
                .with_hint(format!("there are: {}", known.join(" ")))
                .into());
            };
            Live::new(shell.audience).line(text.trim_end()).map_err(CommandError::Print)?;
            outcome.data = serde_json::from_str(text).unwrap_or_default();
            return Ok(outcome);
        }
        let mut table = Table::new("", &["schema", "bytes"]);
        for (name, text) in schemas {
            table.row([stem(name), text.len().to_string()]);
            let Some(directory) = &self.to else { continue };
            let path = directory.join(format!("{}.json", stem(name)));
            if !shell.is_check {
                let failed = |source| CommandError::File { doing: "make", path: directory.clone(), source };
                std::fs::create_dir_all(directory).map_err(failed)?;
                durable::write_atomically(&path, text.as_bytes()).map_err(|fault| {
                    let told = format!("failed to write {}", path.display());
                    CommandError::from(
                        RuntimeFault::new("ZWEL0151E", ReturnCode::Outside, told).because(fault),
                    )
                })?;
            }
            let would = if shell.is_check { "would write " } else { "" };
            outcome.say(Message::with_id("ZWEL0819I", format!("{would}{}", path.display())));
        }
        outcome.tables.push(table);
        outcome.data = schemas.iter().map(|(name, _)| stem(name)).collect();
        Ok(outcome)
    }
}
