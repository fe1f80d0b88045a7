//! `tender config convert DIR`.

use std::path::{Path, PathBuf};

use tender_config::convert::{self, Convert, ConvertError, Converted};
use tender_content::durable;
use tender_package::{Message, Outcome, ReturnCode};

use super::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::instance::loaded;
use crate::live::Live;

/// Options of `tender config convert`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender config convert /old/instance\n  tender config convert /old/instance --to \
                  /srv/prod/zowe.yaml --secrets /srv/prod/secrets\n\n\
                  Nothing in instance.env is executed; a line that would need a shell is named and refused."
)]
pub(crate) struct Args {
    /// The instance directory with its instance.env
    directory: PathBuf,
    /// Write the configuration into this file, which must not be there; printed when left out
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Write passwords into files in this directory and refer to them
    #[arg(long, value_name = "DIR", requires = "to")]
    secrets: Option<PathBuf>,
}

impl Args {
    /// Converts.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let secrets_directory = self.secrets.as_deref().map(std::path::absolute).transpose();
        let secrets_directory = secrets_directory.map_err(|source| CommandError::File {
            doing: "find",
            path: self.directory.clone(),
            source,
        })?;
        let request = Convert { directory: self.directory, secrets_directory };
        let converted = convert::instance_env(&request).map_err(fault)?;
        let mut outcome = Outcome::default();
        for problem in &converted.report.problems {
            outcome.say(loaded::told(problem));
        }
        match &self.to {
            None => Live::new(shell.audience).line(converted.yaml.trim_end()).map_err(CommandError::Print)?,
            Some(to) if to.exists() => {
                let text = format!("{} is there already", to.display());
                return Err(RuntimeFault::new("ZWEL0300E", ReturnCode::Refused, text)
                    .with_hint("choose another file, or move that one away")
                    .into());
            }
            Some(to) => {
                let would = if shell.is_check { "would write" } else { "wrote" };
                if !shell.is_check {
                    write(&converted, to)?;
                }
                outcome.say(Message::with_id("ZWEL0827I", format!("{would} {}", to.display())));
            }
        }
        outcome.data = serde_json::json!({ "yaml": converted.yaml, "problems": converted.report.problems });
        Ok(outcome)
    }
}

fn write(converted: &Converted, to: &Path) -> Result<(), CommandError> {
    let failed = |path: &Path| {
        let text = format!("failed to write {}", path.display());
        move |fault| {
            CommandError::from(RuntimeFault::new("ZWEL0151E", ReturnCode::Outside, text).because(fault))
        }
    };
    for (path, secret) in &converted.secrets {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|source| CommandError::File {
                doing: "make",
                path: directory.to_owned(),
                source,
            })?;
        }
        let line = format!("{}\n", secret.expose());
        durable::write_secret_atomically(path, line.as_bytes())
            .map_err(|fault| failed(path)(Box::new(fault)))?;
    }
    durable::write_atomically(to, converted.yaml.as_bytes()).map_err(|fault| failed(to)(Box::new(fault)))
}

fn fault(fault: ConvertError) -> CommandError {
    let ConvertError::Unusable { file, report } = &fault;
    let code = if file.exists() { ReturnCode::Refused } else { ReturnCode::Unknown };
    let lines = report.to_string().trim_end().replace('\n', "\n          ");
    RuntimeFault::new("ZWEL0045E", code, "failed to convert").because(fault).with_hint(lines).into()
}
