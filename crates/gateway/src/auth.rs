//! Who a user is: logging in, tokens, and what services get of them. Source: the reference's section 4.
//!
//! ```text
//! login ──► Provider: right? ──► token, signed ──► cookie
//! request with a token ──► signature, time, not revoked ──► User ──► scheme of the service: what it gets of it
//! logout ──► revoked here at once; in the shared store; on every other gateway within a second
//! ```

mod endpoints;
mod jwks;
mod jwt;
mod present;
pub mod provider;
mod revocation;
mod scheme;

use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;

pub(crate) use endpoints::{route, unaccepted};
pub use jwt::{Claims, KeyError, SigningKey};
pub use provider::{Denied, Provider, Verified};
pub use revocation::Revocations;
pub(crate) use scheme::{Credentials, FAILURE, Outcome, Scheme, Token};

use jwt::TokenFault;

/// How users log in.
#[derive(Clone)]
pub struct AuthSettings {
    /// Who says whether a password is right.
    pub provider: Arc<dyn Provider>,
    /// What tokens are signed with: the same on all gateways that are to know each other's.
    pub key: Arc<SigningKey>,
    /// What was logged out.
    pub revocations: Arc<Revocations>,
    /// For how long a token is good.
    pub lifetime: Duration,
}

impl std::fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthSettings").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unaccepted {
    #[error("there is no token")]
    None,
    #[error("the token is not one of ours, or it was changed")]
    Invalid,
    #[error("the token was logged out")]
    Revoked,
    #[error("the token has expired")]
    Expired(Box<Claims>),
}

/// Checks what a request shows: the cookie first, then `Authorization: Bearer`.
pub(crate) fn user(
    settings: &AuthSettings,
    headers: &HeaderMap,
    now_s: u64,
) -> Result<(Claims, String), Unaccepted> {
    let token = present::token(headers).ok_or(Unaccepted::None)?;
    let claims = settings.key.verify(token, now_s).map_err(|fault| match fault {
        TokenFault::Expired(claims) => Unaccepted::Expired(claims),
        TokenFault::Malformed | TokenFault::Forged => Unaccepted::Invalid,
    })?;
    if settings.revocations.is_revoked(&claims.jti) {
        return Err(Unaccepted::Revoked);
    }
    Ok((claims, token.to_owned()))
}

/// Returns the seconds since 1970.
pub(crate) fn now_s() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
