//! `tender certificate trust HOST:PORT`.

use jiff::Timestamp;
use tender_certificate::service::{self, ServiceError, ServiceTarget};
use tender_certificate::{CertificateInfo, TrustStore};
use tender_package::{Message, Outcome, ReturnCode};

use super::{Shell, configured, password, show};
use crate::error::{CommandError, RuntimeFault};
use crate::instance::Which;

/// Time for connection and handshake, in milliseconds.
const TIMEOUT_MS: u64 = 10_000;

/// Options of `tender certificate trust`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tender certificate trust zosmf.example.com:443\n  tender certificate trust \
                  zosmf.example.com:443 --fingerprint 5E:1F:…\n\n\
                  Without a fingerprint it only shows what the server sends. The fingerprint must come from the \
                  server's owner, by another way than the connection itself."
)]
pub(crate) struct Args {
    /// The server
    #[arg(value_name = "HOST:PORT", value_parser = target)]
    target: ServiceTarget,
    #[command(flatten)]
    which: Which,
    /// SHA-256 of the certificate to trust
    #[arg(long, value_name = "SHA-256")]
    fingerprint: Option<String>,
}

/// Reads a host and a port, such as `zosmf.example.com:443` or `[::1]:7554`.
pub(super) fn target(text: &str) -> Result<ServiceTarget, String> {
    let (host, port) = text.rsplit_once(':').ok_or("a host and a port are needed, such as host:443")?;
    let port = port.parse().map_err(|_| format!("`{port}` is no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(ServiceTarget { host, port, timeout_ms: TIMEOUT_MS })
}

impl Args {
    /// Looks, and trusts what has the fingerprint.
    pub(super) fn run(self, shell: &Shell) -> Result<Outcome, CommandError> {
        let store = store(&self.which)?;
        let expected = self.fingerprint.as_deref().filter(|_| !shell.is_check);
        let seen = service::trust_service(&self.target, expected, &store, Timestamp::now()).map_err(fault)?;
        let mut outcome = Outcome { tables: show::tables("it sent", &seen.chain), ..Outcome::default() };
        outcome.data = serde_json::json!(seen);
        match &seen.imported {
            Some(imported) => told(&mut outcome, &imported.added, &imported.present),
            None => outcome.say(
                Message::with_id("ZWEL0814W", "nothing is trusted: no fingerprint was given").with_hint(
                    "ask the server's owner for its fingerprint, then give the command again with --fingerprint",
                ),
            ),
        }
        Ok(outcome)
    }
}

/// Returns the trust store an instance is configured with.
pub(super) fn store(which: &Which) -> Result<TrustStore, CommandError> {
    let store = configured(which)?.truststore;
    let Some(reference) = &store.password else {
        let text = format!("{} has no password in zowe.certificate.truststore", store.file.display());
        return Err(RuntimeFault::new("ZWEL0131E", ReturnCode::Refused, text).into());
    };
    Ok(TrustStore { password: password::resolve(reference)?, file: store.file })
}

/// Says what became of certificates that were to be trusted.
pub(super) fn told(outcome: &mut Outcome, added: &[CertificateInfo], present: &[CertificateInfo]) {
    for one in added {
        outcome.say(Message::with_id("ZWEL0815I", format!("{} is trusted from now on", one.subject)));
    }
    for one in present {
        outcome.say(Message::with_id("ZWEL0815I", format!("{} was trusted before", one.subject)));
    }
}

/// Says what went wrong with a server.
pub(super) fn fault(fault: ServiceError) -> CommandError {
    let code = match &fault {
        ServiceError::Fingerprint { .. } => ReturnCode::Integrity,
        ServiceError::NoFingerprint { .. } | ServiceError::Host { .. } => ReturnCode::Syntax,
        _ => ReturnCode::Outside,
    };
    RuntimeFault::new("ZWEL0170E", code, "failed to look at a server's certificate").because(fault).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_is_a_host_and_a_port() {
        let read = |text| target(text).map(|target| (target.host, target.port));
        assert_eq!(read("a.example:443"), Ok(("a.example".to_owned(), 443)));
        assert_eq!(read("[::1]:7554"), Ok(("::1".to_owned(), 7554)));
        assert!(read("a.example").is_err() && read("a:b").is_err() && read("a:70000").is_err());
    }
}
