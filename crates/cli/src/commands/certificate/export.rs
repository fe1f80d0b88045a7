//! `tender certificate export FILE`.

use std::path::PathBuf;

use tender_certificate::{Bundle, Secret};
use tender_content::durable::{self, DurableError};
use tender_package::{Message, Outcome, ReturnCode};

use super::Shell;
use super::password::{self, PasswordArgs, bundle_fault};
use crate::error::{CommandError, RuntimeFault};

/// Options of `tender certificate export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender certificate export store.p12 --password-file store.password --pem exported\n  \
                  tender certificate export server.pem --key server.key --pkcs12 server.p12 --to-password-file \
                  server.password\n\n\
                  --pem writes ALIAS.cer, ALIAS.key (mode 0600, with --private-key) and trusted.cer into a directory."
)]
pub(crate) struct Args {
    /// A file in PEM, DER or PKCS12 form
    file: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
    /// A PEM file with the key, when it is elsewhere
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Write PEM files into this directory
    #[arg(long, value_name = "DIR", required_unless_present = "pkcs12")]
    pem: Option<PathBuf>,
    /// Write private keys, too
    #[arg(long, requires = "pem")]
    private_key: bool,
    /// Write one PKCS12 store
    #[arg(long, value_name = "FILE", requires = "to_password_file")]
    pkcs12: Option<PathBuf>,
    /// A file whose first line is the password of the new store; made at random when it is not there
    #[arg(long, value_name = "FILE")]
    to_password_file: Option<PathBuf>,
}

impl Args {
    /// Reads one form and writes the other.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let bundle = match &self.key {
            Some(key) => Bundle::read_pem_files(&[&self.file, key]),
            None => Bundle::read(&self.file, self.password.read()?.as_ref()),
        }
        .map_err(bundle_fault("read what is to be exported"))?;
        let mut files = Vec::new();
        if let Some(directory) = &self.pem {
            for key in bundle.keys() {
                files.push((
                    directory.join(format!("{}.cer", key.alias)),
                    key.chain_pem().into_bytes(),
                    false,
                ));
                if self.private_key {
                    let pem = key.key_pem().as_bytes().to_vec();
                    files.push((directory.join(format!("{}.key", key.alias)), pem, true));
                }
            }
            if bundle.trusted().next().is_some() {
                files.push((directory.join("trusted.cer"), bundle.trusted_pem().into_bytes(), false));
            }
        }
        let mut outcome = Outcome::default();
        if let (Some(path), Some(password_file)) = (&self.pkcs12, &self.to_password_file) {
            let password = if password_file.exists() || shell.is_check {
                password::of_file(password_file.exists().then(|| password_file.clone()))?
                    .unwrap_or_else(Secret::generate)
            } else {
                let password = Secret::generate();
                files.push((password_file.clone(), format!("{}\n", password.expose()).into_bytes(), true));
                password
            };
            let store = bundle.to_pkcs12(&password).map_err(bundle_fault("make a PKCS12 store"))?;
            files.push((path.clone(), store.to_vec(), true));
        }
        for (path, bytes, is_secret) in &files {
            if !shell.is_check {
                write(path, bytes, *is_secret)?;
            }
            let would = if shell.is_check { "would write " } else { "wrote " };
            outcome.say(Message::with_id("ZWEL0817I", format!("{would}{}", path.display())));
        }
        let paths: Vec<_> = files.iter().map(|(path, ..)| path).collect();
        outcome.data = serde_json::json!({ "files": paths });
        Ok(outcome)
    }
}

fn write(path: &std::path::Path, bytes: &[u8], is_secret: bool) -> Result<(), CommandError> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    if let Some(directory) = directory {
        std::fs::create_dir_all(directory).map_err(|source| CommandError::File {
            doing: "make",
            path: directory.to_owned(),
            source,
        })?;
    }
    let write = if is_secret { durable::write_secret_atomically } else { durable::write_atomically };
    write(path, bytes).map_err(|fault: DurableError| {
        let text = format!("failed to write {}", path.display());
        RuntimeFault::new("ZWEL0178E", ReturnCode::Outside, text).because(fault).into()
    })
}
