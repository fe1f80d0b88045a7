//! Making certificates: authorities, certificates signed by them, and the bridge from an old authority to a new one.

use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use jiff::{Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use zeroize::Zeroize;

use crate::{
    alternative, info,
    key::{KeyError, KeyType},
};

/// Days an authority lasts unless told otherwise.
pub(crate) const CA_DAYS: u32 = 5 * 365;
/// Days a certificate lasts unless told otherwise: with the day before today 397, the most that browsers take.
pub(crate) const LEAF_DAYS: u32 = 396;
/// Clocks of two machines differ; a certificate is good a day before it was made.
const CLOCK_SKEW_DAYS: i64 = 1;
const SERIAL_BYTES: usize = 16;

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Validity {
    /// From a day before `now`, for `days`, but not past `end`, to whole seconds.
    pub(crate) fn starting(now: Timestamp, days: u32, end: Option<Timestamp>) -> Self {
        let day = |days: i64| (days * 24).hours();
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let from = now.checked_sub(day(CLOCK_SKEW_DAYS)).unwrap_or(now);
        let until = now.checked_add(day(i64::from(days))).unwrap_or(Timestamp::MAX);
        Self { from, until: end.map_or(until, |end| until.min(end)) }
    }
}

/// A certificate and its key.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) key: PrivatePkcs8KeyDer<'static>,
    pub(crate) certificate: CertificateDer<'static>,
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The key could not be made or read.
    #[error("use the key of the certificate of {subject}")]
    Key {
        /// Whom the certificate is for.
        subject: String,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A name or address cannot stand in a certificate.
    #[error("put '{name}' in a certificate: it is neither a host name nor an address")]
    Name {
        /// The offending name.
        name: String,
    },
    /// The signature could not be made.
    #[error("sign the certificate of {subject}")]
    Sign {
        /// Whom the certificate is for.
        subject: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
}

/// Makes an authority.
pub(crate) fn authority(
    subject: &rcgen::DistinguishedName,
    key_type: KeyType,
    validity: Validity,
) -> Result<Identity, IssueError> {
    let shown = crate::DistinguishedName::display(subject);
    let sign = |source| IssueError::Sign { subject: shown.clone(), source };
    let (key, pair) = new_key(key_type, &shown)?;
    let params = authority_params(subject.clone(), validity);
    let certificate = params.self_signed(&pair).map_err(sign)?.der().clone();
    Ok(Identity { key, certificate })
}

/// Certifies the key of the new authority by the old one, so that who trusts the old one trusts both.
pub(crate) fn bridge(
    old: &Identity,
    new: &Identity,
    validity: Validity,
) -> Result<CertificateDer<'static>, IssueError> {
    let shown = "the new authority".to_owned();
    let sign = |source| IssueError::Sign { subject: shown.clone(), source };
    let pair = key_pair(&new.key).map_err(sign)?;
    let old_issuer =
        Issuer::from_ca_cert_der(&old.certificate, key_pair(&old.key).map_err(sign)?).map_err(sign)?;
    let mut params = authority_params(rcgen::DistinguishedName::new(), validity);
    params.distinguished_name = subject_of(&new.certificate).map_err(sign)?;
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    Ok(params.signed_by(&pair, &old_issuer).map_err(sign)?.der().clone())
}

/// What a certificate is made of.
#[derive(Debug, Clone)]
pub(crate) struct LeafSpec {
    pub(crate) subject: rcgen::DistinguishedName,
    /// Host names and addresses, in normal form.
    pub(crate) names: Vec<String>,
    pub(crate) key_type: KeyType,
    pub(crate) validity: Validity,
}

/// Makes a certificate for servers and clients alike, signed by the authority.
pub(crate) fn leaf(spec: &LeafSpec, ca: &Identity) -> Result<Identity, IssueError> {
    let shown = crate::DistinguishedName::display(&spec.subject);
    let sign = |source| IssueError::Sign { subject: shown.clone(), source };
    let (key, pair) = new_key(spec.key_type, &shown)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = spec.subject.clone();
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
    if spec.key_type.can_encipher() {
        // RFC 8813 forbids these two for keys that only sign.
        params.key_usages.extend([KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::DataEncipherment]);
    }
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = spec
        .names
        .iter()
        .map(|name| alternative::of(name).ok_or_else(|| IssueError::Name { name: name.clone() }))
        .collect::<Result<_, _>>()?;
    set_validity(&mut params, spec.validity);
    let issuer = Issuer::from_ca_cert_der(&ca.certificate, key_pair(&ca.key).map_err(sign)?).map_err(sign)?;
    let certificate = params.signed_by(&pair, &issuer).map_err(sign)?.der().clone();
    Ok(Identity { key, certificate })
}

/// The subject of a certificate in a form in which it can be given to another one.
pub(crate) fn subject_of(certificate: &CertificateDer<'_>) -> Result<rcgen::DistinguishedName, rcgen::Error> {
    let parsed = info::parse(certificate).ok_or(rcgen::Error::CouldNotParseCertificate)?;
    let mut name = rcgen::DistinguishedName::new();
    for attribute in parsed.subject().iter_attributes() {
        let oid: Vec<u64> = attribute.attr_type().iter().map(Iterator::collect).unwrap_or_default();
        let text = attribute.as_str().map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
        let kind = rcgen::DnType::from_oid(&oid);
        match text.try_into() {
            Ok(text) if kind == rcgen::DnType::CountryName => {
                name.push(kind, rcgen::DnValue::PrintableString(text));
            }
            _ => name.push(kind, text),
        }
    }
    Ok(name)
}

/// The key type of an existing certificate, for making another of the same kind.
pub(crate) fn key_type_of(certificate: &CertificateDer<'_>) -> KeyType {
    let described = info::CertificateInfo::of_der(certificate, Timestamp::UNIX_EPOCH);
    match described.map(|info| (info.key.kind, info.key.bits)) {
        Some((kind, _)) if kind == "EC P-384" => KeyType::EcP384,
        Some((kind, _)) if kind == "Ed25519" => KeyType::Ed25519,
        Some((kind, bits)) if kind == "RSA" && bits >= 3072 => KeyType::Rsa3072,
        Some((kind, _)) if kind == "RSA" => KeyType::Rsa2048,
        _ => KeyType::EcP256,
    }
}

fn authority_params(subject: rcgen::DistinguishedName, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    // One step below it is left for the bridge to its successor.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, validity);
    params
}

fn new_key(key_type: KeyType, subject: &str) -> Result<(PrivatePkcs8KeyDer<'static>, KeyPair), IssueError> {
    let key =
        key_type.generate().map_err(|source| IssueError::Key { subject: subject.to_owned(), source })?;
    let pair = key_pair(&key).map_err(|source| IssueError::Sign { subject: subject.to_owned(), source })?;
    Ok((key, pair))
}

fn key_pair(key: &PrivatePkcs8KeyDer<'_>) -> Result<KeyPair, rcgen::Error> {
    KeyPair::try_from(key)
}

fn set_validity(params: &mut CertificateParams, validity: Validity) {
    let moment = |time: Timestamp| {
        let seconds = u64::try_from(time.as_second()).unwrap_or(0);
        date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    params.not_before = moment(validity.from);
    params.not_after = moment(validity.until);
    params.serial_number = Some(SerialNumber::from_slice(&serial()));
}

/// Random, positive and never shorter than it looks.
fn serial() -> [u8; SERIAL_BYTES] {
    let mut bytes = [0_u8; SERIAL_BYTES];
    SystemRandom::new().fill(&mut bytes).expect("the system has a source of random bytes");
    bytes[0] = bytes[0] & 0x3F | 0x40;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_validity_of_a_certificate_is_at_most_397_days() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let validity = Validity::starting(now, LEAF_DAYS, None);
        assert_eq!(info::days_between(validity.from, validity.until), 397);
        assert!(validity.from < now);
    }

    #[test]
    fn certificate_never_outlasts_its_authority() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let end = Timestamp::from_second(1_800_000_100).unwrap();
        assert_eq!(Validity::starting(now, 30, Some(end)).until, end);
    }
}
