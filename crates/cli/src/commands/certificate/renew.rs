//! `tender certificate renew`.

use std::path::PathBuf;

use jiff::Timestamp;
use tender_certificate::KeyType;
use tender_certificate::renew::{self, RenewRequest};
use tender_package::{Message, Outcome, ReturnCode, Table};

use super::password::{self, PasswordArgs};
use super::{Place, Shell, configured, setup_fault, show};
use crate::error::{CommandError, RuntimeFault};
use crate::instance::Which;

/// Options of `tender certificate renew`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender certificate renew --when-due\n  tender certificate renew --host new.example.com\n  \
                  tender certificate renew --new-authority\n\n\
                  A certificate is due when less than a third of its time is left; --when-due is made for a timer. \
                  `tender reload` hands the new files to the components."
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    password: PasswordArgs,
    /// Do nothing while more than a third of the time is left
    #[arg(long)]
    when_due: bool,
    /// A further host name or address; may be repeated
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Kind of the new key; that of the old one when left out
    #[arg(long, value_name = "KIND")]
    key_type: Option<KeyType>,
    /// Days the new certificate lasts; 396 when left out
    #[arg(long, value_name = "N")]
    days: Option<u32>,
    /// Also make a new authority, for which the old one vouches as long as it lasts
    #[arg(long)]
    new_authority: bool,
}

impl Args {
    /// Plans, and carries the plan out.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let (directory, name) = self.place()?;
        let ca_alias = self.place.ca_alias.unwrap_or_else(|| "local_ca".to_owned());
        let request = RenewRequest {
            ca_password: password::of_file(self.place.ca_password_file)?,
            password: self.password.read()?,
            leaf_days: self.days,
            host_names: self.host,
            key_type: self.key_type,
            only_when_due: self.when_due,
            new_authority: self.new_authority,
            ..RenewRequest::new(&directory, &name, &ca_alias)
        };
        let plan = renew::plan(&request, Timestamp::now()).map_err(setup_fault("plan the renewal"))?;
        let mut outcome = Outcome { data: serde_json::json!(plan), ..Outcome::default() };
        let due =
            format!("{} days are left; it is due from {:.0} on", plan.due.days_left, plan.due.renew_from);
        if plan.steps.is_empty() {
            outcome.say(Message::with_id("ZWEL0810I", format!("nothing to renew: {due}")));
            return Ok(outcome);
        }
        let mut table = Table::new("Plan", &["step"]);
        for step in &plan.steps {
            table.row([step.to_string()]);
        }
        outcome.tables.push(table);
        if shell.is_check {
            outcome.say(Message::with_id("ZWEL0810I", due));
            return Ok(outcome);
        }
        let Some(done) = renew::execute(&plan).map_err(setup_fault("renew the certificate"))? else {
            return Ok(outcome);
        };
        let made: Vec<_> = done.leaf.iter().chain(&done.authority).cloned().collect();
        outcome.tables = show::tables("", &made);
        for backup in &done.backups {
            outcome
                .say(Message::with_id("ZWEL0811I", format!("the old one is kept as {}", backup.display())));
        }
        outcome.say(
            Message::with_id("ZWEL0808I", "the certificate is renewed")
                .with_hint("`tender reload` hands the new files to the components"),
        );
        outcome.data = serde_json::json!(done);
        Ok(outcome)
    }

    /// Returns the key store directory and the name: those given, or where the configured store lies.
    fn place(&self) -> Result<(PathBuf, String), CommandError> {
        if let Some(directory) = &self.place.directory {
            return Ok((
                directory.clone(),
                self.place.name.clone().unwrap_or_else(|| "localhost".to_owned()),
            ));
        }
        let keystore = configured(&self.which)?.keystore.file;
        let named = keystore.parent().and_then(|leaf| {
            let name = leaf.file_name()?.to_str()?.to_owned();
            Some((leaf.parent()?.to_owned(), name))
        });
        let (directory, name) = named.ok_or_else(|| {
            let text = format!("{} is not in a directory that `certificate init` made", keystore.display());
            CommandError::from(RuntimeFault::new("ZWEL0169E", ReturnCode::Refused, text).with_hint(
                "renew it where it came from, then `tender certificate init --import --overwrite`",
            ))
        })?;
        Ok((directory, self.place.name.clone().unwrap_or(name)))
    }
}
