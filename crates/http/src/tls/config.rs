//! Files to a configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tender_certificate::tls::Roots;
use tender_certificate::{Bundle, CertificateInfo, KeyEntry, Password, Secret};

use super::naming::Naming;
use super::{ClientAuth, Identity, Loaded, TlsError, TlsFiles, TrustFile};

/// Protocols by what the client offers, ours first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

impl TlsFiles {
    /// Reads the server's own key with its certificate, as it shows them as a client, too.
    pub fn key(&self) -> Result<KeyEntry, TlsError> {
        key_of(&self.identity).map(|(_, key)| key)
    }

    /// Reads the authorities that are trusted.
    pub fn roots(&self) -> Result<Roots, TlsError> {
        let mut certificates = Vec::new();
        for TrustFile { file, password } in &self.trust {
            let bundle = read(file, password.as_ref())?;
            certificates.extend(bundle.trusted().map(|entry| entry.certificate.clone()));
        }
        Ok(Roots::of(certificates))
    }
}

pub(super) fn load(files: &TlsFiles) -> Result<(ServerConfig, Loaded), TlsError> {
    let (path, key) = key_of(&files.identity)?;
    let loaded = check(path, &key)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Provider(error.into()))?;
    let builder = match files.client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        auth => builder.with_client_cert_verifier(verifier(&files.trust, auth)?),
    };
    let mut config = builder
        .with_single_cert(key.chain.clone(), PrivateKeyDer::Pkcs8(key.key.clone_key()))
        .map_err(|source| TlsError::Key { path: path.to_owned(), source })?;
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    Ok((config, loaded))
}

fn key_of(identity: &Identity) -> Result<(&Path, KeyEntry), TlsError> {
    let (path, bundle, alias) = match identity {
        Identity::Pem { key, certificate } => {
            let store = |source| TlsError::Store { path: key.clone(), source: Box::new(source) };
            (key, Bundle::read_pem_files(&[key, certificate]).map_err(store)?, None)
        }
        Identity::Pkcs12 { file, password, alias } => {
            (file, read(file, password.as_ref())?, alias.as_deref())
        }
    };
    let key = bundle.key(alias, path);
    let key = key.map_err(|source| TlsError::Store { path: path.clone(), source: Box::new(source) })?;
    Ok((path, key.clone()))
}

fn check(path: &Path, key: &KeyEntry) -> Result<Loaded, TlsError> {
    let now = Timestamp::now();
    let Some(info) = CertificateInfo::of_der(key.certificate(), now) else {
        return Ok(Loaded { subject: "?".to_owned(), not_after: None });
    };
    if info.not_after < now {
        return Err(TlsError::Expired {
            path: path.to_owned(),
            subject: info.subject,
            ended: info.not_after,
        });
    }
    Ok(Loaded { subject: info.subject, not_after: Some(info.not_after) })
}

fn verifier(trust: &[TrustFile], auth: ClientAuth) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for TrustFile { file, password } in trust {
        let bundle = read(file, password.as_ref())?;
        roots.add_parsable_certificates(bundle.trusted().map(|entry| entry.certificate.clone()));
    }
    if roots.is_empty() {
        let paths: Vec<PathBuf> = trust.iter().map(|one| one.file.clone()).collect();
        return Err(TlsError::NoAuthority { paths });
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    let builder = if auth == ClientAuth::Optional { builder.allow_unauthenticated() } else { builder };
    let verifier = builder.build().map_err(|error| TlsError::Provider(error.into()))?;
    Ok(Arc::new(Naming(verifier)))
}

fn read(path: &Path, password: Option<&Password>) -> Result<Bundle, TlsError> {
    let password: Option<Secret> = password
        .map(Password::resolve)
        .transpose()
        .map_err(|source| TlsError::Password { path: path.to_owned(), source: Box::new(source) })?;
    Bundle::read(path, password.as_ref())
        .map_err(|source| TlsError::Store { path: path.to_owned(), source: Box::new(source) })
}
