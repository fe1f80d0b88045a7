//! `tender component install FILE` and `tender component upgrade FILE`.

use std::path::PathBuf;

use tender_launcher::component::{self, InstallRequest};
use tender_package::Outcome;

use super::{Shell, fault, replaced};
use crate::commands::status::amounts;
use crate::error::CommandError;
use crate::instance::Which;

/// Options of `tender component install` and `upgrade`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender component install bell-1.2.0.zip --sha256 9f86d0…\n  tender component install \
                  ./bell --link\n  tender component upgrade bell-1.3.0.tar.gz --check\n\n\
                  A directory, tar (gz, xz, zst), zip, or pax. It is there whole or not at all: when its install \
                  command fails, everything is as it was."
)]
pub(crate) struct Args {
    /// A directory or an archive
    source: PathBuf,
    #[command(flatten)]
    which: Which,
    /// Do not enable it
    #[arg(long)]
    no_enable: bool,
    /// Link to the directory instead of copying it
    #[arg(long)]
    link: bool,
    /// SHA-256 that the archive must have
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// How long its install command may take
    #[arg(long, value_name = "TIME", default_value = "5min", value_parser = amounts::parse_time_ms)]
    limit: u64,
}

impl Args {
    /// Installs a component that is not there yet.
    pub(super) fn install(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let (which, request) = self.request(shell);
        let instance = which.open()?;
        let change = component::install(&instance, &request).map_err(fault("install the component"))?;
        Ok(replaced(&instance, &change, shell.is_check, "ZWEL0822I", "installed"))
    }

    /// Replaces a component that is there.
    pub(super) fn upgrade(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let (which, request) = self.request(shell);
        let instance = which.open()?;
        let change = component::upgrade(&instance, &request).map_err(fault("upgrade the component"))?;
        Ok(replaced(&instance, &change, shell.is_check, "ZWEL0823I", "installed"))
    }

    fn request(self, shell: &Shell) -> (Which, InstallRequest) {
        let request = InstallRequest {
            source: self.source,
            is_link: self.link,
            is_enabled: !self.no_enable,
            sha256: self.sha256,
            is_check: shell.is_check,
            script_limit_ms: self.limit,
        };
        (self.which, request)
    }
}
