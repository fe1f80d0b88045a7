//! Remembering whose certificate was refused: the error of a handshake does not say.

use std::cell::RefCell;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use tender_certificate::CertificateInfo;

thread_local! {
    /// A handshake fails on the thread that checks the certificate, before anything else runs there.
    static REFUSED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Returns, once, whose certificate was refused last on this thread.
pub(super) fn refused() -> Option<String> {
    REFUSED.take()
}

/// Checks as another does, and remembers what was refused.
#[derive(Debug)]
pub(super) struct Naming(pub(super) Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Naming {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.verify_client_cert(end_entity, intermediates, now).inspect_err(|_| {
            REFUSED.set(CertificateInfo::of_der(end_entity, Timestamp::now()).map(|info| {
                let CertificateInfo { subject, issuer, not_after, .. } = info;
                format!(
                    "`{}`, issued by `{}`, valid until {not_after}",
                    subject.escape_debug(),
                    issuer.escape_debug()
                )
            }));
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
