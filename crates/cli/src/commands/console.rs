//! `tender console`: the launcher in the operator's words.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use tender_package::Outcome;
use tender_supervisor::console::Request;

use super::Shell;
use crate::error::CommandError;
use crate::instance::{Reached, Which, answered};
use crate::render::{self, Audience};

const HELP: &str = "START(component)  STOP(component)  RESTART(component)  RELOAD  DISP  STATUS  QUIT";

/// Options of `tender console`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender console\n  tender console DISP\n  tender console 'STOP(gateway)' 'START(gateway)'\n\n\
                  Without a line it reads them from standard input, with a prompt on a terminal, until QUIT."
)]
pub(crate) struct Args {
    /// Lines to say instead of reading them
    #[arg(value_name = "LINE")]
    lines: Vec<String>,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Says the lines, or reads them.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let reached = self.which.reach()?;
        if self.lines.is_empty() {
            return converse(&reached, shell.audience);
        }
        let mut whole = Outcome::default();
        let mut data = Vec::new();
        for line in &self.lines {
            let outcome = say(&reached, line)?;
            whole.code = whole.code.max(outcome.code);
            whole.messages.extend(outcome.messages);
            whole.tables.extend(outcome.tables);
            data.push(outcome.data);
        }
        whole.data = serde_json::json!(data);
        Ok(whole)
    }
}

fn say(reached: &Reached, line: &str) -> Result<Outcome, CommandError> {
    if line.trim().eq_ignore_ascii_case("STATUS") {
        return super::status::ask(reached).map(|status| super::status::outcome(&status));
    }
    Ok(answered(reached.ask(&Request::Operator { line: line.trim().to_owned() })?))
}

/// Reads lines until there are no more; the worst of their codes is how it ends.
fn converse(reached: &Reached, audience: Audience) -> Result<Outcome, CommandError> {
    let is_prompted = audience == Audience::People && io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut whole = Outcome::default();
    let prompt = || -> io::Result<()> {
        if !is_prompted {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        write!(out, "{}> ", reached.name())?;
        out.flush()
    };
    prompt().map_err(CommandError::Print)?;
    for line in io::stdin().lock().lines() {
        let line = line.map_err(CommandError::Print)?;
        match line.trim().to_ascii_uppercase().as_str() {
            "" => {}
            "QUIT" | "EXIT" => break,
            "HELP" | "?" => writeln!(io::stdout().lock(), "{HELP}").map_err(CommandError::Print)?,
            _ => {
                let outcome = say(reached, &line)?;
                whole.code = whole.code.max(outcome.code);
                render::outcome(&outcome, audience).map_err(CommandError::Print)?;
            }
        }
        prompt().map_err(CommandError::Print)?;
    }
    Ok(whole)
}
