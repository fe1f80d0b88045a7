//! `tender support`: what people need to find a fault.

use std::path::PathBuf;

use tender_launcher::support::{self, SupportError};
use tender_package::{Message, Outcome, ReturnCode};

use super::Shell;
use crate::error::{CommandError, RuntimeFault};
use crate::instance::{Which, loaded};

/// Options of `tender support`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender support --target-dir /tmp\n\n\
                  Configuration, manifests, environments, logs, state and versions in one archive; its MANIFEST lists \
                  them. Secrets are replaced, keys and key stores are left out.")]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Where to write the archive; this directory when left out
    #[arg(long, value_name = "DIR", default_value = ".")]
    target_dir: PathBuf,
}

impl Args {
    /// Collects.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        self.which.check_ha_instance()?;
        let instance = self.which.open()?;
        let mut outcome = Outcome::default();
        if shell.is_check {
            let text = format!("would write a bundle into {}", self.target_dir.display());
            outcome.say(Message::with_id("ZWEL0826I", text));
            return Ok(outcome);
        }
        std::fs::create_dir_all(&self.target_dir).map_err(|source| CommandError::File {
            doing: "make",
            path: self.target_dir.clone(),
            source,
        })?;
        let path = support::collect(&instance, &self.target_dir).map_err(fault)?;
        let text = format!("the bundle is {}", path.display());
        outcome.say(
            Message::with_id("ZWEL0826I", text).with_hint("look through it before it leaves your hands"),
        );
        outcome.data = serde_json::json!({ "path": path });
        Ok(outcome)
    }
}

fn fault(fault: SupportError) -> CommandError {
    match fault {
        SupportError::Instance(fault) => loaded::fault(fault),
        SupportError::Write { .. } => {
            RuntimeFault::new("ZWEL0151E", ReturnCode::Outside, "failed to collect what is needed")
                .because(fault)
                .into()
        }
    }
}
