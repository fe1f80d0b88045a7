//! `tender component …`: components of the product and extensions.

mod install;
mod list;
mod switch;
mod uninstall;
mod verify;

use std::io::ErrorKind;

use clap::Subcommand;
use tender_content::ImportError;
use tender_launcher::component::source::SourceError;
use tender_launcher::component::transaction::TransactionError;
use tender_launcher::component::{Change, ComponentError};
use tender_launcher::instance::Instance;
use tender_package::{Message, Outcome, ReturnCode, Table};

use super::Shell;
use super::status::table::with_output;
use crate::error::{CommandError, RuntimeFault};
use crate::instance::{loaded, place};

/// Commands about components.
#[derive(Debug, Subcommand)]
pub(crate) enum Component {
    /// Installs an extension from a directory or an archive
    Install(install::Args),
    /// Puts another version of an extension in its place
    Upgrade(install::Args),
    /// Removes an extension
    Uninstall(uninstall::Args),
    /// Lets a component start, everywhere or in one HA instance
    Enable(switch::Args),
    /// Keeps a component from starting, everywhere or in one HA instance
    Disable(switch::Args),
    /// Checks a component: manifest, scripts, files, state
    Verify(verify::Args),
    /// Lists what is installed
    List(list::Args),
}

impl Component {
    /// Carries the command out.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        match self {
            Self::Install(command) => command.install(shell),
            Self::Upgrade(command) => command.upgrade(shell),
            Self::Uninstall(command) => command.run(shell),
            Self::Enable(command) => command.enable(shell),
            Self::Disable(command) => command.disable(shell),
            Self::Verify(command) => command.run(),
            Self::List(command) => command.run(shell),
        }
    }
}

/// Shows what was done to a component, or would be.
fn changed(change: &Change, is_check: bool, id: &str, done: &str) -> Outcome {
    let mut outcome = Outcome { data: serde_json::json!(change), ..Outcome::default() };
    if !change.steps.is_empty() {
        let mut table = Table::new("", &[if is_check { "would" } else { "did" }]);
        for step in &change.steps {
            table.row([step.as_str()]);
        }
        outcome.tables.push(table);
    }
    for warning in &change.warnings {
        outcome.say(Message::with_id("ZWEL0308W", warning.clone()));
    }
    let version = match (&change.from_version, &change.to_version) {
        (Some(from), Some(to)) if from != to => format!(" {to}, before it was {from}"),
        (_, Some(version)) | (Some(version), None) => format!(" {version}"),
        (None, None) => String::new(),
    };
    let would = if is_check { "would be " } else { "is " };
    let message = Message::with_id(id, format!("{}{version} {would}{done}", change.name));
    outcome.say(with_output(message, &change.output));
    if !is_check && !change.steps.is_empty() {
        let text = "a launcher that runs takes this over with `tender reload`; `tender start` does by itself";
        outcome.say(Message::with_id("ZWEL0831I", text));
    }
    outcome
}

/// Shows what was done to an extension, or would be, and warns when that leaves files of root with another user.
fn replaced(instance: &Instance, change: &Change, is_check: bool, id: &str, done: &str) -> Outcome {
    let mut outcome = changed(change, is_check, id, done);
    if let Some(foreign) = place::foreign(instance.directory()).filter(|_| !is_check) {
        outcome.say(foreign);
    }
    outcome
}

/// Says why a component was not changed.
fn fault(doing: &str) -> impl FnOnce(ComponentError) -> CommandError + '_ {
    move |fault| {
        let (id, code) = match &fault {
            ComponentError::NoExtensions => ("ZWEL0180E", ReturnCode::Refused),
            ComponentError::Source(source) => ("ZWEL0154E", source_code(source)),
            ComponentError::Manifest { .. } => ("ZWEL0167E", ReturnCode::Refused),
            ComponentError::Name { .. } | ComponentError::Requires { .. } => {
                ("ZWEL0167E", ReturnCode::Refused)
            }
            ComponentError::Installed { .. } => ("ZWEL0155E", ReturnCode::Refused),
            ComponentError::NotInstalled { .. } => ("ZWEL0306E", ReturnCode::Unknown),
            ComponentError::Core { .. } => ("ZWEL0307E", ReturnCode::Refused),
            ComponentError::Required { .. } | ComponentError::Version1 { .. } => {
                ("ZWEL0152E", ReturnCode::Refused)
            }
            ComponentError::Hook { .. } => ("ZWEL0156E", ReturnCode::Outside),
            ComponentError::Link { .. } => ("ZWEL0204E", ReturnCode::Syntax),
            ComponentError::Transaction(TransactionError::Busy { .. }) => ("ZWEL0153E", ReturnCode::Busy),
            ComponentError::Edit(fault) => ("ZWEL0138E", loaded::edit_code(fault)),
            _ => ("ZWEL0153E", ReturnCode::Outside),
        };
        let hint = match &fault {
            ComponentError::Hook { output, .. } if !output.is_empty() => {
                Some(format!("it printed last:\n            {}", output.join("\n            ")))
            }
            ComponentError::Manifest { report } => {
                Some(report.to_string().trim_end().replace('\n', "\n          "))
            }
            ComponentError::NoExtensions => Some("set zowe.extensionDirectory in zowe.yaml".to_owned()),
            ComponentError::Transaction(TransactionError::Busy { .. }) => {
                Some("give the command again when that one is done".to_owned())
            }
            ComponentError::Installed { .. } => {
                Some("`tender component upgrade` puts another version in its place".to_owned())
            }
            _ => None,
        };
        if let ComponentError::Instance(fault) = fault {
            return loaded::fault(fault);
        }
        let mut told = RuntimeFault::new(id, code, format!("failed to {doing}")).because(fault);
        told.hint = hint;
        told.into()
    }
}

fn source_code(fault: &SourceError) -> ReturnCode {
    match fault {
        SourceError::Missing { .. } => ReturnCode::Unknown,
        SourceError::Io { source, .. } if source.kind() == ErrorKind::NotFound => ReturnCode::Unknown,
        SourceError::Io { .. } | SourceError::Program { .. } | SourceError::Store { .. } => {
            ReturnCode::Outside
        }
        SourceError::Checksum { .. } | SourceError::Damaged { .. } => ReturnCode::Integrity,
        SourceError::Import { source: ImportError::DamagedArchive { .. }, .. } => ReturnCode::Integrity,
        SourceError::Import { source: ImportError::Read { source, .. }, .. } => match source.kind() {
            // Readers of archives say so themselves of one that was cut off or that its own checksums contradict.
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::Other => ReturnCode::Integrity,
            _ => ReturnCode::Outside,
        },
        _ => ReturnCode::Refused,
    }
}
