//! Certificates of a server, from files, read again when they change.

mod config;
mod naming;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tender_certificate::{BundleError, Password, PasswordError};

use crate::event::{Event, EventSink};

/// Where the key and the certificate of the server are.
#[derive(Debug, Clone)]
pub enum Identity {
    /// In PEM files: the key, and the certificate with what leads to its authority.
    Pem {
        /// The key.
        key: PathBuf,
        /// The certificate and its chain.
        certificate: PathBuf,
    },
    /// In a PKCS12 store.
    Pkcs12 {
        /// The store.
        file: PathBuf,
        /// Its password.
        password: Option<Password>,
        /// Which key; the only one when nothing is said.
        alias: Option<String>,
    },
}

/// A file with authorities to trust: PEM, DER or PKCS12.
#[derive(Debug, Clone)]
pub struct TrustFile {
    /// The file.
    pub file: PathBuf,
    /// Its password, for PKCS12.
    pub password: Option<Password>,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked; who shows one must show a trusted one, and what may be done without is for the handler to say.
    Optional,
    /// Without a trusted one there is no connection.
    Required,
}

/// What a server configuration is made of.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's own key and certificate.
    pub identity: Identity,
    /// Authorities that clients are trusted by.
    pub trust: Vec<TrustFile>,
    /// Whether clients show certificates.
    pub client_auth: ClientAuth,
}

/// Says why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of keys or certificates cannot be read.
    #[error("use the certificates in `{}`", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<BundleError>,
    },
    /// A password cannot be had.
    #[error("open `{}`", path.display())]
    Password {
        /// The file it is for.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<PasswordError>,
    },
    /// The certificate has ended: clients would refuse it.
    #[error("use the certificate `{subject}` in `{}`: it ended on {ended}", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// Whom it names.
        subject: String,
        /// When it ended.
        ended: jiff::Timestamp,
    },
    /// Clients are to show certificates, and no authority is trusted.
    #[error("ask clients for certificates: no authority is in {}", listed(paths))]
    NoAuthority {
        /// Where authorities were looked for.
        paths: Vec<PathBuf>,
    },
    /// The key does not fit, or is of a kind that is not taken.
    #[error("use the key and certificate in `{}`", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// Something of TLS itself.
    #[error("set up TLS")]
    Provider(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn listed(paths: &[PathBuf]) -> String {
    match paths {
        [] => "no file at all".to_owned(),
        paths => paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", "),
    }
}

/// What a loaded certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) subject: String,
    pub(crate) days_left: i64,
}

/// Certificates in use: each new connection takes the newest.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// Errors: [`TlsError`], also when the certificate has ended. A certificate that ends soon is told to `events`.
    pub fn load(files: TlsFiles, events: &EventSink) -> Result<Arc<Self>, TlsError> {
        const SOON_DAYS: i64 = 30;
        let (config, loaded) = config::load(&files)?;
        if loaded.days_left < SOON_DAYS {
            let Loaded { subject, days_left } = loaded;
            events(&Event::Expiring { subject, days_left });
        }
        Ok(Arc::new(Self { files, current: ArcSwap::from_pointee(config) }))
    }

    /// Reads the files again; connections that are open stay as they are.
    ///
    /// Errors: [`TlsError`]; then what was in use stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.reloaded().map(drop)
    }

    fn reloaded(&self) -> Result<Loaded, TlsError> {
        let (config, loaded) = config::load(&self.files)?;
        self.current.store(Arc::new(config));
        Ok(loaded)
    }

    /// Returns what the next connection uses.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

/// Says why a handshake failed, with what to look at.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let shown = naming::refused().map_or_else(String::new, |shown| format!("; client showed {shown}"));
    format!("{}{shown}", reason_alone(error))
}

fn reason_alone(error: &std::io::Error) -> String {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return error.to_string();
    };
    let hint = match tls {
        rustls::Error::NoCertificatesPresented => "the client showed no certificate",
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
            "add the authority of the client's certificate to the trust store"
        }
        rustls::Error::InvalidCertificate(
            rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. },
        ) => "the client's certificate has ended",
        rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA) => {
            "the client does not trust the authority of this server's certificate"
        }
        rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired) => {
            "the client says that this server's certificate has ended"
        }
        rustls::Error::AlertReceived(rustls::AlertDescription::BadCertificate) => {
            "the client refused this server's certificate, perhaps because it is not for this host name"
        }
        _ => return tls.to_string(),
    };
    format!("{tls}; {hint}")
}
