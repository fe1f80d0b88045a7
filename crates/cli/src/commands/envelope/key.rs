//! `tender envelope key FILE`.

use std::path::PathBuf;

use tender_package::{Message, Outcome, ReturnCode, Severity};
use tender_service::envelope::VendorKey;

use super::{Shell, refusal};
use crate::error::CommandError;

/// Options of `tender envelope key`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender envelope key vendor.key")]
pub(crate) struct Args {
    /// Where the secret half goes; `.pub` is added for the public half
    file: PathBuf,
}

impl Args {
    /// Makes the key.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        if shell.is_check {
            return Err(CommandError::NothingToCheck("envelope key"));
        }
        let key = match VendorKey::generate(&self.file) {
            Ok(key) => key,
            Err(fault) => return Ok(refusal(41, &fault, ReturnCode::Outside, None)),
        };
        let mut outcome = Outcome::default();
        outcome.say(
            Message::csm(
                42,
                Severity::I,
                format!("keep {0} secret; give {0}.pub to those who install your fixes", self.file.display()),
            )
            .with_hint(format!(
                "they run `tender servmgr vendor set NAME --key {}.pub`",
                self.file.display()
            )),
        );
        outcome.data = serde_json::json!({ "public_key": key.public().to_hex() });
        Ok(outcome)
    }
}
