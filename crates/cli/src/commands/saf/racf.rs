//! `tender saf ADDUSER …` and the other commands of RACF.

use std::path::Path;

use tender_package::Outcome;

use super::{code, commit, context, listed, open, store_fault};
use crate::commands::Shell;
use crate::error::{CommandError, RuntimeFault};

/// Commands that only look.
const LISTINGS: &[&str] = &["RLIST", "SEARCH", "LISTUSER", "LISTGRP", "LISTDSD"];

/// Reads the words as one command and carries it out.
pub(super) fn run(shell: &Shell, path: &Path, words: &[String]) -> Result<Outcome, CommandError> {
    // Options of every command may also stand behind the words, which are all ours.
    let is_option = |word: &&String| ["--json", "--check", "--quiet", "-q"].contains(&word.as_str());
    let is_check = shell.is_check || words.iter().any(|word| word == "--check");
    let words: Vec<&str> = words.iter().filter(|word| !is_option(word)).map(String::as_str).collect();
    let text = words.join(" ");
    let failed = |fault: tender_saf::CommandError| {
        let code = code(fault.return_code());
        let word = words.first().copied().unwrap_or_default().to_uppercase();
        CommandError::from(
            RuntimeFault::new("ZWES2010E", code, format!("{word} is not carried out")).because(fault),
        )
    };
    let command = tender_saf::Command::parse(&text).map_err(failed)?;
    let store = open(path)?;
    let (database, _) =
        store.load().map_err(|fault| store_fault("failed to read the authorisation database", fault))?;
    let plan = command.plan(&database, &context(shell)).map_err(failed)?;
    if LISTINGS.contains(&command.name()) || (command.name() == "SETROPTS" && plan.changes.is_empty()) {
        return listed(shell, &plan);
    }
    commit(shell, is_check, &*store, text, plan)
}
