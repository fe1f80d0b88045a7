//! Why the service does not run, with id, return code and the way on.

use std::io;

use tender_certificate::{BundleError, PasswordError};
use tender_config::Report;
use tender_http::{BindError, TlsError};
use tender_package::ReturnCode;

use super::plan::PlanError;
use crate::error::{CommandError, RuntimeFault};

/// A plan that cannot be made.
pub(super) fn plan(fault: PlanError) -> CommandError {
    let (id, code, hint) = match &fault {
        PlanError::Value { .. } => ("ZWEAO400E", ReturnCode::Syntax, None),
        PlanError::NoKey => (
            "ZWEAM508E",
            ReturnCode::Refused,
            Some(
                "give --key and --certificate or --keystore; `tender certificate init` makes them; --plain does without",
            ),
        ),
        PlanError::NoTrust => (
            "ZWEAM507E",
            ReturnCode::Refused,
            Some("give --trust with the authorities of clients, or --verify DISABLED to let everybody in"),
        ),
        PlanError::OpenToAll { .. } => (
            "ZWEAM501W",
            ReturnCode::Refused,
            Some("listen at 127.0.0.1, give --user and --password-file, or use TLS"),
        ),
    };
    told(id, code, "failed to plan the discovery service", hint, fault)
}

/// An address that cannot be listened at.
pub(super) fn bind(fault: BindError) -> CommandError {
    let hint = match &fault {
        BindError::Taken { .. } => {
            Some("end it, or choose another port with --port or components.discovery.port")
        }
        BindError::NotHere { .. } => Some("`ip address` lists the addresses of this machine"),
        BindError::Forbidden { .. } | BindError::Io { .. } => None,
    };
    told("ZWEAM401E", ReturnCode::Outside, "failed to start the discovery service", hint, fault)
}

/// Certificates that cannot be used.
pub(super) fn tls(fault: TlsError) -> CommandError {
    let (id, code, hint) = match &fault {
        TlsError::Store { source, .. } => match &**source {
            BundleError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => (
                "ZWEAM508E",
                ReturnCode::Unknown,
                Some("`tender certificate init` makes a key and certificate"),
            ),
            BundleError::NoAlias { .. } | BundleError::Ambiguous { .. } => {
                ("ZWEAM510E", ReturnCode::Refused, Some("`tender certificate show FILE` lists the aliases"))
            }
            _ => ("ZWEAM400E", ReturnCode::Refused, None),
        },
        TlsError::Password { .. } => ("ZWEAM509E", ReturnCode::Refused, None),
        TlsError::Expired { .. } => {
            ("ZWEAM400E", ReturnCode::Refused, Some("`tender certificate renew` makes a new one"))
        }
        TlsError::NoAuthority { .. } => (
            "ZWEAM507E",
            ReturnCode::Refused,
            Some("`tender certificate import` adds authorities to a trust store"),
        ),
        TlsError::Key { .. } | TlsError::Provider(_) => ("ZWEAM400E", ReturnCode::Refused, None),
    };
    told(id, code, "failed to set up TLS for the discovery service", hint, fault)
}

/// A password that cannot be had.
pub(super) fn password(fault: PasswordError) -> CommandError {
    told("ZWEAM509E", ReturnCode::Refused, "failed to get the password of the user", None, fault)
}

/// Rules that cannot be used.
pub(super) fn rules(report: &Report) -> CommandError {
    let text = format!("failed to use the rules for registrations:\n{}", report.to_string().trim_end());
    RuntimeFault::new("ZWEAD106E", ReturnCode::Refused, text).into()
}

/// Something that the system does not give.
pub(super) fn system(doing: &'static str) -> impl FnOnce(io::Error) -> CommandError {
    move |fault| told("ZWEAM402E", ReturnCode::Outside, doing, None, fault)
}

fn told(
    id: &'static str,
    code: ReturnCode,
    doing: &str,
    hint: Option<&str>,
    fault: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> CommandError {
    let mut told = RuntimeFault::new(id, code, doing).because(fault);
    told.hint = hint.map(str::to_owned);
    told.into()
}
