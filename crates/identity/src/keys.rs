//! Signing keys: the one that signs, the one that will sign next, those that only still verify.
//!
//! ```text
//!             rotate              rotate                     verify_until
//!   NEXT ──────────────► CURRENT ─────────────► RETIRED ──────────────────► gone
//!   published, does      published, signs       published, its private
//!   not sign yet                                half is erased
//! ```
//!
//! Whoever caches the published keys has a whole rotation's time to fetch the next one before anything is signed with it.

mod file;

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use self::file::{FILE, FileKey, KeyFile};
use crate::base64url;
use crate::random::{self, RandomError};
use crate::vault::{Stamp, Vault, VaultError};

/// Bytes of a private key.
const SEED_BYTES: usize = 32;
/// Bytes of a public key.
const PUBLIC_BYTES: usize = 32;
/// Retired keys that are kept; a rotation more often than they run out drops the oldest.
const RETIRED_MAX: usize = 16;

/// Names a key: the thumbprint of its public half (RFC 7638), so that it cannot name another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    fn of(public: &[u8]) -> Self {
        let text = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url::encode(public));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        Self(base64url::encode(digest.as_ref()))
    }

    /// Returns the name: 43 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// What a key is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// Published, and will sign after the next rotation.
    Next,
    /// Signs.
    Current,
    /// Verifies what it has signed until that has run out.
    Retired,
}

/// What may be told about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Its name.
    pub kid: KeyId,
    /// What it is used for.
    pub state: KeyState,
    /// When it was made, in seconds since 1970.
    pub created_s: u64,
    /// Until when it verifies, in seconds since 1970; `None` as long as it is not retired.
    pub verify_until_s: Option<u64>,
}

/// A key with which something can be verified.
#[derive(Debug, Clone)]
pub(crate) struct VerifyingKey {
    pub(crate) info: KeyInfo,
    public: [u8; PUBLIC_BYTES],
}

impl VerifyingKey {
    /// Returns whether a signature over a message is this key's.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature).is_ok()
    }
}

/// A key that can sign.
struct SigningKey {
    verifying: VerifyingKey,
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; SEED_BYTES]>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SigningKey").field(&self.verifying.info.kid).finish()
    }
}

impl SigningKey {
    fn generate(now_s: u64, state: KeyState) -> Result<Self, RandomError> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        random::fill(&mut *seed)?;
        Ok(Self::of(seed, now_s, state).expect("any 32 bytes are a private key"))
    }

    fn of(seed: Zeroizing<[u8; SEED_BYTES]>, created_s: u64, state: KeyState) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).ok()?;
        let public: [u8; PUBLIC_BYTES] = pair.public_key().as_ref().try_into().ok()?;
        let info = KeyInfo { kid: KeyId::of(&public), state, created_s, verify_until_s: None };
        Some(Self { verifying: VerifyingKey { info, public }, pair, seed })
    }

    fn retired(&self, verify_until_s: u64) -> VerifyingKey {
        let mut key = self.verifying.clone();
        key.info.state = KeyState::Retired;
        key.info.verify_until_s = Some(verify_until_s);
        key
    }
}

/// All keys of a server.
#[derive(Debug)]
pub(crate) struct KeyRing {
    stamp: Stamp,
    current: SigningKey,
    next: SigningKey,
    retired: Vec<VerifyingKey>,
}

/// Says why keys are not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl KeyRing {
    /// Reads the keys, making them when there are none.
    pub(crate) fn open(vault: &Vault, now_s: u64) -> Result<Self, KeyError> {
        let lock = vault.lock()?;
        if let Some(ring) = Self::read(vault)? {
            return Ok(ring);
        }
        let current = SigningKey::generate(now_s, KeyState::Current)?;
        let next = SigningKey::generate(now_s, KeyState::Next)?;
        let stamp = vault.write(&lock, FILE, &bytes_of(&current, &next, &[]))?;
        Ok(Self { stamp, current, next, retired: Vec::new() })
    }

    fn read(vault: &Vault) -> Result<Option<Self>, VaultError> {
        let Some((bytes, stamp)) = vault.read(FILE)? else { return Ok(None) };
        let malformed = |what: String| VaultError::Malformed { path: vault.path_of(FILE), what };
        let keys = KeyFile::parse(&bytes).map_err(malformed)?;
        let (mut current, mut next, mut retired) = (None, None, Vec::new());
        for key in keys {
            let place = match key {
                FileKey::Verifying(key) => {
                    retired.push(key);
                    continue;
                }
                FileKey::Signing(key) if key.verifying.info.state == KeyState::Current => {
                    current.replace(key)
                }
                FileKey::Signing(key) => next.replace(key),
            };
            if place.is_some() {
                return Err(malformed("two keys have the same place".to_owned()));
            }
        }
        let (Some(current), Some(next)) = (current, next) else {
            return Err(malformed("the key that signs, or the next, is missing".to_owned()));
        };
        Ok(Some(Self { stamp, current, next, retired }))
    }

    /// Reads the keys again if another process has changed them; returns whether it has.
    pub(crate) fn refresh(&mut self, vault: &Vault) -> Result<bool, VaultError> {
        if vault.stamp(FILE)?.is_none_or(|stamp| stamp == self.stamp) {
            // Keys that were removed from disk go on in memory until the server ends.
            return Ok(false);
        }
        let lock = vault.lock()?;
        if let Some(ring) = Self::read(vault)? {
            *self = ring;
        }
        drop(lock);
        Ok(true)
    }

    /// Makes the next key sign. What the present one has signed is good until `verify_until_s`, or, with `None`, no more.
    pub(crate) fn rotate(
        &mut self,
        vault: &Vault,
        now_s: u64,
        verify_until_s: Option<u64>,
    ) -> Result<(), KeyError> {
        let lock = vault.lock()?;
        if let Some(ring) = Self::read(vault)? {
            *self = ring;
        }
        let mut retired = Vec::new();
        if let Some(until_s) = verify_until_s {
            retired.push(self.current.retired(until_s));
            let is_good =
                |key: &&VerifyingKey| key.info.verify_until_s.is_some_and(|until_s| until_s > now_s);
            retired.extend(self.retired.iter().filter(is_good).cloned());
            retired.truncate(RETIRED_MAX);
        }
        // The next key is only trusted after a leak if it was not on disk at the time of the leak.
        let seed = self.next.seed.clone();
        let (created_s, is_kept) = (self.next.verifying.info.created_s, verify_until_s.is_some());
        let current = match SigningKey::of(seed, created_s, KeyState::Current).filter(|_| is_kept) {
            Some(current) => current,
            None => SigningKey::generate(now_s, KeyState::Current)?,
        };
        let next = SigningKey::generate(now_s, KeyState::Next)?;
        let stamp = vault.write(&lock, FILE, &bytes_of(&current, &next, &retired))?;
        *self = Self { stamp, current, next, retired };
        Ok(())
    }

    /// Signs with the key that signs.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.current.pair.sign(message).as_ref().to_vec()
    }

    /// Returns every key that is published: the one that signs first.
    pub(crate) fn published(&self) -> impl Iterator<Item = &VerifyingKey> {
        [&self.current.verifying, &self.next.verifying].into_iter().chain(&self.retired)
    }

    /// Returns the published keys as a JSON Web Key Set (RFC 7517).
    pub(crate) fn jwks(&self, now_s: u64) -> String {
        let is_good = |key: &&VerifyingKey| key.info.verify_until_s.is_none_or(|until_s| until_s > now_s);
        let key = |key: &VerifyingKey| {
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
                "kid": key.info.kid, "x": base64url::encode(&key.public),
            })
        };
        let keys: Vec<serde_json::Value> = self.published().filter(is_good).map(key).collect();
        serde_json::json!({ "keys": keys }).to_string()
    }
}

fn bytes_of(current: &SigningKey, next: &SigningKey, retired: &[VerifyingKey]) -> Zeroizing<Vec<u8>> {
    KeyFile::write(&[current, next], retired)
}
