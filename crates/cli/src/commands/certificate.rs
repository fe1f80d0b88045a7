//! `tender certificate …`: the certificates of an instance.

mod export;
mod import;
mod init;
mod password;
mod renew;
mod show;
mod trust;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;
use tender_certificate::RuntimeCertificate;
use tender_certificate::setup::{IssueError, SetupError};
use tender_package::{Outcome, ReturnCode};

use super::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::instance::Which;

/// Commands about certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum Certificate {
    /// Makes an authority and a certificate signed by it, or takes a foreign certificate
    Init(init::Args),
    /// Shows what is in a file of keys and certificates; never a key
    Show(show::Args),
    /// Checks the certificates of an instance, or that of a server
    Verify(verify::Args),
    /// Makes a new certificate of the same authority, or a new authority
    Renew(renew::Args),
    /// Trusts the certificate of a server whose fingerprint is known
    Trust(trust::Args),
    /// Adds authorities to the trust store
    Import(import::Args),
    /// Writes a key and its certificates in another form: PKCS12 to PEM, PEM to PKCS12
    Export(export::Args),
}

impl Certificate {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Init(command) => command.run(shell),
            Self::Show(command) => command.run(),
            Self::Verify(command) => command.run(shell),
            Self::Renew(command) => command.run(shell),
            Self::Trust(command) => command.run(shell),
            Self::Import(command) => command.run(shell),
            Self::Export(command) => command.run(shell),
        }
    }
}

/// Returns what an instance is configured with, `zowe.certificate`.
fn configured(which: &Which) -> Result<RuntimeCertificate, CommandError> {
    let Some(value) = which.private_value("zowe.certificate")?.filter(|value| !value.is_null()) else {
        let text = format!("{} is configured without zowe.certificate", which.directory()?.display());
        return Err(RuntimeFault::new("ZWEL0131E", ReturnCode::Unknown, text)
            .with_hint("`tender certificate init --update-config` makes certificates and writes it")
            .into());
    };
    serde_json::from_value(value).map_err(|fault| {
        RuntimeFault::new("ZWEL0131E", ReturnCode::Refused, "failed to understand zowe.certificate")
            .because(fault)
            .into()
    })
}

/// Lists the names under which the servers of an instance are reached: external domains and hosts.
fn host_names(which: &Which) -> Result<Vec<String>, CommandError> {
    let loaded = which.load()?;
    let mut names = loaded.instance.external_domains();
    for id in loaded.configuration.instance_ids() {
        let other = loaded.configuration.for_instance(Some(&id));
        names.extend(other.map(|other| other.hostname));
    }
    names.push(loaded.instance.hostname);
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// Names where certificates are kept and what they are called.
#[derive(Debug, Clone, clap::Args)]
struct Place {
    /// The key store directory; else that of zowe.setup.certificate, else keystore in the instance
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Alias of the certificate; localhost when left out
    #[arg(long, value_name = "ALIAS")]
    name: Option<String>,
    /// Alias of the authority; local_ca when left out
    #[arg(long, value_name = "ALIAS")]
    ca_alias: Option<String>,
    /// A file whose first line is the authority's password, when it is not beside its store
    #[arg(long, value_name = "FILE")]
    ca_password_file: Option<PathBuf>,
}

/// Says what went wrong with a key store directory.
fn setup_fault(doing: &str) -> impl FnOnce(SetupError) -> CommandError + '_ {
    move |fault| {
        let (id, code, hint) = match &fault {
            SetupError::Exists { .. } => {
                ("ZWEL0158E", ReturnCode::Refused, Some("--overwrite replaces it; the old one is kept"))
            }
            SetupError::Name { .. }
            | SetupError::Subject { .. }
            | SetupError::Validity { .. }
            | SetupError::Issue(IssueError::Name { .. }) => ("ZWEL0102E", ReturnCode::Syntax, None),
            SetupError::KeyRing { .. } | SetupError::NotAnAuthority { .. } | SetupError::NotValid { .. } => {
                ("ZWEL0102E", ReturnCode::Refused, None)
            }
            SetupError::NoRoot { .. } => {
                ("ZWEL0179E", ReturnCode::Refused, Some("give the issuer's certificate with --authority"))
            }
            SetupError::Authority { .. } => {
                ("ZWEL0168E", ReturnCode::Refused, Some("--new-authority makes another one"))
            }
            SetupError::ForeignIssuer { .. } => ("ZWEL0169E", ReturnCode::Refused, None),
            SetupError::Missing { .. } => {
                ("ZWEL0169E", ReturnCode::Unknown, Some("`tender certificate init` makes one"))
            }
            SetupError::Password(fault) => ("ZWEL0150E", password::reference_code(fault), None),
            SetupError::Bundle(fault) => ("ZWEL0179E", password::code(fault), None),
            _ => ("ZWEL0169E", ReturnCode::Outside, None),
        };
        let mut told = RuntimeFault::new(id, code, format!("failed to {doing}")).because(fault);
        told.hint = hint.map(str::to_owned);
        told.into()
    }
}
