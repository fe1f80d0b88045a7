//! `tender envelope inspect FILE` and `tender envelope verify FILE`.

use std::path::{Path, PathBuf};

use tender_package::{Message, Outcome, ReturnCode, Severity, Table};
use tender_service::envelope::{self, Limits, VendorPublicKey};
use tender_service::shapes::{EnvelopeHeader, Fix, Requisite};

use super::{Shell, refusal};
use crate::error::CommandError;

/// Options of `tender envelope inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender envelope inspect rsu0801.envelope")]
pub(crate) struct Args {
    /// The envelope
    file: PathBuf,
    /// List the parts each fix changes
    #[arg(long)]
    parts: bool,
}

impl Args {
    /// Shows the header; the parts themselves are not read.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        let opened = match envelope::open(&self.file, &Limits::default()) {
            Ok(opened) => opened,
            Err(fault) => return Ok(wrong(&self.file, &fault)),
        };
        let mut outcome = shown(&opened.header, self.parts);
        let signed = if opened.is_signed() { "signed" } else { "not signed" };
        outcome.say(Message::csm(
            43,
            Severity::I,
            format!(
                "{} is a {:?} of vendor {}, {signed}",
                opened.header.name, opened.header.kind, opened.header.vendor
            ),
        ));
        Ok(outcome)
    }
}

/// Options of `tender envelope verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender envelope verify rsu0801.envelope --key vendor.key.pub")]
pub(crate) struct VerifyArgs {
    /// The envelope
    file: PathBuf,
    /// The public key of its vendor; without it only damage is found, not forgery
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl VerifyArgs {
    /// Reads everything and checks it.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let opened = match envelope::open(&self.file, &Limits::default()) {
            Ok(opened) => opened,
            Err(fault) => return Ok(wrong(&self.file, &fault)),
        };
        if let Some(path) = &self.key {
            let key = match VendorPublicKey::load(path) {
                Ok(key) => key,
                Err(fault) => return Ok(refusal(41, &fault, ReturnCode::Outside, None)),
            };
            if let Err(fault) = opened.verify_signature(&key) {
                return Ok(wrong(&self.file, &fault));
            }
        }
        let header = match opened.verify_parts(&shell.bars) {
            Ok(header) => header,
            Err(fault) => return Ok(wrong(&self.file, &fault)),
        };
        let mut outcome = Outcome::default();
        let parts: usize = header.fixes.iter().map(|fix| fix.parts.len()).sum();
        let text = format!("{}: {} fixes with {parts} parts are whole", header.name, header.fixes.len());
        outcome.say(Message::csm(44, Severity::I, text));
        if self.key.is_none() {
            outcome.say(
                Message::csm(45, Severity::W, "its signature was not checked")
                    .with_hint("give the vendor's public key with --key"),
            );
        }
        Ok(outcome)
    }
}

fn wrong(file: &Path, fault: &envelope::EnvelopeError) -> Outcome {
    let mut outcome = refusal(40, fault, fault.code(), fault.hint());
    for message in &mut outcome.messages {
        message.text = format!("envelope {}: {}", file.display(), message.text);
    }
    outcome
}

/// Shows the fixes of a header.
pub(super) fn shown(header: &EnvelopeHeader, with_parts: bool) -> Outcome {
    let mut outcome = Outcome::default();
    let mut table =
        Table::new("", &["fix", "component", "parts", "requisites", "supersedes", "holds", "about"]);
    for fix in &header.fixes {
        table.row(fix_row(fix));
    }
    outcome.tables.push(table);
    if with_parts {
        let mut parts = Table::new("parts", &["fix", "part", "change"]);
        for fix in &header.fixes {
            for part in &fix.parts {
                let change = match (&part.was, &part.becomes) {
                    (None, _) => "added",
                    (_, None) => "deleted",
                    _ => "replaced",
                };
                parts.row([fix.id.to_string(), part.path.to_string(), change.to_owned()]);
            }
        }
        outcome.tables.push(parts);
    }
    outcome.data = serde_json::to_value(header).unwrap_or_default();
    outcome
}

fn fix_row(fix: &Fix) -> [String; 7] {
    let join = |words: Vec<String>| words.join(", ");
    [
        fix.id.to_string(),
        fix.component.to_string(),
        fix.parts.len().to_string(),
        join(fix.requisites.iter().map(Requisite::words).collect()),
        join(fix.supersedes.iter().map(ToString::to_string).collect()),
        join(fix.holds.iter().map(|hold| format!("{} {}", hold.class.word(), hold.reason)).collect()),
        fix.description.clone(),
    ]
}
