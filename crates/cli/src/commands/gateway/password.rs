//! `tender gateway password`.

use std::io::{Read as _, Write as _};

use tender_gateway::auth::provider::hash;
use tender_package::{Outcome, ReturnCode};

use crate::error::{CommandError, RuntimeFault};

/// Options of `tender gateway password`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender gateway password alice < password >> users")]
pub(crate) struct Args {
    /// The user
    user: String,
}

impl Args {
    /// Prints the line of the user.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        let wrong = |text: &str| RuntimeFault::new("ZWEAG121E", ReturnCode::Syntax, text);
        if self.user.is_empty() || self.user.contains([':', '\n', '#']) {
            return Err(wrong("a user has a name without `:` and `#`").into());
        }
        let mut password = String::new();
        let read = std::io::stdin().lock().take(4096).read_to_string(&mut password);
        read.map_err(|fault| wrong("the password cannot be read from standard input").because(fault))?;
        let password = password.trim_end_matches(['\n', '\r']);
        if password.is_empty() {
            return Err(wrong("no password was given on standard input").into());
        }
        let line = format!("{}\n", hash(&self.user, password));
        std::io::stdout().lock().write_all(line.as_bytes()).map_err(CommandError::Print)?;
        Ok(Outcome::default())
    }
}
