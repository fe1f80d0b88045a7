//! Why discovery does not run, beside what keeps every service from it.

use std::path::Path;

use tender_certificate::PasswordError;
use tender_config::Report;
use tender_etcd::EtcdError;
use tender_package::ReturnCode;

use super::NAMED;
use crate::error::{CommandError, RuntimeFault};

/// Rules that cannot be used.
pub(super) fn rules(report: &Report) -> CommandError {
    let text = format!("failed to use the rules for registrations:\n{}", report.to_string().trim_end());
    RuntimeFault::new("ZWEAD106E", ReturnCode::Refused, text).into()
}

/// A password that cannot be had.
pub(super) fn password(fault: PasswordError) -> CommandError {
    NAMED.told("ZWEAM509E", ReturnCode::Refused, "failed to get the password of the user of", None, fault)
}

/// Rules that could let nobody in, because clients show no certificates.
pub(super) fn rules_without_certificates(rules: &Path) -> CommandError {
    let text = format!(
        "failed to use the rules for registrations in `{}`: they tie services to certificates, and clients show none",
        rules.display()
    );
    let hint = "leave --rules out, or serve TLS without --plain and --verify DISABLED";
    RuntimeFault::new("ZWEAD106E", ReturnCode::Refused, text).with_hint(hint).into()
}

/// An etcd that cannot be reached whatever its state is: addresses or certificates are none.
pub(super) fn registry(fault: EtcdError) -> CommandError {
    NAMED.told("ZWEAD117E", ReturnCode::Refused, "failed to share the registry of", None, fault)
}
