//! `tender xmem modify`.

use tender_package::{Message, Outcome, ReturnCode};
use tender_parmlib::ServerName;
use tender_xmem::client::CallError;
use tender_xmem::code::CmsCode;
use tender_xmem::control::Control;

use super::call::escaped;
use super::places::{Places, Which};
use super::running::{Holder, options};
use super::stop::not_running;
use crate::commands::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::live::Live;

/// How long a command may take.
const DEADLINE_MS: u32 = 60_000;

/// Options of `tender xmem modify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
At most 64 bytes: VERB [ARGUMENTS] for the server, VERB(NICKNAME) [ARGUMENTS] for a plug-in. The words go to the server as \
they are; in a shell parentheses need quotes.\n\n\
Examples:\n  tender xmem modify DISPLAY CONFIG\n  tender xmem modify LOG STC DEBUG\n  tender xmem modify 'D(ECHO) STATUS' \
--server ZWESIS_TEST")]
pub(crate) struct Args {
    /// The command
    #[arg(required = true, value_name = "TEXT")]
    words: Vec<String>,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Gives the command and shows what comes back.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        if shell.is_check {
            return Err(CommandError::NothingToCheck("xmem modify"));
        }
        command(shell, &self.which.server, &self.words.join(" "))
    }
}

/// Gives a server a command and shows its answer as it comes.
pub(super) fn command(shell: &Shell, name: &ServerName, text: &str) -> Result<Outcome, CommandError> {
    let run = Places::find(shell)?.run_of(name);
    let server = name.as_str().parse().map_err(|cause: tender_xmem::NameError| {
        RuntimeFault::new("ZWES2161E", ReturnCode::Syntax, "no server has this name").because(cause)
    })?;
    let failed = |cause: CallError| {
        let is_away = matches!(cause.code(), Some(CmsCode::ServerUnknown | CmsCode::ServerDown));
        if is_away && Holder::of(&run, name).is_none() { not_running(name) } else { refused(name, cause) }
    };
    let mut control = Control::connect(&server, &options(run.clone(), DEADLINE_MS)).map_err(failed)?;
    let live = Live::new(shell.audience);
    let mut lines = Vec::new();
    let mut output = control.modify(text).map_err(failed)?;
    for line in &mut output {
        let line = line.map_err(failed)?;
        // A plug-in may have written it.
        live.line(&escaped(&line)).map_err(CommandError::Print)?;
        lines.push(line);
    }
    let code = output.outcome().unwrap_or(CmsCode::ServerEnded.number());
    let mut outcome = Outcome {
        code: return_code(code, &lines),
        data: serde_json::json!({ "server": name, "command": text, "outcome": code, "lines": lines }),
        ..Outcome::default()
    };
    if outcome.code > ReturnCode::Warning {
        outcome.messages.push(Message::with_id("ZWES2171E", format!("`{text}` was not carried out")));
    }
    Ok(outcome)
}

/// Messages that say that a command was not understood.
const NOT_UNDERSTOOD: [&str; 9] = [
    "ZWES0217E",
    "ZWES0218E",
    "ZWES0219E",
    "ZWES0224W",
    "ZWES0225W",
    "ZWES0226W",
    "ZWES0227W",
    "ZWES0228W",
    "ZWES0230W",
];
/// Messages that say that it may go better later.
const LATER: [&str; 2] = ["ZWES0229W", "ZWES0243W"];

/// Returns our number of how a command ended: 0 done, 4 with a warning, 8 refused or failed, 33 no right.
fn return_code(outcome: u32, lines: &[String]) -> ReturnCode {
    let says = |ids: &[&str]| lines.iter().any(|line| ids.iter().any(|id| line.contains(id)));
    match outcome {
        0 => ReturnCode::Done,
        _ if says(&NOT_UNDERSTOOD) => ReturnCode::Syntax,
        _ if says(&LATER) => ReturnCode::Busy,
        4 => ReturnCode::Warning,
        8 | 33 => ReturnCode::Refused,
        _ => ReturnCode::Outside,
    }
}

fn refused(name: &ServerName, cause: CallError) -> CommandError {
    let (code, hint) = match cause.code() {
        Some(CmsCode::PermissionDenied) => {
            (ReturnCode::Refused, Some("operator commands need root, or what the refusal names"))
        }
        Some(CmsCode::ServerNotReady) => {
            (ReturnCode::Busy, Some("it is starting or being replaced; try again"))
        }
        _ => (ReturnCode::Outside, None),
    };
    let fault = RuntimeFault::new("ZWES2172E", code, format!("server {name} was not given the command"))
        .because(cause);
    match hint {
        Some(hint) => fault.with_hint(hint).into(),
        None => fault.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_of_a_command_has_a_return_code_of_ours() {
        let said = |line: &str| vec![line.to_owned()];
        assert_eq!(return_code(0, &[]), ReturnCode::Done);
        assert_eq!(return_code(4, &said("ZWES0242W plug-in refused")), ReturnCode::Warning);
        assert_eq!(return_code(8, &said("ZWES0227W unknown")), ReturnCode::Syntax);
        assert_eq!(return_code(8, &said("ZWES0243W too many")), ReturnCode::Busy);
        assert_eq!(return_code(33, &[]), ReturnCode::Refused);
    }
}
