//! `tender xmem modify`.

use tender_package::{Message, Outcome, ReturnCode};
use tender_parmlib::ServerName;
use tender_xmem::client::CallError;
use tender_xmem::code::CmsCode;
use tender_xmem::control::Control;

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
        live.line(&line).map_err(CommandError::Print)?;
        lines.push(line);
    }
    let code = output.outcome().unwrap_or(CmsCode::ServerEnded.number());
    let mut outcome = Outcome {
        data: serde_json::json!({ "server": name, "command": text, "outcome": code, "lines": lines }),
        ..Outcome::default()
    };
    if code != 0 {
        let meaning =
            CmsCode::from_number(code).map_or_else(|| format!("code {code}"), |code| code.to_string());
        outcome.say(Message::with_id("ZWES2171E", format!("`{text}` was not carried out: {meaning}")));
        outcome.code = match CmsCode::from_number(code) {
            Some(CmsCode::PermissionDenied) => ReturnCode::Refused,
            Some(CmsCode::ServerNotReady | CmsCode::NoRoom) => ReturnCode::Busy,
            Some(CmsCode::ServerEnded | CmsCode::ServiceEnded | CmsCode::DeadlinePassed) => {
                ReturnCode::Outside
            }
            _ => ReturnCode::Syntax,
        };
    }
    Ok(outcome)
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
