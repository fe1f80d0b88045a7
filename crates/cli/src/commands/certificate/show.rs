//! `tender certificate show`.

use std::path::PathBuf;

use jiff::Timestamp;
use tender_certificate::CertificateInfo;
use tender_package::{Message, Outcome, Table};

use super::configured;
use super::password::{self, PasswordArgs, bundle_fault};
use crate::error::CommandError;
use crate::instance::Which;

/// Options of `tender certificate show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender certificate show\n  tender certificate show keystore/localhost/localhost.cer\n  tender certificate show \
                  store.p12 --password-file store.password --json"
)]
pub(crate) struct Args {
    /// A file in PEM, DER or PKCS12 form; the key store of the instance when left out
    file: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Reads the file.
    pub(super) fn run(self) -> Result<Outcome, CommandError> {
        let mut password = self.password.read()?;
        let file = match self.file {
            Some(file) => file,
            None => {
                let store = configured(&self.which)?.keystore;
                let kept = store.password.as_ref().filter(|_| password.is_none());
                password = kept.map(password::resolve).transpose()?.or(password);
                store.file
            }
        };
        let found = tender_certificate::show(&file, password.as_ref(), Timestamp::now())
            .map_err(bundle_fault("show what is in a file"))?;
        let mut outcome = Outcome { tables: tables("", &found), ..Outcome::default() };
        for one in found.iter().filter(|one| one.days_left < 0) {
            let text = format!("{} has expired on {:.0}", one.subject, one.not_after);
            outcome.say(Message::with_id("ZWEL0807W", text));
        }
        outcome.data = serde_json::json!(found);
        Ok(outcome)
    }
}

/// Shows certificates, a table each: their names and fingerprints are too long to stand beside each other.
pub(super) fn tables(title: &str, certificates: &[CertificateInfo]) -> Vec<Table> {
    let between = if title.is_empty() { "" } else { ": " };
    let shown = certificates.iter().map(|one| {
        let what = match (one.has_private_key, one.is_ca, one.chain_position) {
            (true, ..) => "key and certificate",
            (_, true, _) => "authority",
            (_, _, 0) => "certificate",
            _ => "chain",
        };
        let alias = one.alias.as_ref().map(|alias| format!(" {alias}")).unwrap_or_default();
        let mut table = Table::new(format!("{title}{between}{what}{alias}"), &["of", "is"]);
        table.row(["subject", &one.subject]);
        table.row(["names", &one.alternative_names.join(" ")]);
        table.row(["key", &format!("{} {}", one.key.kind, one.key.bits)]);
        table.row(["valid until", &format!("{:.0}, {} days left", one.not_after, one.days_left)]);
        table.row(["SHA-256", &one.fingerprint]);
        table.rows.retain(|row| row.get(1).is_some_and(|value| !value.is_empty()));
        table
    });
    shown.collect()
}
