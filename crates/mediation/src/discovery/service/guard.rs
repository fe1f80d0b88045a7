//! Who may ask.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tender_http::Peer;
use tender_http::hyper::HeaderMap;
use tender_http::hyper::header::AUTHORIZATION;

/// What a client must show for the registry and for static definitions.
#[derive(Clone, PartialEq, Eq)]
pub enum Access {
    /// A certificate that leads to a trusted authority.
    Certificate,
    /// User and password.
    Basic {
        /// The value of the header `Authorization` that is expected.
        authorization: String,
    },
    /// Nothing.
    Open,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Certificate => "Certificate",
            Self::Basic { .. } => "Basic { (secret) }",
            Self::Open => "Open",
        })
    }
}

/// Why somebody may not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// It shows no certificate.
    NoCertificate,
    /// It shows no user and password, or the wrong ones.
    NoCredentials,
    /// A rule gives the service to others.
    ByRule,
}

impl Access {
    /// Asks for a user and password.
    #[must_use]
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic { authorization: format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))) }
    }

    /// Decides.
    pub(super) fn check(&self, peer: &Peer, headers: &HeaderMap) -> Result<(), Denied> {
        match self {
            Self::Open => Ok(()),
            Self::Certificate if peer.certificate_of(headers).is_some() => Ok(()),
            Self::Certificate => Err(Denied::NoCertificate),
            Self::Basic { authorization } => {
                let shown = headers.get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
                if is_same(shown, authorization.as_bytes()) { Ok(()) } else { Err(Denied::NoCredentials) }
            }
        }
    }
}

/// Compares in a time that does not tell where the first difference is.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}
