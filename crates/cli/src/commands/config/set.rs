//! `tender config set KEY=VALUE…`.

use std::path::{Path, PathBuf};

use tender_config::edit::{self, EditError, Scalar};
use tender_launcher::instance::Instance;
use tender_package::{Message, Outcome, ReturnCode, Table};

use super::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::instance::place::CONFIGURATION;
use crate::instance::{Which, loaded};

/// Options of `tender config set`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tender config set components.gateway.port=7600\n  \
                  tender config set components.gateway.enabled=true zowe.externalPort=7600\n\n\
                  Comments and order of the file stay. With several files the one that wins is changed. What runs takes \
                  it over with `tender reload`.")]
pub(crate) struct Args {
    /// Keys and their values; true, false, null and whole numbers are taken as such
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = assignment)]
    assignments: Vec<(String, String)>,
    /// Take every value as text
    #[arg(long)]
    string: bool,
    #[command(flatten)]
    which: Which,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("KEY=VALUE is needed, such as components.gateway.port=7600".to_owned()),
    }
}

impl Args {
    /// Changes all keys or none, or tells which would change.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let instance = self.which.open()?;
        if let Some(id) = &self.which.ha_instance {
            let text = "the file is for all HA instances; one of them has keys of its own";
            return Err(RuntimeFault::new("ZWEL0102E", ReturnCode::Syntax, text)
                .with_hint(format!("set haInstances.{id}.KEY instead, without --ha-instance"))
                .into());
        }
        let file = &file_of(&instance);
        let mut outcome = Outcome::default();
        let mut table = Table::new("", &["key", "value"]);
        let mut changes = Vec::new();
        for (key, text) in &self.assignments {
            let value = if self.string { Scalar::Text(text.clone()) } else { scalar(text) };
            changes.push((key.clone(), value));
            table.row([key.as_str(), text.as_str()]);
        }
        if shell.is_check {
            check(file, &changes)?;
        } else {
            edit::set_all(file, &changes).map_err(fault)?;
        }
        outcome.data = serde_json::json!({ "file": file, "set": self.assignments });
        outcome.tables.push(table);
        let text = match shell.is_check {
            true => format!("{} would be changed", file.display()),
            false => format!("{} is changed", file.display()),
        };
        outcome
            .say(Message::with_id("ZWEL0830I", text).with_hint("`tender config validate` checks the whole"));
        Ok(outcome)
    }
}

/// Returns the file that wins; an instance directory stands for the one in it.
fn file_of(instance: &Instance) -> PathBuf {
    let first = instance.config().paths().first().cloned().unwrap_or_default();
    if first.is_dir() { first.join(CONFIGURATION) } else { first }
}

fn check(file: &Path, changes: &[(String, Scalar)]) -> Result<(), CommandError> {
    let mut text = std::fs::read_to_string(file).map_err(|source| CommandError::File {
        doing: "read",
        path: file.to_owned(),
        source,
    })?;
    for (key, value) in changes {
        text = edit::set_text(&text, file, key, value).map_err(fault)?;
    }
    Ok(())
}

/// Reads a value as YAML would read it where only whole numbers and the three words are not text.
fn scalar(text: &str) -> Scalar {
    match text {
        "null" => Scalar::Null,
        "true" => Scalar::Bool(true),
        "false" => Scalar::Bool(false),
        _ => text.parse().map_or_else(|_| Scalar::Text(text.to_owned()), Scalar::Integer),
    }
}

fn fault(fault: EditError) -> CommandError {
    let code = loaded::edit_code(&fault);
    RuntimeFault::new("ZWEL0138E", code, "failed to change the configuration").because(fault).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_whole_numbers_are_not_text() {
        assert_eq!(scalar("true"), Scalar::Bool(true));
        assert_eq!(scalar("7600"), Scalar::Integer(7600));
        assert_eq!(scalar("1.5"), Scalar::Text("1.5".to_owned()));
    }

    #[test]
    fn assignment_without_a_key_is_refused() {
        assert!(assignment("=1").is_err());
        assert!(assignment("key").is_err());
        assert_eq!(assignment("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
    }
}
