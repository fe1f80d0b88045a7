//! `tender xmem apf list`.

use tender_package::{Message, Outcome, Table};

use super::{Which, read};
use crate::commands::Shell;
use crate::error::CommandError;

/// Options of `tender xmem apf list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender xmem apf list --json")]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Shows the list.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let path = self.which.path(shell)?;
        let list = read(&path)?;
        let modules: Vec<_> = list.modules().collect();
        let mut outcome =
            Outcome { data: serde_json::json!({ "list": path, "modules": modules }), ..Outcome::default() };
        let mut table = Table::new("", &["module", "purpose", "proof", "comment"]);
        for module in &modules {
            let proof = module.proof.to_string();
            // Enough of a digest to compare by eye; --json has all of it.
            let shown = proof.get(..24).map_or(proof.clone(), |start| format!("{start}…"));
            table.row([module.name.to_string(), module.purpose.to_string(), shown, module.comment.clone()]);
        }
        outcome.tables.push(table);
        if modules.is_empty() {
            let text = format!("nothing is authorised in {}", path.display());
            outcome.say(Message::with_id("ZWES2120I", text).with_hint("`tender xmem apf add LOADLIB`"));
        }
        Ok(outcome)
    }
}
