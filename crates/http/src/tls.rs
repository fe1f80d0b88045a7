//! Certificates of a server, from files, read again when they change.

mod config;
mod naming;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tender_certificate::{BundleError, Password, PasswordError};

use crate::event::{Event, EventSink};
use watch::Stamp;

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
    /// When it ends; nothing when it is too odd to be read.
    pub(crate) not_after: Option<jiff::Timestamp>,
}

impl Loaded {
    /// Returns whole days until it ends, rounded down.
    fn days_left(&self) -> i64 {
        const DAY_S: i64 = 24 * 60 * 60;
        let left =
            |ends: jiff::Timestamp| (ends.as_second() - jiff::Timestamp::now().as_second()).div_euclid(DAY_S);
        self.not_after.map_or(i64::MAX, left)
    }
}

/// Certificates in use: each new connection takes the newest.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
    known: Mutex<Known>,
}

/// What is known of the files.
#[derive(Debug)]
struct Known {
    /// As they were before they were read last.
    stamps: Vec<Stamp>,
    loaded: Loaded,
    /// The days left when it was told last that the certificate ends soon.
    told_days: Option<i64>,
}

impl Known {
    /// Returns what to tell of the end of the certificate: once for each of its last days.
    fn expiring(&mut self) -> Option<Event> {
        const SOON_DAYS: i64 = 30;
        let days_left = self.loaded.days_left();
        if days_left >= SOON_DAYS || self.told_days == Some(days_left) {
            return None;
        }
        self.told_days = Some(days_left);
        Some(Event::Expiring { subject: self.loaded.subject.clone(), days_left })
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// Errors: [`TlsError`], also when the certificate has ended. A certificate that ends soon is told to `events`.
    pub fn load(files: TlsFiles, events: &EventSink) -> Result<Arc<Self>, TlsError> {
        // What changes while they are read is read again.
        let stamps = files.stamps();
        let (config, loaded) = config::load(&files)?;
        let mut known = Known { stamps, loaded, told_days: None };
        if let Some(event) = known.expiring() {
            events(&event);
        }
        let current = ArcSwap::from_pointee(config);
        Ok(Arc::new(Self { files, current, known: Mutex::new(known) }))
    }

    /// Reads the files again; connections that are open stay as they are.
    ///
    /// Errors: [`TlsError`]; then what was in use stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.reloaded(self.files.stamps()).map(drop)
    }

    /// Reads the files, which had these stamps before.
    fn reloaded(&self, stamps: Vec<Stamp>) -> Result<Loaded, TlsError> {
        self.known().stamps = stamps;
        let (config, loaded) = config::load(&self.files)?;
        self.current.store(Arc::new(config));
        let mut known = self.known();
        (known.loaded, known.told_days) = (loaded.clone(), None);
        Ok(loaded)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each of its fields is replaced as a whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
