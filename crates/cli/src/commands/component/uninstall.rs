//! `tender component uninstall NAME`.

use tender_launcher::component;
use tender_package::Outcome;

use super::{Shell, fault, replaced};
use crate::error::CommandError;
use crate::instance::Which;

/// Options of `tender component uninstall`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tender component uninstall bell --check")]
pub(crate) struct Args {
    /// The component
    name: String,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Disables and removes it.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let instance = self.which.open()?;
        let change = component::uninstall(&instance, &self.name, shell.is_check)
            .map_err(fault("uninstall the component"))?;
        Ok(replaced(&instance, &change, shell.is_check, "ZWEL0824I", "removed"))
    }
}
