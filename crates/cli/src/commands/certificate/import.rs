//! `tender certificate import FILE…`.

use std::path::PathBuf;

use jiff::Timestamp;
use tender_certificate::TrustError;
use tender_package::{Message, Outcome, ReturnCode};

use super::password::{self, bundle_fault};
use super::{Shell, show, trust};
use crate::error::{CommandError, RuntimeFault};
use crate::instance::Which;

/// Options of `tender certificate import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender certificate import company-root.pem partner-ca.cer")]
pub(crate) struct Args {
    /// Files of authorities, in PEM or DER form
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Adds them to the trust store.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let store = trust::store(&self.which)?;
        let now = Timestamp::now();
        let mut outcome = Outcome::default();
        if shell.is_check {
            for file in &self.files {
                let found =
                    tender_certificate::show(file, None, now).map_err(bundle_fault("read an authority"))?;
                outcome.tables.extend(show::tables(&format!("would trust of {}", file.display()), &found));
            }
            return Ok(outcome);
        }
        let imported = tender_certificate::import_authorities(&store, &self.files, now).map_err(fault)?;
        trust::told(&mut outcome, &imported.added, &imported.present);
        if !imported.pem_files.is_empty() {
            let files: Vec<_> = imported.pem_files.iter().map(|file| file.display().to_string()).collect();
            outcome.say(
                Message::with_id("ZWEL0816I", format!("PEM files: {}", files.join(" "))).with_hint(
                    "servers that read PEM need them in zowe.certificate.pem.certificateAuthorities",
                ),
            );
        }
        outcome.data = serde_json::json!(imported);
        Ok(outcome)
    }
}

fn fault(fault: TrustError) -> CommandError {
    let code = match &fault {
        TrustError::Bundle(fault) => password::code(fault),
        TrustError::NotAnAuthority { .. } => ReturnCode::Refused,
        TrustError::Directory(_) => ReturnCode::Outside,
    };
    RuntimeFault::new("ZWEL0179E", code, "failed to import authorities").because(fault).into()
}
