//! `tender component enable NAME` and `tender component disable NAME`.

use tender_launcher::component;
use tender_package::Outcome;

use super::{Shell, changed, fault};
use crate::error::CommandError;
use crate::instance::Which;

/// Options of `tender component enable` and `disable`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender component enable bell\n  tender component disable bell --ha-instance lpar2\n\n\
                  It changes zowe.yaml and nothing that runs; `tender reload` does."
)]
pub(crate) struct Args {
    /// The component
    name: String,
    #[command(flatten)]
    which: Which,
}

impl Args {
    /// Sets its switch.
    pub(super) fn enable(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let ha_id = self.which.ha_instance.as_deref();
        let change = component::enable(&self.instance()?, &self.name, ha_id, shell.is_check)
            .map_err(fault("enable the component"))?;
        Ok(changed(&change, shell.is_check, "ZWEL0825I", "enabled"))
    }

    /// Clears its switch.
    pub(super) fn disable(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let ha_id = self.which.ha_instance.as_deref();
        let change = component::disable(&self.instance()?, &self.name, ha_id, shell.is_check)
            .map_err(fault("disable the component"))?;
        Ok(changed(&change, shell.is_check, "ZWEL0825I", "disabled"))
    }

    fn instance(&self) -> Result<tender_launcher::instance::Instance, CommandError> {
        self.which.open()
    }
}
