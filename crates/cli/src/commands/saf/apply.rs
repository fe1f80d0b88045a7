//! `tender saf apply FILE`.

use std::path::{Path, PathBuf};

use tender_package::{Outcome, ReturnCode};
use tender_saf::{Script, ScriptError, SetupNames};

use super::{code, commit, context, open, store_fault};
use crate::commands::Shell;
use crate::error::{CommandError, RuntimeFault};

/// Options of `tender saf apply`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "All statements are carried out, or none. Symbols such as &ZOWEUSER. have the defaults of the \
                        security job.\n\nExample:\n  tender saf apply ZWESECUR --symbol STCGRP=TASKS"
)]
pub(super) struct Args {
    /// The script
    file: PathBuf,
    /// Gives a symbol a value
    #[arg(long = "symbol", value_name = "NAME=VALUE", value_parser = pair)]
    symbols: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), NotAPair> {
    let (name, value) = text.split_once('=').ok_or(NotAPair)?;
    Ok((name.to_uppercase(), value.to_owned()))
}

/// Says that a word is no NAME=VALUE.
#[derive(Debug, thiserror::Error)]
#[error("not NAME=VALUE")]
struct NotAPair;

impl Args {
    /// Carries the script out.
    pub(super) fn run(self, shell: &Shell, path: &Path) -> Result<Outcome, CommandError> {
        let text = std::fs::read_to_string(&self.file).map_err(|source| CommandError::File {
            doing: "read",
            path: self.file.clone(),
            source,
        })?;
        let failed = |fault: ScriptError| {
            let code = match &fault {
                ScriptError::Statement { source, .. } => code(source.return_code()),
                ScriptError::Symbol { .. } => ReturnCode::Syntax,
            };
            let what = format!("nothing of {} is carried out", self.file.display());
            CommandError::from(RuntimeFault::new("ZWES2012E", code, what).because(fault))
        };
        let mut symbols = SetupNames::default().symbols();
        symbols.extend(self.symbols.clone());
        let script = Script::parse(&text, &symbols).map_err(failed)?;
        let store = open(path)?;
        let (database, _) =
            store.load().map_err(|fault| store_fault("failed to read the authorisation database", fault))?;
        let plan = script.plan(&database, &context(shell)).map_err(failed)?;
        commit(shell, shell.is_check, &*store, format!("script {}", self.file.display()), plan)
    }
}
