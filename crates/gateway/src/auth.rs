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

pub(crate) use endpoints::{Asked, route, unaccepted};
pub use jwt::{Claims, KeyError, SigningKey};
pub use provider::{Denied, Provider, Verified};
pub use revocation::Revocations;
pub(crate) use scheme::{Credentials, FAILURE, Outcome, Scheme, Token};

use crate::service::Event;
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
    /// Whether a token may be followed by another without a password.
    pub allows_refresh: bool,
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
    #[error("the token was logged out or taken back")]
    Revoked,
    #[error("the token is a personal one for other services")]
    OtherService,
    #[error("the token has expired")]
    Expired(Box<Claims>),
}

/// Checks what a request to a service shows.
pub(crate) fn user(
    settings: &AuthSettings,
    headers: &HeaderMap,
    service: &str,
    now_s: u64,
) -> Result<(Claims, String), Unaccepted> {
    let token = present::token(headers).ok_or(Unaccepted::None)?;
    Ok((accepted(settings, token, service, now_s)?, token.to_owned()))
}

/// A user, as a service is told of him.
#[derive(Debug)]
pub(crate) struct Introduced {
    user: String,
    pub(crate) token: String,
    ticket: Option<Result<String, String>>,
}

impl Introduced {
    /// Returns the ticket with whom it is for, or why there is none; nothing when none was wanted.
    pub(crate) fn ticket(&self) -> Option<Result<(&str, &str), &str>> {
        let ticket = self.ticket.as_ref()?;
        Some(ticket.as_ref().map(|ticket| (self.user.as_str(), ticket.as_str())).map_err(String::as_str))
    }
}

/// Makes of a user what a service wants to be told of him.
pub(crate) async fn introduced(
    settings: &AuthSettings,
    scheme: &Scheme,
    (claims, mut token): (Claims, String),
    tell: &(dyn Fn(&Event) + Sync),
) -> Introduced {
    if *scheme == Scheme::ZoweJwt && claims.is_personal() {
        // The service could use the personal one elsewhere, for months.
        token = settings.key.sign(&claims.for_service(now_s()));
    }
    let ticket = match scheme {
        Scheme::PassTicket(Some(application)) => {
            Some(settings.ticket_for(&claims.sub, application, tell).await.map_err(|why| why.outside()))
        }
        _ => None,
    };
    Introduced { user: claims.sub, token, ticket }
}

/// Checks a token that is shown to a service.
fn accepted(settings: &AuthSettings, token: &str, service: &str, now_s: u64) -> Result<Claims, Unaccepted> {
    let claims = settings.known(token, now_s)?;
    if claims.is_for(service) { Ok(claims) } else { Err(Unaccepted::OtherService) }
}

impl AuthSettings {
    /// Understands a token that is good for something.
    fn known(&self, token: &str, now_s: u64) -> Result<Claims, Unaccepted> {
        let claims = self.key.verify(token, now_s).map_err(|fault| match fault {
            TokenFault::Expired(claims) => Unaccepted::Expired(claims),
            TokenFault::Malformed | TokenFault::Forged => Unaccepted::Invalid,
        })?;
        if self.revocations.is_revoked(&claims) { Err(Unaccepted::Revoked) } else { Ok(claims) }
    }
}

/// Returns the seconds since 1970.
pub(crate) fn now_s() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
