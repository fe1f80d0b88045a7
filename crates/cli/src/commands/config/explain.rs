//! `tender config explain KEY`.

use tender_package::{Message, Outcome, ReturnCode, Table};

use crate::error::{CommandError, RuntimeFault};
use crate::instance::Which;

/// Options of `tender config explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender config explain components.gateway.port")]
pub(crate) struct Args {
    /// The key
    key: String,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Shows every text that sets the value, the one that counts first.
    pub(super) fn run(self) -> Result<Outcome, CommandError> {
        let loaded = self.which.load()?;
        let explained = loaded.instance.explain(&self.key).map_err(|fault| {
            CommandError::from(
                RuntimeFault::new("ZWEL0303E", ReturnCode::Syntax, "failed to find a value").because(fault),
            )
        })?;
        let mut outcome = Outcome { data: serde_json::json!(explained), ..Outcome::default() };
        let Some(value) = &explained.value else {
            let text = format!("{} is set nowhere", self.key);
            outcome.say(Message::with_id("ZWEL0303W", text));
            outcome.code = ReturnCode::Unknown;
            return Ok(outcome);
        };
        let mut table = Table::new(format!("{} = {value}", self.key), &["where", "says", "counts"]);
        for setting in &explained.settings {
            let counts = match (setting.is_overridden, setting.appends) {
                (true, _) => "no, overridden",
                (false, true) => "yes, appends",
                (false, false) => "yes",
            };
            table.row([setting.origin.to_string(), setting.value.to_string(), counts.to_owned()]);
        }
        outcome.tables.push(table);
        Ok(outcome)
    }
}
