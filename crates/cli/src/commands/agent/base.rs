//! `tender agent base VRM --from DIR` and `tender agent adopt VRM --from DIR`.

use std::path::PathBuf;

use tender_agent::base::BaseError;
use tender_package::{Message, Outcome, ReturnCode, Severity, Vrm};

use super::{Shell, failed, open};
use crate::error::CommandError;
use crate::media::Media;

/// Options of `tender agent base`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender agent base 720 --from /media/720")]
pub(crate) struct Args {
    /// The release
    vrm: Vrm,
    /// The install media: a directory or an archive with one directory for each component
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

/// Options of `tender agent adopt`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender agent adopt 720 --from /opt/product")]
pub(crate) struct AdoptArgs {
    /// The release
    vrm: Vrm,
    /// The runtime directory in use: one directory for each component
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

fn code_of(fault: &BaseError) -> ReturnCode {
    match fault {
        BaseError::NoComponents { .. } | BaseError::NotAComponent { .. } | BaseError::Occupied { .. } => {
            ReturnCode::Refused
        }
        BaseError::Lock(_) => ReturnCode::Busy,
        _ => ReturnCode::Outside,
    }
}

impl Args {
    /// Imports the release.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let home = open(shell)?;
        if shell.is_check {
            return Err(CommandError::NothingToCheck("agent base"));
        }
        let media = Media::open(&self.from, &shell.home, &shell.bars)
            .map_err(failed("read the install media", ReturnCode::Unknown))?;
        let base = tender_agent::import(&home, &self.vrm, media.directory(), &shell.operator, &shell.bars)
            .map_err(|fault| failed("take in the release", code_of(&fault))(fault))?;
        let mut outcome = Outcome::default();
        let text = format!("BASE of release {} is here, identity {}", base.vrm, base.base.short());
        outcome.say(Message::csm(80, Severity::I, text));
        outcome.data = serde_json::json!(base);
        Ok(outcome)
    }
}

impl AdoptArgs {
    /// Makes the directory's content what is in production.
    pub(crate) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let home = open(shell)?;
        if shell.is_check {
            return Err(CommandError::NothingToCheck("agent adopt"));
        }
        let level = tender_agent::adopt(&home, &self.vrm, &self.from, &shell.operator, &shell.bars)
            .map_err(|fault| failed("adopt the directory", code_of(&fault))(fault))?;
        let mut outcome = Outcome::default();
        let text = format!("{} is in slot `current` as level {level}", self.from.display());
        outcome.say(Message::csm(81, Severity::I, text));
        outcome.data = serde_json::json!(level);
        Ok(outcome)
    }
}
