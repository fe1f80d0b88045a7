//! `tender verify`: an instance from outside.

use tender_launcher::check::{Check, CheckOutcome};
use tender_package::{Message, Outcome, ReturnCode, Table};

use super::Shell;
use crate::error::CommandError;
use crate::instance::{Which, loaded};

/// Options of `tender verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender verify\n\n\
                  Looks at a running instance: launcher, components, ports, directories, certificates, the product's \
                  own fingerprints. Ends with 0 when all is well, 4 with warnings, 8 when something is not as it should be.")]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Checks.
    pub(crate) fn run(self, _shell: &Shell) -> Result<Outcome, CommandError> {
        let instance = self.which.open()?;
        let checks = tender_launcher::verify::verify(&instance).map_err(loaded::fault)?;
        Ok(checked(&format!("Instance {}", instance.directory().display()), &checks))
    }
}

/// Shows checks, one a row; the worst of them is how it ends.
pub(super) fn checked(title: &str, checks: &[Check]) -> Outcome {
    let mut table = Table::new(title, &["check", "result", "what was found"]);
    let mut outcome = Outcome::default();
    for check in checks {
        let (word, id) = match check.outcome {
            CheckOutcome::Passed => ("passed", None),
            CheckOutcome::Skipped => ("skipped", None),
            CheckOutcome::Warned => ("warning", Some("ZWEL0812W")),
            CheckOutcome::Failed => ("failed", Some("ZWEL0813E")),
        };
        table.row([check.what.as_str(), word, check.found.as_str()]);
        if let Some(id) = id {
            outcome.say(Message::with_id(id, format!("{}: {}", check.what, check.found)));
        }
        if check.outcome == CheckOutcome::Failed {
            outcome.code = outcome.code.max(ReturnCode::Partial);
        }
    }
    outcome.tables.push(table);
    outcome.data = serde_json::json!({ "checks": checks });
    outcome
}
