//! `tender xmem apf add`.

use std::path::{Path, PathBuf};

use tender_package::{Message, Outcome, ReturnCode};
use tender_parmlib::{Added, AuthorisedList, AuthorisedModule, ModuleName, Proof, Purpose, SealedProgram};

use super::{Which, lock, read, write};
use crate::commands::Shell;
use crate::commands::xmem::fault;
use crate::error::{CommandError, RuntimeFault};

/// Options of `tender xmem apf add`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A directory stands for every module in it: files with 1 to 8 of A-Z 0-9 $ # @ as their name. ZWESIS01 and ZWESAUX are \
for the server, others are plug-ins. With --signer the line holds for every content that the key has signed; the \
signature, 64 bytes of Ed25519 over the file, lies beside it as MODULE.sig.\n\n\
Examples:\n  tender xmem apf add /usr/lib/tender/xmem\n  tender xmem apf add ./echo --as ECHOPL01 --comment 'our echo'\n  \
tender xmem apf add ECHOPL01 --signer ed25519:… --purpose plugin")]
pub(crate) struct Args {
    /// Modules, or directories of modules; with --signer names of modules
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The name of the module, where its file is called otherwise
    #[arg(long = "as", value_name = "NAME")]
    name: Option<ModuleName>,
    /// What it may be run as: server or plugin
    #[arg(long)]
    purpose: Option<Purpose>,
    /// Who signs the module: `ed25519:` and the public key in hexadecimal digits
    #[arg(long, value_name = "KEY", value_parser = signer)]
    signer: Option<Proof>,
    /// Take other lines of the same module off the list
    #[arg(long)]
    replace: bool,
    /// What the line says behind its purpose
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    which: Which,
}

/// Says that a word is a digest where a key is needed.
#[derive(Debug, thiserror::Error)]
enum SignerError {
    #[error(transparent)]
    Proof(#[from] tender_parmlib::ProofError),
    #[error("a digest signs nothing; write `ed25519:` and the public key")]
    Digest,
}

fn signer(text: &str) -> Result<Proof, SignerError> {
    match text.parse()? {
        key @ Proof::Signer(_) => Ok(key),
        Proof::Digest(_) => Err(SignerError::Digest),
    }
}

impl Args {
    /// Adds lines.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let path = self.which.path(shell)?;
        let lines = self.lines()?;
        let lock = if shell.is_check { None } else { Some(lock(&path)?) };
        let mut list = read(&path)?;
        let mut outcome = Outcome::default();
        let mut is_changed = false;
        for line in &lines {
            is_changed |= add(&mut list, line, self.replace, &mut outcome);
        }
        outcome.data = serde_json::json!({ "list": path, "modules": lines, "changed": is_changed });
        if !is_changed {
            return Ok(outcome);
        }
        match lock {
            None => outcome.say(Message::with_id("ZWES2111I", "nothing is changed")),
            Some(lock) => write(&lock, &path, &list)?,
        }
        Ok(outcome)
    }

    fn lines(&self) -> Result<Vec<AuthorisedModule>, CommandError> {
        let mut lines = Vec::new();
        for path in &self.paths {
            if self.signer.is_none() && path.is_dir() {
                let before = lines.len();
                for file in modules_in(path)? {
                    lines.push(self.line(&file)?);
                }
                if lines.len() == before {
                    let text = format!("there is no module in {}", path.display());
                    return Err(RuntimeFault::new("ZWES2105E", ReturnCode::Unknown, text).into());
                }
            } else {
                lines.push(self.line(path)?);
            }
        }
        if self.name.is_some() && lines.len() != 1 {
            let text = "--as names one module, and several are given";
            return Err(RuntimeFault::new("ZWES2105E", ReturnCode::Syntax, text).into());
        }
        Ok(lines)
    }

    fn line(&self, path: &Path) -> Result<AuthorisedModule, CommandError> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                file.parse().map_err(|cause| {
                    RuntimeFault::new("ZWES2105E", ReturnCode::Syntax, "the file is called like no module")
                        .because(cause)
                        .with_hint("--as NAME gives it a name")
                })?
            }
        };
        let proof = match self.signer {
            Some(key) => key,
            None => {
                let absolute = std::path::absolute(path).map_err(|source| CommandError::File {
                    doing: "find the place of",
                    path: path.to_owned(),
                    source,
                })?;
                Proof::Digest(SealedProgram::of_file(&absolute, &name).map_err(fault::module)?.digest())
            }
        };
        let is_server = ["ZWESIS01", "ZWESAUX"].contains(&name.as_str());
        let purpose = self.purpose.unwrap_or(if is_server { Purpose::Server } else { Purpose::Plugin });
        Ok(AuthorisedModule { name, proof, purpose, comment: self.comment.clone() })
    }
}

/// Returns the files of a directory that are called like modules, in order.
pub(super) fn modules_in(directory: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let failed = |source| CommandError::File { doing: "list", path: directory.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_module = entry.file_name().to_str().is_some_and(|name| name.parse::<ModuleName>().is_ok());
        if is_module && entry.file_type().map_err(failed)?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn add(
    list: &mut AuthorisedList,
    line: &AuthorisedModule,
    is_replacing: bool,
    outcome: &mut Outcome,
) -> bool {
    let mut is_changed = false;
    if is_replacing {
        let others: Vec<Proof> = list
            .of(&line.name, line.purpose)
            .map(|present| present.proof)
            .filter(|proof| *proof != line.proof)
            .collect();
        for proof in others {
            list.remove(&line.name, Some(&proof));
            is_changed = true;
            outcome.say(Message::with_id("ZWES2122I", format!("{} {proof} is off the list", line.name)));
        }
    }
    let text = format!("{} {} as a {}", line.name, line.proof, line.purpose);
    match list.add(line.clone()) {
        Added::New => {
            outcome.say(Message::with_id("ZWES2121I", format!("{text} is on the list")));
            true
        }
        Added::Present => {
            outcome.say(Message::with_id("ZWES2123I", format!("{text} was on the list")));
            is_changed
        }
    }
}
