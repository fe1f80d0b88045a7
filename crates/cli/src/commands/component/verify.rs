//! `tender component verify NAME`.

use tender_launcher::component::verify;
use tender_package::Outcome;

use super::fault;
use crate::commands::verify::checked;
use crate::error::CommandError;
use crate::instance::Which;

/// Options of `tender component verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender component verify gateway")]
pub(crate) struct Args {
    /// The component
    name: String,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Checks it.
    pub(super) fn run(self) -> Result<Outcome, CommandError> {
        let checks = verify::verify(&self.which.open()?, &self.name).map_err(fault("check the component"))?;
        Ok(checked(&format!("Component {}", self.name), &checks))
    }
}
