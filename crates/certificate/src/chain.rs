//! Which certificate was signed by which.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use rustls::{
    CertificateError, Error,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::aws_lc_rs::default_provider,
    server::{ParsedCertificate, WebPkiClientVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::x509::X509Version;

use crate::{info, tls::Roots};

/// No real chain is longer; a hostile one might be.
const CERTIFICATES_MAX: usize = 16;

/// The certificate and each one's issuer out of the pool, as far as they are there.
pub(crate) fn from(
    certificate: &CertificateDer<'static>,
    pool: &[CertificateDer<'static>],
) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![certificate.clone()];
    while chain.len() < CERTIFICATES_MAX {
        let Some(last) = chain.last().and_then(|der| info::parse(der)) else { break };
        if last.subject().as_raw() == last.issuer().as_raw() {
            break;
        }
        let issuer = last.issuer().as_raw().to_vec();
        let is_issuer = |der: &&CertificateDer<'static>| {
            !chain.contains(der) && info::parse(der).is_some_and(|parsed| parsed.subject().as_raw() == issuer)
        };
        // A root and a cross-signed copy of it have one name; the root ends the chain.
        let candidates: Vec<_> = pool.iter().filter(is_issuer).collect();
        let root = candidates.iter().find(|der| is_self_issued(der));
        let Some(next) = root.or(candidates.first()) else { break };
        let next = (*next).clone();
        chain.push(next);
    }
    chain
}

/// Tells whether subject and issuer are one.
pub(crate) fn is_self_issued(der: &CertificateDer<'_>) -> bool {
    info::parse(der).is_some_and(|parsed| parsed.subject().as_raw() == parsed.issuer().as_raw())
}

/// An authority, or a server that signed for itself and can only be trusted as it is.
pub(crate) fn is_authority(der: &CertificateDer<'_>) -> bool {
    info::parse(der).is_some_and(|parsed| parsed.is_ca()) || is_self_issued(der)
}

/// What a certificate is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To prove who a server is.
    Server,
    /// To prove who a client is.
    Client,
}

/// Checks that the chain leads to one of the roots, is valid at `now` and fit for the purpose.
pub(crate) fn check(
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &Roots,
    now: UnixTime,
    purpose: Purpose,
) -> Result<(), Error> {
    let version = info::parse(certificate).map(|parsed| parsed.version());
    if version.is_some_and(|version| version != X509Version::V3) {
        return Err(Error::General(
            "it is not an X.509 version 3 certificate; have it made again".to_owned(),
        ));
    }
    if roots.certificates().iter().any(|root| root == certificate) {
        // Trusted itself, as Java has it: nothing above it matters, but its time does.
        return check_time(certificate, now);
    }
    let provider = default_provider();
    match purpose {
        Purpose::Server => verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(certificate)?,
            roots.store(),
            intermediates,
            now,
            provider.signature_verification_algorithms.all,
        ),
        Purpose::Client => {
            let verifier = WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots.store().clone()),
                Arc::new(provider),
            )
            .build()
            .map_err(|_| Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
            verifier.verify_client_cert(certificate, intermediates, now).map(drop)
        }
    }
}

fn check_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let parsed = info::parse(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    let (from, until) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    if now.as_secs() < seconds(from) {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    if now.as_secs() > seconds(until) {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    Ok(())
}

/// The moment in the form of the TLS library; moments before 1970 count as 1970.
pub(crate) fn unix_time(now: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0)))
}

/// Why a chain was refused, in the words of an operator.
pub(crate) fn reason(error: &Error) -> String {
    let error = match error {
        Error::InvalidCertificate(error) => error,
        Error::General(text) => return text.clone(),
        other => return other.to_string(),
    };
    match error {
        CertificateError::UnknownIssuer => {
            "none of the trusted authorities signed it, or an intermediate certificate is missing".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it, or a certificate of its chain, has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it, or a certificate of its chain, is not valid yet; is the clock of this machine right?"
                .to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its extended key usage does not allow this".to_owned()
        }
        CertificateError::BadSignature => "a signature in its chain is wrong".to_owned(),
        CertificateError::BadEncoding => "it is damaged".to_owned(),
        other => other.to_string(),
    }
}
