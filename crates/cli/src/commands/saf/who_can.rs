//! `tender saf who-can`.

use std::path::Path;

use tender_package::{Message, Outcome, Table};

use super::explain::{Asked, compiled};
use crate::error::CommandError;

/// Options of `tender saf who-can`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender saf who-can facility zwes.is read")]
pub(super) struct Args {
    #[command(flatten)]
    asked: Asked,
}

impl Args {
    /// Asks for every user.
    pub(super) fn run(self, path: &Path) -> Result<Outcome, CommandError> {
        let compiled = compiled(path)?;
        let question = self.asked.question();
        let grants = tender_saf::who_can(&compiled, &question);
        let mut outcome = Outcome { data: serde_json::json!(grants), ..Outcome::default() };
        if grants.is_empty() {
            let text =
                format!("nobody has {} access to {} {}", question.level, question.class, question.resource);
            outcome.say(Message::with_id("ZWES2007I", text));
            return Ok(outcome);
        }
        let mut table = Table::new("", &["user", "access", "because of"]);
        for grant in grants {
            let user = grant.user.unwrap_or_else(|| "(anybody unknown)".to_owned());
            let rule =
                if grant.is_warning { format!("{}, which only warns", grant.rule) } else { grant.rule };
            table.row([user, grant.allowed.to_string(), rule]);
        }
        outcome.tables.push(table);
        Ok(outcome)
    }
}
