//! The HTTPS probe: what `tender launcher probe URL` does for the supervisor, which knows no TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tender_certificate::tls::{Roots, TlsError, VerifyMode, client_config};
use tender_certificate::{Bundle, BundleError};

use crate::https::{self, GetError};

/// Authorities that this system trusts, where Debian keeps them.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What is asked.
#[derive(Debug, Clone)]
pub struct ProbeRequest {
    /// The URL.
    pub url: String,
    /// How the certificate is checked.
    pub verify: VerifyMode,
    /// Files of trusted authorities, in PEM form; those of the system when there are none.
    pub authorities: Vec<PathBuf>,
    /// Time for all of it, in milliseconds.
    pub limit_ms: u64,
}

/// Says why a component is not well.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Trusted authorities cannot be read.
    #[error("read trusted authorities")]
    Authorities(#[source] BundleError),
    /// TLS cannot be set up.
    #[error("set up TLS")]
    Tls(#[source] TlsError),
    /// There is no answer.
    #[error("ask `{url}`")]
    Get {
        /// The URL.
        url: String,
        /// Why.
        #[source]
        source: GetError,
    },
    /// It answers something else than that it is well.
    #[error("`{url}` answers {status}")]
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
}

/// Asks once; 2xx and 3xx are good answers.
pub fn https(request: &ProbeRequest) -> Result<(), ProbeError> {
    let tls = tls(request.verify, &request.authorities)?;
    let url = &request.url;
    let status = https::status(url, &[], &tls, Duration::from_millis(request.limit_ms))
        .map_err(|source| ProbeError::Get { url: url.clone(), source })?;
    if (200..400).contains(&status) { Ok(()) } else { Err(ProbeError::Status { url: url.clone(), status }) }
}

/// Returns the arguments that repeat `verify` and `authorities` for `tender launcher probe`, before the URL.
#[must_use]
pub fn arguments(verify: VerifyMode, authorities: &[PathBuf]) -> Vec<String> {
    let mut words = vec!["--verify".to_owned(), verify.to_string()];
    for file in authorities {
        words.extend(["--ca".to_owned(), file.display().to_string()]);
    }
    words
}

/// Makes the client configuration that probes use.
pub(crate) fn tls(verify: VerifyMode, authorities: &[PathBuf]) -> Result<Arc<ClientConfig>, ProbeError> {
    let system = Path::new(SYSTEM_AUTHORITIES);
    let files: Vec<&Path> = match authorities {
        [] if verify.checks_chain() && system.exists() => vec![system],
        _ => authorities.iter().map(PathBuf::as_path).collect(),
    };
    let roots = if files.is_empty() {
        Roots::of(Vec::new())
    } else {
        Roots::of_bundle(&Bundle::read_pem_files(&files).map_err(ProbeError::Authorities)?)
    };
    client_config(verify, roots, None).map(Arc::new).map_err(ProbeError::Tls)
}
