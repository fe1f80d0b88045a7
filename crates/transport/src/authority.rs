//! The principal's own certificate authority.
//!
//! It signs two kinds of certificate and nothing else: those with which managed systems serve, and the one
//! with which CSMWORK logs in to them. Neither can be used as the other. A certificate is renewed by issuing
//! it again.

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
    SigningKey as _,
};

use crate::{WORK_USER, certificate, durable, revocation::Revocations};

const KEY_FILE: &str = "ca.key";
const CERTIFICATE_FILE: &str = "ca.pem";
const CA_VALID_DAYS: i32 = 20 * 365;
const CERTIFICATE_VALID_DAYS: i32 = 2 * 365;
/// Clocks of two machines differ; a certificate is good a day before it was made.
const CLOCK_SKEW_DAYS: i32 = 1;

/// What a certificate may be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateUse {
    /// A managed system proves to CSMWORK who it is.
    System {
        /// The system's name, the certificate's common name.
        name: String,
        /// Host names and IP addresses under which it is reached.
        addresses: Vec<String>,
    },
    /// CSMWORK logs in to managed systems.
    Work,
}

/// The days on which a certificate is valid, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first day.
    pub from: Date,
    /// The day at whose beginning it ends.
    pub until: Date,
}

impl Validity {
    /// Starts the day before `now` and lasts `days`.
    pub fn starting(now: Timestamp, days: i32) -> Self {
        let today = now.to_zoned(TimeZone::UTC).date();
        Self { from: today.saturating_sub(CLOCK_SKEW_DAYS.days()), until: today.saturating_add(days.days()) }
    }
}

/// Why a certificate authority could not be made, opened or used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// There is one already; making another would cut every enrolled system off.
    #[error("there is a certificate authority in {} already", dir.display())]
    Exists {
        /// Its directory.
        dir: PathBuf,
    },
    /// There is none.
    #[error("there is no certificate authority in {}", dir.display())]
    Missing {
        /// The directory looked in.
        dir: PathBuf,
    },
    /// A file could not be read or written.
    #[error("use the certificate authority's file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key or certificate on disk is damaged, or one does not belong to the other.
    #[error("the certificate authority in {} is damaged: {what}", dir.display())]
    Damaged {
        /// Its directory.
        dir: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The signing request is malformed or not signed by its own key.
    #[error("the certificate request of {name} is not valid")]
    Request {
        /// Who the certificate was for.
        name: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// A name or address cannot stand in a certificate.
    #[error("'{address}' cannot stand in the certificate of {name}")]
    Address {
        /// The system.
        name: String,
        /// The offending address.
        address: String,
    },
    /// Signing or key generation failed.
    #[error("sign the certificate of {name}")]
    Sign {
        /// Who the certificate was for.
        name: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
}

/// The principal's certificate authority, in a directory of its own.
#[derive(Debug)]
pub struct Authority {
    certificate_pem: String,
    fingerprint: String,
    key: KeyPair,
}

impl Authority {
    /// Makes a new authority in `dir`; the key file is readable by its owner alone.
    ///
    /// The key is written before the certificate: a directory with a key alone is one whose making was
    /// interrupted, and making it again is safe because nothing was ever signed with that key.
    pub fn create(dir: &Path, name: &str) -> Result<Self, AuthorityError> {
        if dir.join(CERTIFICATE_FILE).exists() {
            return Err(AuthorityError::Exists { dir: dir.to_owned() });
        }
        let sign = |source| AuthorityError::Sign { name: name.to_owned(), source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(sign)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&format!("Tender {name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, Validity::starting(Timestamp::now(), CA_VALID_DAYS));
        let certificate_pem = params.self_signed(&key).map_err(sign)?.pem();
        durable::make_private_dir(dir).map_err(|source| file_error(dir, source))?;
        for (file, text) in [(KEY_FILE, key.serialize_pem()), (CERTIFICATE_FILE, certificate_pem)] {
            let path = dir.join(file);
            durable::write_private(&path, text.as_bytes()).map_err(|source| file_error(&path, source))?;
        }
        Self::open(dir)
    }

    /// Opens the authority in `dir`.
    pub fn open(dir: &Path) -> Result<Self, AuthorityError> {
        let read = |file: &str| {
            let path = dir.join(file);
            fs::read_to_string(&path).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => AuthorityError::Missing { dir: dir.to_owned() },
                _ => file_error(&path, source),
            })
        };
        let damaged = |what| AuthorityError::Damaged { dir: dir.to_owned(), what };
        let certificate_pem = read(CERTIFICATE_FILE)?;
        let key = KeyPair::from_pem(&read(KEY_FILE)?).map_err(|_| damaged("the key cannot be read"))?;
        let der = certificate::first_of_pem(&certificate_pem, "the authority's certificate")
            .map_err(|_| damaged("the certificate cannot be read"))?;
        if certificate::public_key(&der) != Some(rcgen::PublicKeyData::subject_public_key_info(&key)) {
            return Err(damaged("the certificate is not for the key"));
        }
        Ok(Self { fingerprint: certificate::fingerprint(&der), certificate_pem, key })
    }

    /// The authority's certificate, which every system keeps.
    pub fn ca_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// SHA-256 of the authority's certificate in hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Signs a list of certificates that count no more; returns the text that systems take in.
    pub fn sign_revocations(&self, list: &Revocations) -> Result<String, AuthorityError> {
        let sign =
            |source| AuthorityError::Sign { name: "the list of revoked certificates".to_owned(), source };
        let signature = self.key.sign(list.body().as_bytes()).map_err(sign)?;
        Ok(list.signed(&signature))
    }

    /// Signs the key in `csr_pem` for `usage`, for two years from today.
    ///
    /// Only the key is taken from the request; what the certificate says is decided here.
    pub fn issue(&self, csr_pem: &str, usage: &CertificateUse) -> Result<String, AuthorityError> {
        self.issue_for(csr_pem, usage, Validity::starting(Timestamp::now(), CERTIFICATE_VALID_DAYS))
    }

    /// Signs the key in `csr_pem` for `usage` and the given days.
    pub fn issue_for(
        &self,
        csr_pem: &str,
        usage: &CertificateUse,
        validity: Validity,
    ) -> Result<String, AuthorityError> {
        let name = usage.name();
        let sign = |source| AuthorityError::Sign { name: name.to_owned(), source };
        let request = CertificateSigningRequestParams::from_pem(csr_pem)
            .map_err(|source| AuthorityError::Request { name: name.to_owned(), source })?;
        let mut params = usage.params()?;
        set_validity(&mut params, validity);
        let issuer = Issuer::from_ca_cert_pem(&self.certificate_pem, &self.key).map_err(sign)?;
        Ok(params.signed_by(&request.public_key, &issuer).map_err(sign)?.pem())
    }
}

impl CertificateUse {
    fn name(&self) -> &str {
        match self {
            Self::System { name, .. } => name,
            Self::Work => WORK_USER,
        }
    }

    fn params(&self) -> Result<CertificateParams, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(self.name());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        match self {
            Self::System { name, addresses } => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                params.subject_alt_names = addresses
                    .iter()
                    .map(|address| alternative_name(name, address))
                    .collect::<Result<_, _>>()?;
            }
            Self::Work => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        }
        Ok(params)
    }
}

fn alternative_name(name: &str, address: &str) -> Result<SanType, AuthorityError> {
    let refused = || AuthorityError::Address { name: name.to_owned(), address: address.to_owned() };
    if let Ok(ip) = address.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(ip));
    }
    // The same rule by which the client will read it back.
    rustls_pki_types::DnsName::try_from(address).map_err(|_| refused())?;
    Ok(SanType::DnsName(address.try_into().map_err(|_| refused())?))
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn set_validity(params: &mut CertificateParams, validity: Validity) {
    let day = |date: Date| {
        rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day(validity.from);
    params.not_after = day(validity.until);
}

fn file_error(path: &Path, source: io::Error) -> AuthorityError {
    AuthorityError::File { path: path.to_owned(), source }
}
