//! `tender saf …`: who may do what, in the language of RACF and in words of our own.

mod apply;
mod audit;
mod copy;
mod create;
mod explain;
mod history;
mod racf;
mod who_can;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use tender_package::{Message, Outcome, ReturnCode};
use tender_saf::{Context, Id, Plan, Store, StoreError, Transaction};

use super::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::live::Live;

/// Options of `tender saf`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    subcommand_value_name = "COMMAND",
    after_help = "Any other command is one of RACF's, as it is typed there: ADDUSER ALTUSER DELUSER ADDGROUP ALTGROUP \
                  DELGROUP CONNECT REMOVE RDEFINE RALTER RDELETE PERMIT SETROPTS RLIST SEARCH LISTUSER LISTGRP ADDSD \
                  ALTDSD DELDSD LISTDSD, or their short forms. Parentheses need quotes in a shell.\n\n\
                  Examples:\n  tender saf create\n  tender saf adduser bob 'omvs(uid(1001))'\n  \
                  tender saf rdefine facility zwes.is 'uacc(none)'\n  \
                  tender saf permit zwes.is 'class(facility) id(bob) access(read)'\n  \
                  tender saf explain --user bob facility zwes.is read"
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(subcommand)]
    command: Saf,
}

/// Which database.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Which {
    /// The database: a file, or a directory of text; `saf.db` or `saf/` where Tender keeps its things when left out
    #[arg(long, value_name = "PATH")]
    database: Option<PathBuf>,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Saf {
    /// Makes a database with the built-in classes and user ROOT
    Create(create::Args),
    /// Carries out a script: commands of RACF, ACF2 or Top Secret
    Apply(apply::Args),
    /// Says whether a user has access, and which rule says so
    Explain(explain::Args),
    /// Lists who has access
    WhoCan(who_can::Args),
    /// Shows what was changed, by whom and when
    History(history::Args),
    /// Copies database and history between a file and a directory of text
    Copy(copy::Args),
    /// Checks a log of decisions from its first line to its last
    Audit(audit::Args),
    /// A command of RACF
    #[command(external_subcommand)]
    Racf(Vec<String>),
}

impl Args {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let path = self.which.path(shell);
        match self.command {
            Saf::Create(command) => command.run(shell, &path),
            Saf::Apply(command) => command.run(shell, &path),
            Saf::Explain(command) => command.run(&path),
            Saf::WhoCan(command) => command.run(&path),
            Saf::History(command) => command.run(&path),
            Saf::Copy(command) => command.run(shell, &path),
            Saf::Audit(command) => command.run(),
            Saf::Racf(words) => racf::run(shell, &path, &words),
        }
    }
}

impl Which {
    /// Returns where the database is, or would be.
    pub(super) fn path(&self, shell: &Shell) -> PathBuf {
        let directory = shell.home.join("saf");
        match &self.database {
            Some(path) => path.clone(),
            None if directory.is_dir() => directory,
            None => shell.home.join("saf.db"),
        }
    }
}

/// Opens the database at a path.
pub(super) fn open(path: &Path) -> Result<Box<dyn Store>, CommandError> {
    tender_saf::open(path).map_err(|fault| store_fault("failed to open the authorisation database", fault))
}

/// Makes a fault of what a store could not do.
pub(super) fn store_fault(doing: &str, fault: StoreError) -> CommandError {
    let (code, hint) = match &fault {
        StoreError::Missing { .. } => (ReturnCode::Unknown, Some("`tender saf create` makes one")),
        StoreError::Exists { .. } => (ReturnCode::Refused, None),
        StoreError::Conflict { .. } => (ReturnCode::Busy, Some("run the command again")),
        StoreError::Text { .. } | StoreError::Dangling { .. } | StoreError::Record { .. } => {
            (ReturnCode::Integrity, None)
        }
        _ => (ReturnCode::Outside, None),
    };
    let made = RuntimeFault::new("ZWES2011E", code, doing).because(fault);
    match hint {
        Some(hint) => made.with_hint(hint).into(),
        None => made.into(),
    }
}

/// Returns what surrounds a command: the operator as the owner of what is defined without one.
pub(super) fn context(shell: &Shell) -> Context {
    let first: Id = "ROOT".parse().expect("a constant name");
    Context { who: Id::of_linux(&shell.operator).unwrap_or(first) }
}

/// Returns our number of a return code of the authorisation commands; they are the same.
pub(super) fn code(code: tender_saf::ReturnCode) -> ReturnCode {
    ReturnCode::try_from(code.number()).unwrap_or(ReturnCode::Refused)
}

/// Commits a plan, unless only asked what it would do, and says what it does.
pub(super) fn commit(
    shell: &Shell,
    is_check: bool,
    store: &dyn Store,
    what: String,
    plan: Plan,
) -> Result<Outcome, CommandError> {
    let mut outcome = told(&plan);
    let changed: Vec<String> = plan.changes.iter().map(|change| change.key.to_string()).collect();
    outcome.data = serde_json::json!({ "effects": plan.effects, "changes": plan.changes });
    if changed.is_empty() {
        return Ok(outcome);
    }
    if is_check {
        outcome.say(Message::with_id("ZWES2002I", format!("would change: {}", changed.join(", "))));
        return Ok(outcome);
    }
    let transaction =
        Transaction { who: shell.operator.clone(), at: jiff::Timestamp::now(), what, changes: plan.changes };
    let committed = store
        .commit(&transaction)
        .map_err(|fault| store_fault("failed to change the authorisation database", fault))?;
    if let Some(number) = committed.transaction {
        outcome.say(Message::with_id("ZWES2003I", format!("change {number} is in force")));
    }
    Ok(outcome)
}

fn told(plan: &Plan) -> Outcome {
    let mut outcome = Outcome { code: code(plan.return_code), ..Outcome::default() };
    for effect in &plan.effects {
        let is_warning = effect.code > tender_saf::ReturnCode::Done;
        outcome
            .say(Message::with_id(if is_warning { "ZWES2001W" } else { "ZWES2001I" }, effect.text.clone()));
    }
    outcome
}

/// Prints the lines that a listing found.
pub(super) fn listed(shell: &Shell, plan: &Plan) -> Result<Outcome, CommandError> {
    let mut outcome = Outcome { code: code(plan.return_code), ..Outcome::default() };
    outcome.data = serde_json::json!({ "lines": plan.effects });
    for effect in &plan.effects {
        if effect.code > tender_saf::ReturnCode::Done {
            outcome.say(Message::with_id("ZWES2001W", effect.text.clone()));
        } else {
            Live::new(shell.audience).line(&effect.text).map_err(CommandError::Print)?;
        }
    }
    Ok(outcome)
}
