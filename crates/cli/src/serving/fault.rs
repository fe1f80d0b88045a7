//! Why a service does not run, with id, return code and the way on.

use std::io;

use tender_certificate::BundleError;
use tender_http::{BindError, TlsError};
use tender_package::ReturnCode;

use super::Named;
use super::options::PlanError;
use crate::error::{CommandError, RuntimeFault};

impl Named {
    /// A plan that cannot be made.
    pub(crate) fn plan(self, fault: PlanError) -> CommandError {
        let (id, code, hint) = match &fault {
            PlanError::Value { .. } | PlanError::Half { .. } | PlanError::Unencrypted { .. } => {
                ("ZWEAO400E", ReturnCode::Syntax, None)
            }
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
                Some("give --trust with the authorities of others, or --verify DISABLED to trust everybody"),
            ),
            PlanError::OpenToAll { .. } => {
                ("ZWEAM501W", ReturnCode::Refused, Some("listen at 127.0.0.1, or use TLS"))
            }
        };
        self.told(id, code, "failed to plan", hint, fault)
    }

    /// An address that cannot be listened at.
    pub(crate) fn bind(self, fault: BindError) -> CommandError {
        let hint = match &fault {
            BindError::Taken { .. } => Some(format!(
                "end it, or choose another port with --port or components.{}.port",
                self.component
            )),
            BindError::NotHere { .. } => Some("`ip address` lists the addresses of this machine".to_owned()),
            BindError::Forbidden { .. } | BindError::Io { .. } => None,
        };
        self.told("ZWEAM401E", ReturnCode::Outside, "failed to start", hint.as_deref(), fault)
    }

    /// Certificates that cannot be used.
    pub(crate) fn tls(self, fault: TlsError) -> CommandError {
        let (id, code, hint) = match &fault {
            TlsError::Store { source, .. } => match &**source {
                BundleError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => (
                    "ZWEAM508E",
                    ReturnCode::Unknown,
                    Some("`tender certificate init` makes a key and certificate"),
                ),
                BundleError::NoAlias { .. } | BundleError::Ambiguous { .. } => (
                    "ZWEAM510E",
                    ReturnCode::Refused,
                    Some("`tender certificate show FILE` lists the aliases"),
                ),
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
        self.told(id, code, "failed to set up TLS for", hint, fault)
    }

    /// Keys or authorities by which others cannot be asked.
    pub(crate) fn outward(self, fault: tender_certificate::tls::TlsError) -> CommandError {
        self.told("ZWEAM400E", ReturnCode::Refused, "failed to set up TLS for", None, fault)
    }

    /// Something that the system does not give.
    pub(crate) fn system(self, fault: io::Error) -> CommandError {
        self.told("ZWEAM402E", ReturnCode::Outside, "the system does not let run", None, fault)
    }

    /// Anything else.
    pub(crate) fn told(
        self,
        id: &'static str,
        code: ReturnCode,
        doing: &str,
        hint: Option<&str>,
        fault: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> CommandError {
        let mut told = RuntimeFault::new(id, code, format!("{doing} the {}", self.title)).because(fault);
        told.hint = hint.map(str::to_owned);
        told.into()
    }
}
