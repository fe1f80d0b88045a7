//! The key and certificate of one end.
//!
//! The key is made where it is used and never leaves; what travels is a signing request, and what comes back
//! is a certificate and the authority's own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::{
    RootCertStore, client::verify_server_cert_signed_by_trust_anchor, crypto::aws_lc_rs as provider,
    server::ParsedCertificate, sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};

use crate::{certificate, durable};

const KEY_FILE: &str = "key.pem";
const CERTIFICATE_FILE: &str = "cert.pem";
const AUTHORITY_FILE: &str = "ca.pem";

/// Why an identity could not be made, opened or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is a key already.
    #[error("there is a key in {} already", dir.display())]
    Exists {
        /// The identity's directory.
        dir: PathBuf,
    },
    /// A file of the identity is missing.
    #[error("{} does not exist; this end is not enrolled", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("use the identity file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Making a key or a request failed.
    #[error("make a key or certificate request for {name}")]
    Key {
        /// Whose key.
        name: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// A certificate or key on disk or on offer is unusable.
    #[error("the identity in {} is not usable: {what}", dir.display())]
    Unusable {
        /// The identity's directory.
        dir: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

/// The key of one end and, once enrolled, its certificate and the authority's.
#[derive(Debug)]
pub struct Identity {
    dir: PathBuf,
    key: KeyPair,
}

impl Identity {
    /// Makes a new key in `dir`, readable by its owner alone.
    pub fn create(dir: &Path) -> Result<Self, IdentityError> {
        let path = dir.join(KEY_FILE);
        if path.exists() {
            return Err(IdentityError::Exists { dir: dir.to_owned() });
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|source| IdentityError::Key { name: dir.display().to_string(), source })?;
        durable::make_private_dir(dir).map_err(|source| file_error(dir, source))?;
        durable::write_private(&path, key.serialize_pem().as_bytes())
            .map_err(|source| file_error(&path, source))?;
        Ok(Self { dir: dir.to_owned(), key })
    }

    /// Opens the key in `dir`; the certificate may still be missing.
    pub fn open(dir: &Path) -> Result<Self, IdentityError> {
        let key = KeyPair::from_pem(&read(&dir.join(KEY_FILE))?)
            .map_err(|_| IdentityError::Unusable { dir: dir.to_owned(), what: "the key cannot be read" })?;
        Ok(Self { dir: dir.to_owned(), key })
    }

    /// Opens the key in `dir`, making one when there is none.
    pub fn open_or_create(dir: &Path) -> Result<Self, IdentityError> {
        match Self::open(dir) {
            Err(IdentityError::Missing { .. }) => Self::create(dir),
            opened => opened,
        }
    }

    /// The directory it lives in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether a certificate and the authority's have been installed.
    pub fn is_enrolled(&self) -> bool {
        self.dir.join(CERTIFICATE_FILE).exists() && self.dir.join(AUTHORITY_FILE).exists()
    }

    /// A signing request for this key; `name` is what it asks to be called.
    pub fn csr_pem(&self, name: &str) -> Result<String, IdentityError> {
        let failed = |source| IdentityError::Key { name: name.to_owned(), source };
        let mut params = CertificateParams::default();
        let mut names = DistinguishedName::new();
        names.push(DnType::CommonName, name);
        params.distinguished_name = names;
        params.serialize_request(&self.key).and_then(|request| request.pem()).map_err(failed)
    }

    /// Installs a certificate for this key and the certificate of the authority that signed it.
    ///
    /// Refused unless the certificate is for this very key, signed by that authority and valid now. The
    /// authority is written first, the certificate last, so that an identity with a certificate is always
    /// complete.
    pub fn install(&self, certificate_pem: &str, ca_pem: &str) -> Result<(), IdentityError> {
        let certificate = certificate::first_of_pem(certificate_pem, "the certificate")
            .map_err(|_| self.unusable("the certificate cannot be read"))?;
        if certificate::public_key(&certificate) != Some(self.key.subject_public_key_info()) {
            return Err(self.unusable("the certificate is for another key"));
        }
        self.check_signed(&certificate, &self.roots_of(ca_pem)?)?;
        for (file, text) in [(AUTHORITY_FILE, ca_pem), (CERTIFICATE_FILE, certificate_pem)] {
            let path = self.dir.join(file);
            durable::write_private(&path, text.as_bytes()).map_err(|source| file_error(&path, source))?;
        }
        Ok(())
    }

    /// This end's certificate.
    pub fn certificate_pem(&self) -> Result<String, IdentityError> {
        read(&self.dir.join(CERTIFICATE_FILE))
    }

    /// The authority's certificate.
    pub fn ca_pem(&self) -> Result<String, IdentityError> {
        read(&self.dir.join(AUTHORITY_FILE))
    }

    /// SHA-256 of this end's certificate in hexadecimal.
    pub fn fingerprint(&self) -> Result<String, IdentityError> {
        Ok(certificate::fingerprint(&self.certificate()?))
    }

    /// When this end's certificate stops being valid; renew in good time.
    pub fn expires(&self) -> Result<Timestamp, IdentityError> {
        certificate::expires(&self.certificate()?).ok_or_else(|| self.unusable("the certificate has no end"))
    }

    /// Certificate and key as the TLS library wants them.
    pub(crate) fn certified_key(&self) -> Result<Arc<CertifiedKey>, IdentityError> {
        let key = self.signing_key()?;
        Ok(Arc::new(CertifiedKey::new(vec![self.certificate()?], key)))
    }

    /// The key with a certificate signed by itself: proves nothing, but lets TLS hide what is said.
    pub(crate) fn self_signed(&self, name: &str) -> Result<Arc<CertifiedKey>, IdentityError> {
        let mut params = CertificateParams::default();
        let mut names = DistinguishedName::new();
        names.push(DnType::CommonName, format!("{name}, not yet enrolled"));
        params.distinguished_name = names;
        let certificate = params
            .self_signed(&self.key)
            .map_err(|source| IdentityError::Key { name: name.to_owned(), source })?;
        Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], self.signing_key()?)))
    }

    /// The authority as the only root to trust.
    pub(crate) fn roots(&self) -> Result<Arc<RootCertStore>, IdentityError> {
        Ok(Arc::new(self.roots_of(&self.ca_pem()?)?))
    }

    /// The certificate and the private key in the forms a TLS client is configured with.
    pub(crate) fn client_auth(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), IdentityError> {
        Ok((vec![self.certificate()?], self.private_key()))
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    fn signing_key(&self) -> Result<Arc<dyn rustls::sign::SigningKey>, IdentityError> {
        provider::sign::any_supported_type(&self.private_key())
            .map_err(|_| self.unusable("the key is of an unknown kind"))
    }

    fn certificate(&self) -> Result<CertificateDer<'static>, IdentityError> {
        certificate::first_of_pem(&self.certificate_pem()?, "the certificate")
            .map_err(|_| self.unusable("the certificate cannot be read"))
    }

    fn roots_of(&self, ca_pem: &str) -> Result<RootCertStore, IdentityError> {
        let authority = certificate::first_of_pem(ca_pem, "the authority's certificate")
            .map_err(|_| self.unusable("the authority's certificate cannot be read"))?;
        let mut roots = RootCertStore::empty();
        roots
            .add(authority)
            .map_err(|_| self.unusable("the authority's certificate is not one of an authority"))?;
        Ok(roots)
    }

    fn check_signed(
        &self,
        certificate: &CertificateDer<'_>,
        roots: &RootCertStore,
    ) -> Result<(), IdentityError> {
        let parsed = ParsedCertificate::try_from(certificate)
            .map_err(|_| self.unusable("the certificate cannot be read"))?;
        let algorithms = provider::default_provider().signature_verification_algorithms;
        let server =
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, &[], UnixTime::now(), algorithms.all);
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots.clone()),
            Arc::new(provider::default_provider()),
        )
        .build()
        .map_err(|_| self.unusable("the authority's certificate is not one of an authority"))?;
        // One of the two: a system's certificate is for serving, CSMWORK's is for logging in.
        if server.is_err() && verifier.verify_client_cert(certificate, &[], UnixTime::now()).is_err() {
            return Err(self.unusable("the certificate is not signed by the authority, or not valid now"));
        }
        Ok(())
    }

    fn unusable(&self, what: &'static str) -> IdentityError {
        IdentityError::Unusable { dir: self.dir.clone(), what }
    }
}

fn read(path: &Path) -> Result<String, IdentityError> {
    fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => IdentityError::Missing { path: path.to_owned() },
        _ => file_error(path, source),
    })
}

fn file_error(path: &Path, source: io::Error) -> IdentityError {
    IdentityError::File { path: path.to_owned(), source }
}
