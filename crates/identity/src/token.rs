//! Identity tokens: who somebody is, signed, short-lived, revocable.
//!
//! A token is a JWT in compact form, signed with EdDSA (Ed25519). Its header is exactly one text for each key of the server,
//! so nothing of a token is interpreted before its signature is known to be good:
//!
//! ```text
//! length ─► three parts ─► header is that of a key of ours ─► signature ─► claims ─► server, times, application, revocation
//! ```
//!
//! | claim | |
//! |---|---|
//! | `iss` | name of the server |
//! | `sub` | the user |
//! | `aud` | the application; a token without one is good for every application |
//! | `iat`, `nbf`, `exp` | issued, not before (the same), not at or after, in seconds since 1970 |
//! | `jti` | 128 random bits |
//! | `epoch` | how many revocations of users there had been; a token from before its user's is void |
//!
//! Clocks: see `clock`. What is kept on disk: the keys, the revocations until what they revoke has run out, and roughly how
//! late it was (to a minute), so that a restart does not forget that time has passed.

mod jws;
mod revocation;

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use self::jws::Parts;
use self::revocation::{Line, Revocations};
use crate::base64url;
use crate::clock::{Moment, TimeGuard};
use crate::journal::Journal;
use crate::keys::{KeyError, KeyInfo, KeyRing};
use crate::name::{ApplicationName, ServerName, UserName};
use crate::random::{self, RandomError};
use crate::vault::{Vault, VaultError};

/// The journal of revocations.
const REVOCATIONS: &str = "revocations.journal";
/// How often it is written down how late it is, in seconds.
const FLOOR_STEP_S: u64 = 60;
/// The longest life that can be configured, in seconds: a day.
const LIFETIME_LIMIT_S: u64 = 86_400;
/// The largest difference of clocks that can be configured, in seconds.
const SKEW_LIMIT_S: u64 = 300;

/// Names a token: 128 random bits, 22 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenId(String);

impl TokenId {
    const BYTES: usize = 16;

    fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; Self::BYTES];
        random::fill(&mut bytes)?;
        Ok(Self(base64url::encode(&bytes)))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TokenId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match base64url::decode(&text) {
            Some(bytes) if bytes.len() == Self::BYTES => Ok(Self(text)),
            _ => Err("no name of a token: 22 characters that stand for 16 bytes"),
        }
    }
}

impl From<TokenId> for String {
    fn from(id: TokenId) -> Self {
        id.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Which server issued it.
    pub iss: ServerName,
    /// Who it is about.
    pub sub: UserName,
    /// For which application it is good; `None` is for every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<ApplicationName>,
    /// When it was issued, in seconds since 1970.
    pub iat: u64,
    /// From when on it is good, in seconds since 1970.
    pub nbf: u64,
    /// From when on it is no longer good, in seconds since 1970.
    pub exp: u64,
    /// Its name.
    pub jti: TokenId,
    /// How many revocations of users there had been.
    pub epoch: u64,
}

/// A token just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The token.
    pub text: String,
    /// What it says.
    pub claims: Claims,
}

/// Whom a token is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The user.
    pub user: UserName,
    /// The application; `None` for every one.
    pub application: Option<ApplicationName>,
    /// How long it should be good, in seconds; `None` for as long as is usual.
    pub lifetime_s: Option<u64>,
}

/// How a [`TokenService`] behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenOptions {
    /// How long a token is good when nothing is said, in seconds.
    pub lifetime_s: u64,
    /// How long a token may be good at most, in seconds; never more than a day.
    pub lifetime_max_s: u64,
    /// How far clocks may be apart, in seconds; never more than five minutes.
    pub skew_s: u64,
    /// The longest token that is looked at, in bytes.
    pub bytes_max: usize,
    /// Revoked tokens of one user that are remembered; with one more all its tokens are revoked.
    pub revoked_per_user_max: usize,
    /// Revocations that are remembered; with one more all tokens are revoked.
    pub revoked_max: usize,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            lifetime_s: 900,
            lifetime_max_s: 3600,
            skew_s: 30,
            bytes_max: 2048,
            revoked_per_user_max: 256,
            revoked_max: 65_536,
        }
    }
}

impl TokenOptions {
    fn bounded(self) -> Self {
        let lifetime_max_s = self.lifetime_max_s.clamp(1, LIFETIME_LIMIT_S);
        Self {
            lifetime_max_s,
            lifetime_s: self.lifetime_s.clamp(1, lifetime_max_s),
            skew_s: self.skew_s.min(SKEW_LIMIT_S),
            ..self
        }
    }
}

/// Says why a token could not be issued or revoked, or the service not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The keys or revocations could not be used.
    #[error("the files of identity tokens")]
    Files {
        /// Why.
        #[source]
        source: VaultError,
    },
    /// There are no random numbers.
    #[error("a token cannot be made")]
    Random {
        /// Why.
        #[source]
        source: RandomError,
    },
    /// More life was wanted than a token may have.
    #[error("a token may be good for 1 to {max_s} seconds, not {wanted_s}")]
    Lifetime {
        /// What was wanted.
        wanted_s: u64,
        /// The most that may be.
        max_s: u64,
    },
    /// The clock shows less than it has shown.
    #[error(
        "the clock is {behind_s} seconds behind what it has shown, more than the {skew_s} that are allowed: \
         set the clock, or, if it was wrong before, replace the signing keys and revoke what they signed"
    )]
    ClockBehind {
        /// By how much.
        behind_s: u64,
        /// How much is allowed.
        skew_s: u64,
    },
}

impl From<VaultError> for TokenError {
    fn from(source: VaultError) -> Self {
        Self::Files { source }
    }
}

impl From<RandomError> for TokenError {
    fn from(source: RandomError) -> Self {
        Self::Random { source }
    }
}

impl From<KeyError> for TokenError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Vault(source) => Self::Files { source },
            KeyError::Random(source) => Self::Random { source },
        }
    }
}

/// Says why a token is not accepted.
///
/// It is for the audit log and the operator; who presented the token is told no more than that it is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefusal {
    /// Longer than a token is.
    #[error("the token has {bytes} bytes, more than {max}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// The longest that is looked at.
        max: usize,
    },
    /// Not three parts, or not written as a token is.
    #[error("it is not a token: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// Signed with something else than EdDSA, or said to be.
    #[error("the token is for algorithm `{found}`; only EdDSA is accepted")]
    Algorithm {
        /// What it says.
        found: String,
    },
    /// The header is not as this server writes it.
    #[error("the header of the token is not one of this server's: {what}")]
    Header {
        /// What is wrong.
        what: &'static str,
    },
    /// No key of this server, or one that has run out.
    #[error("the token is signed with key `{kid}`, which this server does not have (any more)")]
    UnknownKey {
        /// Which it says.
        kid: String,
    },
    /// Not what the key has signed.
    #[error("the signature of the token is wrong")]
    Signature,
    /// What was signed is not what this server signs.
    #[error("the claims of the token cannot be read")]
    Claims {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Another server's.
    #[error("the token was issued by server {found}")]
    Issuer {
        /// Which.
        found: ServerName,
    },
    /// For another application, or for one where none is meant.
    #[error("the token is for application {found} and not for {}", wanted.as_ref().map_or("this use", ApplicationName::as_str))]
    Audience {
        /// For which it is.
        found: ApplicationName,
        /// For which it was presented.
        wanted: Option<ApplicationName>,
    },
    /// Issued in the future.
    #[error("the token begins {ahead_s} seconds from now: a clock is wrong")]
    FromFuture {
        /// How far away it begins.
        ahead_s: u64,
    },
    /// Run out.
    #[error("the token ran out {ago_s} seconds ago")]
    Expired {
        /// How long ago.
        ago_s: u64,
    },
    /// Good for longer than tokens may be.
    #[error("the token is good for {found_s} seconds, more than {max_s}")]
    Lifetime {
        /// For how long it is.
        found_s: u64,
        /// How long is allowed.
        max_s: u64,
    },
    /// Revoked, itself or with all of its user's.
    #[error("the token was revoked")]
    Revoked,
    /// It cannot be found out whether it was revoked.
    #[error("whether the token was revoked cannot be found out")]
    Files {
        /// Why.
        #[source]
        source: VaultError,
    },
}

/// Issues, checks and revokes identity tokens.
///
/// Several processes may use one directory at once; each sees the keys and revocations of the others at its next call.
#[derive(Debug)]
pub struct TokenService {
    server: ServerName,
    options: TokenOptions,
    vault: Vault,
    keys: KeyRing,
    revocations: Journal<Revocations>,
    guard: TimeGuard,
    /// How often everything had begun anew when the guard was made.
    restarts: u64,
    /// The header of each key, as tokens begin with it.
    headers: Vec<String>,
}

impl TokenService {
    /// Opens the directory of keys, making both if they are not there.
    ///
    /// Shape:  directory 0700, files 0600, all of the user that this process runs as.
    /// Errors: [`TokenError::Files`] when others could read or change them.
    pub fn open(
        directory: &Path,
        server: ServerName,
        options: TokenOptions,
        moment: Moment,
    ) -> Result<Self, TokenError> {
        let vault = Vault::open(directory)?;
        let mut revocations: Journal<Revocations> = Journal::open(&vault, REVOCATIONS)?;
        let known = revocations.current(&vault)?;
        let (mut guard, restarts) = (TimeGuard::new(moment, known.latest_s()), known.restarts());
        let keys = KeyRing::open(&vault, guard.latest_s(moment))?;
        let headers = jws::headers(&keys);
        Ok(Self { server, options: options.bounded(), vault, keys, revocations, guard, restarts, headers })
    }

    /// Makes a token. Whether the user may have it was decided by the caller.
    pub fn issue(&mut self, moment: Moment, request: &TokenRequest) -> Result<IssuedToken, TokenError> {
        let max_s = self.options.lifetime_max_s;
        let lifetime_s = request.lifetime_s.unwrap_or(self.options.lifetime_s);
        if lifetime_s == 0 || lifetime_s > max_s {
            return Err(TokenError::Lifetime { wanted_s: lifetime_s, max_s });
        }
        self.catch_up(moment)?;
        let now_s = self.guard.latest_s(moment);
        let behind_s = now_s.saturating_sub(moment.unix_s);
        if behind_s > self.options.skew_s {
            return Err(TokenError::ClockBehind { behind_s, skew_s: self.options.skew_s });
        }
        if now_s >= self.revocations.ledger().latest_s().saturating_add(FLOOR_STEP_S) {
            self.revocations.update(&self.vault, |_| ((), vec![Line::Latest { at_s: now_s }]))?;
        }
        let claims = Claims {
            iss: self.server.clone(),
            sub: request.user.clone(),
            aud: request.application.clone(),
            iat: now_s,
            nbf: now_s,
            exp: now_s.saturating_add(lifetime_s),
            jti: TokenId::random()?,
            epoch: self.revocations.ledger().epoch(),
        };
        let text = jws::sign(&self.keys, &self.headers[0], &claims);
        Ok(IssuedToken { text, claims })
    }

    /// Checks a token that was presented for an application, or for none in particular.
    ///
    /// A token for an application is good only there; one without is good everywhere.
    pub fn validate(
        &mut self,
        moment: Moment,
        text: &str,
        application: Option<&ApplicationName>,
    ) -> Result<Claims, TokenRefusal> {
        let max = self.options.bytes_max;
        if text.len() > max {
            return Err(TokenRefusal::TooLong { bytes: text.len(), max });
        }
        self.catch_up(moment).map_err(|source| TokenRefusal::Files { source })?;
        let now_s = self.guard.latest_s(moment);
        let parts = Parts::split(text)?;
        let place = self.headers.iter().position(|header| header == parts.header);
        let place = place.ok_or_else(|| jws::why_not(parts.header))?;
        let key = self.keys.published().nth(place).expect("there is one header for each key");
        if key.info.verify_until_s.is_some_and(|until_s| now_s >= until_s) {
            return Err(TokenRefusal::UnknownKey { kid: key.info.kid.to_string() });
        }
        if !key.verifies(parts.signed.as_bytes(), &parts.signature) {
            return Err(TokenRefusal::Signature);
        }
        let claims: Claims =
            serde_json::from_slice(&parts.payload).map_err(|source| TokenRefusal::Claims { source })?;
        self.check(&claims, moment, now_s, application)?;
        Ok(claims)
    }

    fn check(
        &self,
        claims: &Claims,
        moment: Moment,
        now_s: u64,
        application: Option<&ApplicationName>,
    ) -> Result<(), TokenRefusal> {
        let Claims { iat, nbf, exp, .. } = *claims;
        if claims.iss != self.server {
            return Err(TokenRefusal::Issuer { found: claims.iss.clone() });
        }
        let max_s = self.options.lifetime_max_s;
        let found_s = exp.saturating_sub(iat.min(nbf));
        if found_s > max_s {
            return Err(TokenRefusal::Lifetime { found_s, max_s });
        }
        if now_s >= exp {
            return Err(TokenRefusal::Expired { ago_s: now_s - exp });
        }
        // By the wall clock: when that was set back, what it has not yet reached again is not believed.
        let ahead_s = iat.max(nbf).saturating_sub(moment.unix_s);
        if ahead_s > self.options.skew_s {
            return Err(TokenRefusal::FromFuture { ahead_s });
        }
        if let Some(found) = &claims.aud
            && application != Some(found)
        {
            return Err(TokenRefusal::Audience { found: found.clone(), wanted: application.cloned() });
        }
        if self.revocations.ledger().is_revoked(claims) { Err(TokenRefusal::Revoked) } else { Ok(()) }
    }

    /// Revokes one token, by what [`Self::validate`] returned. It is revoked, durably, when this returns.
    pub fn revoke(&mut self, moment: Moment, claims: &Claims) -> Result<(), TokenError> {
        let now_s = self.guard.latest_s(moment);
        let options = self.options;
        Ok(self.revocations.update(&self.vault, |known| ((), known.revoke(claims, now_s, &options)))?)
    }

    /// Revokes all tokens that a user has.
    pub fn revoke_user(&mut self, moment: Moment, user: &UserName) -> Result<(), TokenError> {
        let now_s = self.guard.latest_s(moment);
        let options = self.options;
        Ok(self.revocations.update(&self.vault, |known| ((), known.revoke_user(user, now_s, &options)))?)
    }

    /// Revokes all tokens.
    pub fn revoke_all(&mut self, moment: Moment) -> Result<(), TokenError> {
        let now_s = self.guard.latest_s(moment);
        Ok(self.revocations.update(&self.vault, |known| ((), known.revoke_all(now_s)))?)
    }

    /// Makes the next key sign; what the present one has signed stays good until it runs out.
    pub fn rotate_keys(&mut self, moment: Moment) -> Result<(), TokenError> {
        let now_s = self.guard.latest_s(moment);
        let until_s = now_s.saturating_add(self.options.lifetime_max_s).saturating_add(self.options.skew_s);
        self.keys.rotate(&self.vault, now_s, Some(until_s))?;
        self.headers = jws::headers(&self.keys);
        Ok(())
    }

    /// Replaces all keys: everything signed so far is void. For keys that leaked, and for a clock that was wrong.
    pub fn replace_keys(&mut self, moment: Moment) -> Result<(), TokenError> {
        self.keys.rotate(&self.vault, moment.unix_s, None)?;
        self.headers = jws::headers(&self.keys);
        let restart = |known: &mut Revocations| ((), known.restart(moment.unix_s));
        self.revocations.update(&self.vault, restart)?;
        self.catch_up(moment)?;
        Ok(())
    }

    /// Returns the keys with which tokens are verified, as a JSON Web Key Set (RFC 7517), for those who verify elsewhere.
    pub fn jwks(&mut self, moment: Moment) -> Result<String, TokenError> {
        self.catch_up(moment)?;
        Ok(self.keys.jwks(self.guard.latest_s(moment)))
    }

    /// Returns what may be told of the keys, the one that signs first.
    pub fn keys(&self) -> impl Iterator<Item = &KeyInfo> {
        self.keys.published().map(|key| &key.info)
    }

    /// Takes in what other processes did.
    fn catch_up(&mut self, moment: Moment) -> Result<(), VaultError> {
        if self.keys.refresh(&self.vault)? {
            self.headers = jws::headers(&self.keys);
        }
        let known = self.revocations.current(&self.vault)?;
        if known.restarts() != self.restarts {
            self.guard = TimeGuard::new(moment, known.latest_s());
            self.restarts = known.restarts();
        }
        self.guard.raise(moment, known.latest_s());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
