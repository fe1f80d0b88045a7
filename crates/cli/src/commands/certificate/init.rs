//! `tender certificate init`.

use std::path::PathBuf;

use jiff::Timestamp;
use tender_certificate::setup::{self, ImportRequest, Plan, SetupRequest, SetupSection};
use tender_certificate::{KeyType, Owner, RuntimeCertificate};
use tender_package::{Message, Outcome, ReturnCode, Table};

use super::password::{self, PasswordArgs};
use super::{Place, Shell, setup_fault, show};
use crate::error::{CommandError, RuntimeFault};
use crate::instance::Which;
use crate::instance::place::typed;

/// Options of `tender certificate init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender certificate init --update-config\n  tender certificate init --directory \
                  keystore --host api.example.com --host 10.1.4.7 --check\n  tender certificate init --import \
                  ours.p12 --password-file ours.password\n\n\
                  With --update-config zowe.yaml is made to refer to them, also to those of an earlier run; without it \
                  the lines for it are printed. What zowe.setup.certificate says is taken; options go before it. Passwords are made at random and \
                  kept in files that the configuration refers to."
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    place: Place,
    /// A further host name or address under which the servers are reached; may be repeated
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// EC-P256, EC-P384, Ed25519, RSA-2048 or RSA-3072
    #[arg(long, value_name = "KIND")]
    key_type: Option<KeyType>,
    /// Days the certificate lasts; 396 when left out
    #[arg(long, value_name = "N")]
    days: Option<u32>,
    /// Days the authority lasts; five years when left out
    #[arg(long, value_name = "N")]
    ca_days: Option<u32>,
    /// A foreign certificate to take: PKCS12, or PEM with its chain
    #[arg(long, value_name = "FILE")]
    import: Option<PathBuf>,
    /// The key of a foreign certificate in PEM form
    #[arg(long, value_name = "FILE", requires = "import")]
    import_key: Option<PathBuf>,
    /// The alias of the key in a foreign store with several
    #[arg(long, value_name = "ALIAS", requires = "import")]
    import_alias: Option<String>,
    #[command(flatten)]
    password: PasswordArgs,
    /// A file with a further authority to trust; may be repeated
    #[arg(long, value_name = "FILE")]
    authority: Vec<PathBuf>,
    /// Replace a certificate that is there; it is kept as a backup
    #[arg(long)]
    overwrite: bool,
    /// Replace an authority that is there instead of signing with it
    #[arg(long)]
    new_authority: bool,
    /// Leave the files writable for their owner
    #[arg(long)]
    no_lock: bool,
    /// Give the files to this user and group, by number
    #[arg(long, value_name = "UID:GID", value_parser = owner)]
    owner: Option<Owner>,
    /// Write zowe.certificate into the instance's configuration
    #[arg(long)]
    update_config: bool,
}

fn owner(text: &str) -> Result<Owner, String> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, ""));
    let number = |word: &str| match word {
        "" => Ok(None),
        word => word.parse().map(Some).map_err(|_| "two numbers are needed, such as 1001:1001".to_owned()),
    };
    Ok(Owner { uid: number(uid)?, gid: number(gid)? })
}

impl Args {
    /// Plans, and carries the plan out.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let (which, update_config) = (self.which.clone(), self.update_config);
        let again = self.update_command();
        let request = self.request()?;
        let now = Timestamp::now();
        let observed = setup::observe(&request, now).map_err(setup_fault("look at the key store"))?;
        let is_new = request.overwrite || request.new_authority || request.import.is_some();
        if let Some(certificate) = observed.certificate_in_place().filter(|_| update_config && !is_new) {
            return refer(&which, &certificate, shell);
        }
        let plan = setup::plan(&request, observed, now).map_err(setup_fault("plan the certificates"))?;
        let mut outcome = planned(&plan);
        if shell.is_check {
            return Ok(outcome);
        }
        let done = setup::execute(&plan).map_err(setup_fault("make the certificates"))?;
        let made: Vec<_> = done.leaf.iter().chain(&done.authority).cloned().collect();
        outcome.tables = show::tables("", &made);
        for backup in &done.backups {
            outcome
                .say(Message::with_id("ZWEL0300W", format!("the old one is kept as {}", backup.display())));
        }
        let block = block(&done.certificate)?;
        if update_config {
            let path = which.update("zowe.certificate", &serde_json::json!(done.certificate))?;
            let text = format!("zowe.certificate in {} refers to them", path.display());
            outcome.say(
                Message::with_id("ZWEL0808I", text)
                    .with_hint("a launcher that runs takes it over with `tender reload`"),
            );
        } else {
            // At the beginning of the line, so that it can be copied as it is.
            let text =
                format!("the certificates are made; zowe.yaml does not refer to them yet:\n\n{block}\n");
            let hint = format!("`{again}` writes that into zowe.yaml");
            outcome.say(Message::with_id("ZWEL0808I", text).with_hint(hint));
        }
        outcome.data = serde_json::json!(done);
        Ok(outcome)
    }

    /// Returns the command that makes an instance use what this one has made.
    fn update_command(&self) -> String {
        let mut words = vec!["tender certificate init --update-config".to_owned()];
        let mut option = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| format!("{name} {}", typed(&value))));
        };
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let shown = |path: &PathBuf| absolute(path).display().to_string();
        let instance = self.which.directory().ok().filter(|_| self.which.config.is_none());
        let missing = if self.which.config.is_some() { None } else { Some("DIR".to_owned()) };
        option("--instance", instance.as_ref().map(shown).or(missing));
        option("--config", self.which.config.clone());
        option("--directory", self.place.directory.as_ref().map(shown));
        option("--name", self.place.name.clone());
        option("--ca-alias", self.place.ca_alias.clone());
        words.join(" ")
    }

    fn request(self) -> Result<SetupRequest, CommandError> {
        let mut request = self.configured()?;
        request.name = self.place.name.unwrap_or(request.name);
        request.ca_alias = self.place.ca_alias.unwrap_or(request.ca_alias);
        request.ca_password = password::of_file(self.place.ca_password_file)?.or(request.ca_password);
        request.host_names.extend(self.host);
        let mut seen = std::collections::BTreeSet::new();
        request.host_names.retain(|name| seen.insert(name.clone()));
        request.key_type = self.key_type.unwrap_or(request.key_type);
        request.leaf_days = self.days.or(request.leaf_days);
        request.ca_days = self.ca_days.or(request.ca_days);
        if let Some(keystore) = self.import {
            let (key, alias) = (self.import_key, self.import_alias);
            request.import = Some(ImportRequest { keystore, key, password: self.password.read()?, alias });
        }
        request.authorities.extend(self.authority);
        request.overwrite = self.overwrite;
        request.new_authority = self.new_authority;
        request.lock &= !self.no_lock;
        request.owner = self.owner.unwrap_or(request.owner);
        Ok(request)
    }

    /// Takes what the instance says, when there is one.
    fn configured(&self) -> Result<SetupRequest, CommandError> {
        if let Some(directory) = &self.place.directory
            && !self.update_config
        {
            return Ok(SetupRequest::new(&absolute(directory)?));
        }
        let section = self.which.private_value("zowe.setup.certificate")?.unwrap_or_default();
        let names = super::host_names(&self.which)?;
        let section: SetupSection = match section {
            serde_json::Value::Null => SetupSection::default(),
            section => serde_json::from_value(section).map_err(|fault| {
                let text = "failed to understand zowe.setup.certificate";
                CommandError::from(RuntimeFault::new("ZWEL0164E", ReturnCode::Refused, text).because(fault))
            })?,
        };
        let has_directory = section.pkcs12.as_ref().is_some_and(|store| store.directory.is_some());
        let mut request =
            SetupRequest::of_section(&section, &names).map_err(setup_fault("use zowe.setup.certificate"))?;
        // A certificate without the name of a host would be refused at the start.
        request.host_names.extend(names);
        if let Some(directory) = &self.place.directory {
            request.directory = absolute(directory)?;
        } else if !has_directory {
            request.directory = self.which.directory()?.join("keystore");
        }
        Ok(request)
    }
}

/// Makes the configuration refer to certificates that are there.
fn refer(which: &Which, certificate: &RuntimeCertificate, shell: &Shell) -> Result<Outcome, CommandError> {
    let mut outcome =
        Outcome { data: serde_json::json!({ "certificate": certificate }), ..Outcome::default() };
    let store = certificate.keystore.file.display();
    let text = if shell.is_check {
        format!("{store} is there already; zowe.certificate would refer to it")
    } else {
        let path = which.update("zowe.certificate", &serde_json::json!(certificate))?;
        format!("{store} is there already; zowe.certificate in {} refers to it", path.display())
    };
    outcome.say(Message::with_id("ZWEL0808I", text).with_hint("--overwrite makes a new certificate"));
    Ok(outcome)
}

fn absolute(path: &std::path::Path) -> Result<PathBuf, CommandError> {
    std::path::absolute(path).map_err(|source| CommandError::File {
        doing: "find",
        path: path.to_owned(),
        source,
    })
}

fn planned(plan: &Plan) -> Outcome {
    let mut table = Table::new("Plan", &["step"]);
    for step in &plan.steps {
        table.row([step.to_string()]);
    }
    let mut outcome = Outcome { tables: vec![table], ..Outcome::default() };
    for note in &plan.notes {
        outcome.say(Message::with_id("ZWEL0809I", note.clone()));
    }
    outcome.data = serde_json::json!(plan);
    outcome
}

/// Writes the block for `zowe.yaml`; JSON is YAML, and passwords in it are references.
fn block(certificate: &RuntimeCertificate) -> Result<String, CommandError> {
    let value = serde_json::to_value(certificate).map_err(|fault| {
        CommandError::from(
            RuntimeFault::new("ZWEL0140E", ReturnCode::Outside, "failed to write zowe.certificate")
                .because(fault),
        )
    })?;
    let mut text = "zowe:\n  certificate:\n".to_owned();
    write_yaml(&value, 4, &mut text);
    Ok(text.trim_end().to_owned())
}

/// Writes maps as indented keys and everything else as JSON, which YAML understands.
fn write_yaml(value: &serde_json::Value, indent: usize, text: &mut String) {
    let Some(map) = value.as_object() else { return };
    for (key, value) in map {
        text.push_str(&" ".repeat(indent));
        text.push_str(key);
        text.push(':');
        if value.is_object() {
            text.push('\n');
            write_yaml(value, indent + 2, text);
        } else {
            text.push(' ');
            text.push_str(&value.to_string());
            text.push('\n');
        }
    }
}
