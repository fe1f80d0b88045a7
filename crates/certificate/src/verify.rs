//! Checking the certificate an instance is configured with, line by line.

mod files;
mod stores;

use std::fmt;

use jiff::Timestamp;
use rustls::{client::verify_server_name, server::ParsedCertificate};
use rustls_pki_types::CertificateDer;
use serde::Serialize;

use crate::{RuntimeCertificate, alternative};

/// How one check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Passed,
    /// It works, but someone should look after it.
    Warning,
    /// It does not work.
    Failed,
    /// It was not checked.
    Skipped,
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "passed",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, in a word or two.
    pub what: &'static str,
    /// On which file, certificate or host.
    pub subject: String,
    /// How it went.
    pub status: CheckStatus,
    /// What was found, and how to go on when it is not well.
    pub text: String,
}

/// What is to be checked.
#[derive(Debug, Clone)]
pub struct VerifyRequest<'a> {
    /// The value of `zowe.certificate`.
    pub certificate: &'a RuntimeCertificate,
    /// Names under which the servers are reached: external domains and the host names of all instances.
    pub host_names: &'a [String],
    /// The moment at which certificates must be valid.
    pub now: Timestamp,
    /// Warns when a certificate ends within so many days, or has less than a third of its time left.
    pub warn_days: u32,
}

/// Checks files, passwords, keys, chain, time, names and strength; every check is a line.
pub fn verify(request: &VerifyRequest<'_>) -> Vec<Check> {
    let mut report = Report::default();
    if stores::check_types(request.certificate, &mut report) {
        files::check(request.certificate, &mut report);
        stores::check(request, &mut report);
    }
    report.checks
}

/// Tells whether the certificate is for the host name or address.
pub(crate) fn covers(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let Some(name) = alternative::server_name(host) else { return false };
    ParsedCertificate::try_from(certificate).is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
}

/// The lines so far.
#[derive(Debug, Default)]
struct Report {
    checks: Vec<Check>,
}

impl Report {
    fn add(
        &mut self,
        what: &'static str,
        subject: impl ToString,
        status: CheckStatus,
        text: impl Into<String>,
    ) {
        self.checks.push(Check { what, subject: subject.to_string(), status, text: text.into() });
    }

    fn passed(&mut self, what: &'static str, subject: impl ToString, text: impl Into<String>) {
        self.add(what, subject, CheckStatus::Passed, text);
    }

    fn warning(&mut self, what: &'static str, subject: impl ToString, text: impl Into<String>) {
        self.add(what, subject, CheckStatus::Warning, text);
    }

    fn failed(&mut self, what: &'static str, subject: impl ToString, text: impl Into<String>) {
        self.add(what, subject, CheckStatus::Failed, text);
    }

    /// An error as one line: itself and its causes.
    fn error(&mut self, what: &'static str, subject: impl ToString, error: &dyn std::error::Error) {
        let mut text = format!("cannot {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.failed(what, subject, text);
    }
}
