//! Client configurations under the three verification modes.

use std::{fmt, str::FromStr, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, aws_lc_rs::default_provider, verify_tls12_signature, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde::{Deserialize, Serialize};

use crate::{
    Bundle, KeyEntry,
    chain::{self, Purpose},
};

/// How much of a server's certificate is checked, `zowe.verifyCertificates`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE", try_from = "String")]
pub enum VerifyMode {
    /// The chain leads to a trusted authority, and the certificate is for the host.
    #[default]
    Strict,
    /// The chain leads to a trusted authority; the host name is not compared.
    Nonstrict,
    /// Neither: anyone can answer in the place of the server.
    Disabled,
}

impl VerifyMode {
    /// Tells whether the chain must lead to a trusted authority.
    pub fn checks_chain(self) -> bool {
        self != Self::Disabled
    }

    /// Tells whether the certificate must be for the host.
    pub fn checks_host(self) -> bool {
        self == Self::Strict
    }
}

impl fmt::Display for VerifyMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Strict => "STRICT",
            Self::Nonstrict => "NONSTRICT",
            Self::Disabled => "DISABLED",
        })
    }
}

/// The text is none of the three modes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no way to verify certificates; there are STRICT, NONSTRICT and DISABLED")]
pub struct UnknownMode {
    text: String,
}

impl FromStr for VerifyMode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        [Self::Strict, Self::Nonstrict, Self::Disabled]
            .into_iter()
            .find(|mode| mode.to_string().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| UnknownMode { text: text.to_owned() })
    }
}

impl TryFrom<String> for VerifyMode {
    type Error = UnknownMode;

    fn try_from(text: String) -> Result<Self, UnknownMode> {
        text.parse()
    }
}

/// Certificates that are trusted.
#[derive(Debug, Clone)]
pub struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    store: RootCertStore,
}

impl Roots {
    /// Trusts these certificates; those that cannot be read at all are left out.
    pub fn of(certificates: Vec<CertificateDer<'static>>) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates.iter().cloned());
        Self { certificates, store }
    }

    /// Trusts what a trust store trusts.
    pub fn of_bundle(bundle: &Bundle) -> Self {
        Self::of(bundle.trusted().map(|entry| entry.certificate.clone()).collect())
    }

    /// The certificates.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    pub(crate) fn store(&self) -> &RootCertStore {
        &self.store
    }
}

/// Why a client configuration could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The client's own key and certificate cannot be used.
    #[error("use the key '{alias}' to log in with")]
    Identity {
        /// The alias of the key.
        alias: String,
        /// Why.
        #[source]
        source: Error,
    },
    /// The protocol versions could not be set.
    #[error("set up TLS")]
    Provider(#[source] Error),
}

/// Makes a client configuration for TLS 1.2 and 1.3 that checks servers as `mode` says.
///
/// `identity` is what the client logs in with, when it does.
pub fn client_config(
    mode: VerifyMode,
    roots: Roots,
    identity: Option<&KeyEntry>,
) -> Result<ClientConfig, TlsError> {
    with_verifier(Arc::new(ModeVerifier::new(mode, roots)), identity)
}

pub(crate) fn with_verifier(
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<&KeyEntry>,
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(entry) => builder
            .with_client_auth_cert(entry.chain.clone(), PrivateKeyDer::Pkcs8(entry.key.clone_key()))
            .map_err(|source| TlsError::Identity { alias: entry.alias.clone(), source }),
    }
}

/// Checks servers as a mode says. In every mode the server must own the key of the certificate it shows.
#[derive(Debug)]
pub(crate) struct ModeVerifier {
    mode: VerifyMode,
    roots: Roots,
    provider: CryptoProvider,
}

impl ModeVerifier {
    pub(crate) fn new(mode: VerifyMode, roots: Roots) -> Self {
        Self { mode, roots, provider: default_provider() }
    }
}

impl ServerCertVerifier for ModeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.mode.checks_chain() {
            chain::check(end_entity, intermediates, &self.roots, now, Purpose::Server)?;
        }
        if self.mode.checks_host() {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_in_any_case_is_known_and_other_text_is_refused() {
        assert_eq!("strict".parse(), Ok(VerifyMode::Strict));
        assert_eq!("NonStrict".parse(), Ok(VerifyMode::Nonstrict));
        assert_eq!(" DISABLED ".parse(), Ok(VerifyMode::Disabled));
        for text in ["", "true", "NON-STRICT", "off"] {
            assert!(text.parse::<VerifyMode>().unwrap_err().to_string().contains("NONSTRICT"), "{text}");
        }
    }

    #[test]
    fn mode_travels_through_json_as_its_word() {
        assert_eq!(serde_json::to_string(&VerifyMode::Nonstrict).unwrap(), "\"NONSTRICT\"");
        assert_eq!(serde_json::from_str::<VerifyMode>("\"disabled\"").unwrap(), VerifyMode::Disabled);
        assert!(serde_json::from_str::<VerifyMode>("\"maybe\"").is_err());
    }
}
