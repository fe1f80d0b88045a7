//! `tender certificate show`.

use std::path::PathBuf;

use jiff::Timestamp;
use tender_certificate::CertificateInfo;
use tender_package::{Message, Outcome, Table};

use super::password::{PasswordArgs, bundle_fault};
use crate::error::CommandError;

/// Options of `tender certificate show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender certificate show keystore/localhost/localhost.cer\n  tender certificate show \
                  store.p12 --password-file store.password --json"
)]
pub(crate) struct Args {
    /// A file in PEM, DER or PKCS12 form
    file: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
}

impl Args {
    /// Reads the file.
    pub(super) fn run(self) -> Result<Outcome, CommandError> {
        let password = self.password.read()?;
        let found = tender_certificate::show(&self.file, password.as_ref(), Timestamp::now())
            .map_err(bundle_fault("show what is in a file"))?;
        let mut outcome = Outcome { tables: vec![table("", &found)], ..Outcome::default() };
        for one in found.iter().filter(|one| one.days_left < 0) {
            let text = format!("{} has expired on {:.0}", one.subject, one.not_after);
            outcome.say(Message::with_id("ZWEL0807W", text));
        }
        outcome.data = serde_json::json!(found);
        Ok(outcome)
    }
}

/// Shows certificates, one a row.
pub(super) fn table(title: &str, certificates: &[CertificateInfo]) -> Table {
    let mut table = Table::new(
        title,
        &["alias", "what", "subject", "names", "key", "valid until", "days left", "SHA-256"],
    );
    for one in certificates {
        let what = match (one.has_private_key, one.is_ca, one.chain_position) {
            (true, ..) => "key and certificate",
            (_, true, _) => "authority",
            (_, _, 0) => "certificate",
            _ => "chain",
        };
        table.row([
            one.alias.clone().unwrap_or_else(|| "-".to_owned()),
            what.to_owned(),
            one.subject.clone(),
            one.alternative_names.join(" "),
            format!("{} {}", one.key.kind, one.key.bits),
            format!("{:.0}", one.not_after),
            one.days_left.to_string(),
            one.fingerprint.clone(),
        ]);
    }
    table
}
