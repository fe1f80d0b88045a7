//! `tender saf explain`: the server's own decision, with its reason.

use std::path::Path;

use tender_package::{Message, Outcome, ReturnCode};
use tender_saf::{AccessLevel, Compiled, Conditions, Id, LinuxIdentity, Question, Subject};

use super::{open, store_fault};
use crate::error::{CommandError, RuntimeFault};

/// Options of `tender saf explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Ends with 0 when access is given and with 16 when it is refused.\n\n\
                        Examples:\n  tender saf explain --user bob facility zwes.is read\n  \
                        tender saf explain --linux-user zwesvusr facility zwes.is read")]
pub(super) struct Args {
    /// A user of the database
    #[arg(long, required_unless_present = "linux_user", conflicts_with = "linux_user")]
    user: Option<Id>,
    /// A user of this machine, with the groups it has here
    #[arg(long)]
    linux_user: Option<String>,
    /// A group besides those of the database
    #[arg(long = "group")]
    groups: Vec<Id>,
    #[command(flatten)]
    asked: Asked,
}

/// What is asked for, and under which circumstances.
#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// The class
    class: String,
    /// The resource
    resource: String,
    /// EXECUTE, READ, UPDATE, CONTROL or ALTER
    #[arg(default_value = "READ")]
    level: AccessLevel,
    /// Where the question comes from
    #[arg(long)]
    terminal: Option<String>,
    /// The operator console
    #[arg(long)]
    console: Option<String>,
    /// The program that asks
    #[arg(long)]
    program: Option<String>,
    /// The job or started task that asks
    #[arg(long)]
    job: Option<String>,
}

impl Asked {
    /// Returns the question.
    pub(super) fn question(&self) -> Question<'_> {
        let conditions = Conditions {
            terminal: self.terminal.as_deref(),
            console: self.console.as_deref(),
            program: self.program.as_deref(),
            job: self.job.as_deref(),
            system: None,
        };
        Question { class: &self.class, resource: &self.resource, level: self.level, conditions }
    }
}

/// Reads the database and makes it ready.
pub(super) fn compiled(path: &Path) -> Result<Compiled, CommandError> {
    let failed = |fault| store_fault("failed to read the authorisation database", fault);
    let (database, _) = open(path)?.load().map_err(failed)?;
    Ok(Compiled::new(&database))
}

impl Args {
    /// Asks.
    pub(super) fn run(self, path: &Path) -> Result<Outcome, CommandError> {
        let compiled = compiled(path)?;
        let mut subject = match &self.linux_user {
            Some(name) => compiled.subject(&linux(name)?),
            None => Subject { user: self.user.clone(), groups: Vec::new() },
        };
        subject.groups.extend(self.groups.iter().cloned());
        let found = tender_saf::explain(&compiled, &subject, &self.asked.question());
        let mut outcome = Outcome { data: serde_json::json!(found), ..Outcome::default() };
        let who = found.user.as_deref().unwrap_or("somebody whom the database does not know");
        let (class, resource, level) = (&found.class, &found.resource, found.level);
        let verdict = match (found.granted, found.is_warning) {
            (true, false) => "has",
            (true, true) => "is only warned and has",
            (false, _) => "has no",
        };
        let text = format!("{who} {verdict} {level} access to {class} {resource}: {}", found.rule);
        let id = if found.granted { "ZWES2005I" } else { "ZWES2005W" };
        let said = Message::with_id(id, text);
        outcome.say(match &found.remedy {
            Some(remedy) => said.with_hint(remedy.clone()),
            None => said,
        });
        let detail = format!(
            "access: {}; groups: {}; less specific profiles: {}; {}",
            found.allowed,
            joined(&found.groups),
            joined(&found.shadowed),
            if found.audit { "written to the audit log" } else { "not written to the audit log" }
        );
        outcome.say(Message::with_id("ZWES2006I", detail));
        if !found.granted {
            outcome.code = ReturnCode::Refused;
        }
        Ok(outcome)
    }
}

fn joined(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

fn linux(name: &str) -> Result<LinuxIdentity, CommandError> {
    let failed = |text: String| RuntimeFault::new("ZWES2013E", ReturnCode::Outside, text);
    let found = LinuxIdentity::of_name(name)
        .map_err(|fault| failed(format!("failed to find the Linux user {name}")).because(fault))?;
    found.ok_or_else(|| {
        RuntimeFault::new("ZWES2013E", ReturnCode::Unknown, format!("there is no Linux user {name}")).into()
    })
}
