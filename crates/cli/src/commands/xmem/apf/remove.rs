//! `tender xmem apf remove`.

use tender_package::{Message, Outcome, ReturnCode};
use tender_parmlib::{ModuleName, Proof};

use super::{Which, lock, read, write};
use crate::commands::Shell;
use crate::error::{CommandError, RuntimeFault};

/// Options of `tender xmem apf remove`.
#[derive(Debug, clap::Args)]
#[command(after_help = "What runs goes on running; it cannot be started again.\n\n\
                        Example:\n  tender xmem apf remove ECHOPL01")]
pub(crate) struct Args {
    /// The module
    name: ModuleName,
    /// Only the line with this digest or key
    #[arg(long)]
    proof: Option<Proof>,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Takes lines off the list.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let path = self.which.path(shell)?;
        let lock = if shell.is_check { None } else { Some(lock(&path)?) };
        let mut list = read(&path)?;
        let removed = list.remove(&self.name, self.proof.as_ref());
        if removed.is_empty() {
            let text = format!("{} is not on the list {}", self.name, path.display());
            return Err(RuntimeFault::new("ZWES2105E", ReturnCode::Unknown, text).into());
        }
        let mut outcome =
            Outcome { data: serde_json::json!({ "list": path, "removed": removed }), ..Outcome::default() };
        for line in &removed {
            outcome
                .say(Message::with_id("ZWES2122I", format!("{} {} is off the list", line.name, line.proof)));
        }
        match lock {
            None => outcome.say(Message::with_id("ZWES2111I", "nothing is changed")),
            Some(lock) => write(&lock, &path, &list)?,
        }
        Ok(outcome)
    }
}
