//! `tender saf audit FILE`.

use std::path::PathBuf;

use tender_package::{Message, Outcome, ReturnCode};
use tender_saf::{AuditError, AuditLog};

use crate::error::{CommandError, RuntimeFault};

/// Options of `tender saf audit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ends with 32 when a line was changed, taken out or put in, or says of itself what cannot be. That the \
                        end was cut off shows only in comparison with the count and digest of an earlier check.\n\n\
                        Example:\n  tender saf audit /var/lib/tender/xmem/ZWESIS_STD/audit.log"
)]
pub(super) struct Args {
    /// The log
    file: PathBuf,
}

impl Args {
    /// Checks the log.
    pub(super) fn run(self) -> Result<Outcome, CommandError> {
        // For the server a log that is not there has no lines yet; somebody who names one means one that is there.
        if !self.file.exists() {
            let text = format!("there is no log {}", self.file.display());
            return Err(RuntimeFault::new("ZWES2014E", ReturnCode::Unknown, text).into());
        }
        let head = AuditLog::verify(&self.file).map_err(|fault| {
            let code = match &fault {
                AuditError::Broken { .. }
                | AuditError::Malformed { .. }
                | AuditError::Contradiction { .. } => ReturnCode::Integrity,
                AuditError::Io { .. } | AuditError::Full { .. } | AuditError::Unnumbered { .. } => {
                    ReturnCode::Outside
                }
            };
            CommandError::from(RuntimeFault::new("ZWES2014E", code, "the log does not hold").because(fault))
        })?;
        let mut outcome = Outcome { data: serde_json::json!(head), ..Outcome::default() };
        let text =
            format!("{} lines follow one from the other; the last has digest {}", head.count, head.last);
        outcome.say(Message::with_id("ZWES2009I", text));
        Ok(outcome)
    }
}
