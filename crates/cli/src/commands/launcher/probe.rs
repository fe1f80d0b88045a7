//! `tender launcher probe URL`.

use std::path::PathBuf;

use tender_certificate::tls::VerifyMode;
use tender_launcher::probe::{self, ProbeError, ProbeRequest};
use tender_package::{Outcome, ReturnCode};

use crate::error::{CommandError, RuntimeFault};

/// Options of `tender launcher probe`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  tender launcher probe https://localhost:7554/health --ca keystore/local_ca/local_ca.cer\n\n\
                  Ends with 0 when the answer is 2xx or 3xx, 12 otherwise."
)]
pub(crate) struct Args {
    /// What to ask
    url: String,
    /// How the certificate is checked: STRICT, NONSTRICT or DISABLED
    #[arg(long, value_name = "MODE", default_value_t = VerifyMode::Strict)]
    verify: VerifyMode,
    /// A file with a trusted authority; may be repeated; those of this system when left out
    #[arg(long, value_name = "FILE")]
    ca: Vec<PathBuf>,
    /// Time for all of it, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    timeout_ms: u64,
}

impl Args {
    /// Asks once.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        let request = ProbeRequest {
            url: self.url,
            verify: self.verify,
            authorities: self.ca,
            limit_ms: self.timeout_ms,
        };
        probe::https(&request).map_err(|fault| {
            let code = match &fault {
                ProbeError::Authorities(_) | ProbeError::Tls(_) => ReturnCode::Refused,
                ProbeError::Get { .. } | ProbeError::Status { .. } => ReturnCode::Outside,
            };
            RuntimeFault::new("ZWEL0821E", code, "it is not well").because(fault)
        })?;
        Ok(Outcome::default())
    }
}
