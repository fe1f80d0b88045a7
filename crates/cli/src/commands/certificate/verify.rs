//! `tender certificate verify`.

use jiff::Timestamp;
use tender_certificate::service::{self, ServiceTarget};
use tender_certificate::tls::{Roots, VerifyMode};
use tender_certificate::{Bundle, Check, CheckStatus, VerifyRequest};
use tender_package::{Message, Outcome, ReturnCode, Table};

use super::password::{self, bundle_fault};
use super::{Shell, configured, show, trust};
use crate::error::CommandError;
use crate::instance::Which;

/// Options of `tender certificate verify`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender certificate verify\n  tender certificate verify --service zosmf.example.com:443 \
                  --mode NONSTRICT\n\nEnds with 4 when something needs attention, 16 when something does not work."
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Look at the certificate of this server with the instance's trust store
    #[arg(long, value_name = "HOST:PORT", value_parser = trust::target)]
    service: Option<ServiceTarget>,
    /// STRICT, NONSTRICT or DISABLED; what the instance is configured with when left out
    #[arg(long, value_name = "MODE", requires = "service")]
    mode: Option<VerifyMode>,
    /// Warn when a certificate ends within so many days
    #[arg(long, value_name = "N", default_value_t = 30)]
    warn_days: u32,
}

impl Args {
    /// Checks.
    pub(super) fn run(self, _shell: &Shell) -> Result<Outcome, CommandError> {
        let certificate = configured(&self.which)?;
        let now = Timestamp::now();
        if let Some(target) = &self.service {
            let store = &certificate.truststore;
            let password = store.password.as_ref().map(password::resolve).transpose()?;
            let bundle =
                Bundle::read(&store.file, password.as_ref()).map_err(bundle_fault("read the trust store"))?;
            let report = service::verify_service(
                target,
                self.configured_mode()?,
                &Roots::of_bundle(&bundle),
                None,
                now,
            )
            .map_err(trust::fault)?;
            let mut outcome = checked(&report.checks);
            outcome.tables.splice(0..0, show::tables("it sent", &report.chain));
            outcome.data = serde_json::json!(report);
            return Ok(outcome);
        }
        let host_names = super::host_names(&self.which)?;
        let request = VerifyRequest {
            certificate: &certificate,
            host_names: &host_names,
            now,
            warn_days: self.warn_days,
        };
        Ok(checked(&tender_certificate::verify(&request)))
    }

    fn configured_mode(&self) -> Result<VerifyMode, CommandError> {
        if let Some(mode) = self.mode {
            return Ok(mode);
        }
        let value = self.which.value("zowe.verifyCertificates")?;
        Ok(value.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default())
    }
}

/// Shows checks, one a row; the worst of them is how it ends.
pub(super) fn checked(checks: &[Check]) -> Outcome {
    let mut table = Table::new("Checks", &["check", "of", "result", "what was found"]);
    let mut outcome = Outcome::default();
    for check in checks {
        table.row([
            check.what.to_owned(),
            check.subject.clone(),
            check.status.to_string(),
            check.text.clone(),
        ]);
        let told = match check.status {
            CheckStatus::Warning => "ZWEL0812W",
            CheckStatus::Failed => "ZWEL0813E",
            CheckStatus::Passed | CheckStatus::Skipped => continue,
        };
        outcome.say(Message::with_id(told, format!("{} of {}: {}", check.what, check.subject, check.text)));
        if check.status == CheckStatus::Failed {
            outcome.code = outcome.code.max(ReturnCode::Refused);
        }
    }
    outcome.tables.push(table);
    outcome.data = serde_json::json!({ "checks": checks });
    outcome
}
