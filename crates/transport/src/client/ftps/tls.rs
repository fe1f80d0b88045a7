//! The client's side of TLS.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
    },
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::ConnectSecurity;
use crate::identity::{Identity, IdentityError};

/// The configuration for a kind of security; none for a connection in the clear.
pub(super) fn client_config(security: &ConnectSecurity) -> Result<Option<Arc<ClientConfig>>, IdentityError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let mut config = match security {
        ConnectSecurity::Clear { .. } => return Ok(None),
        ConnectSecurity::Certificate { identity } => {
            let identity = Identity::open(identity)?;
            let (chain, key) = identity.client_auth()?;
            builder(provider)
                .with_root_certificates(identity.roots()?)
                .with_client_auth_cert(chain, key)
                .map_err(|_| IdentityError::Unusable {
                    dir: identity.dir().to_owned(),
                    what: "the certificate and the key do not go together",
                })?
        }
        ConnectSecurity::Enrolment { .. } => builder(provider)
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NotYetEnrolled { algorithms }))
            .with_no_client_auth(),
    };
    // Every data connection proves itself anew; the server keeps no sessions either.
    config.resumption = Resumption::disabled();
    Ok(Some(Arc::new(config)))
}

/// What is wrong, in words for the person who has to put it right.
pub(super) fn explain(error: &rustls::Error) -> String {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};
    let hint = match error {
        Error::InvalidCertificate(Certificate::UnknownIssuer) => {
            "the system's certificate is not from this principal's authority"
        }
        Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            "the system's certificate has expired, or the clock here is wrong"
        }
        Error::InvalidCertificate(Certificate::NotValidYet | Certificate::NotValidYetContext { .. }) => {
            "the system's certificate is not valid yet: one of the two clocks is wrong"
        }
        Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => "the system's certificate is for another name",
        Error::AlertReceived(Alert::CertificateRequired) => "the system wants a certificate from us",
        Error::AlertReceived(Alert::CertificateExpired) => {
            // The same alert is sent for a certificate that is not valid yet.
            "our certificate has expired, or the clock of the system is wrong"
        }
        Error::AlertReceived(Alert::UnknownCA | Alert::DecryptError) => {
            "our certificate is not from the authority the system trusts"
        }
        Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateUnknown
            | Alert::CertificateRevoked
            | Alert::AccessDenied,
        ) => "the system does not accept our certificate",
        _ => return error.to_string(),
    };
    format!("{hint} ({error})")
}

fn builder(provider: Arc<CryptoProvider>) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has cipher suites for TLS 1.3")
}

/// Accepts any certificate, for the one conversation in which the system has none that could be checked.
///
/// What is said there is proved by the join token instead (see [`crate::enrolment`]). That the other end
/// holds the key of the certificate it shows is still checked.
#[derive(Debug)]
struct NotYetEnrolled {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for NotYetEnrolled {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
