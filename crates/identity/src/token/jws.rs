//! The compact form of a signed token (RFC 7515), as far as it is needed: one algorithm, one header for each key.

use serde::Deserialize;

use super::{Claims, TokenRefusal};
use crate::base64url;
use crate::keys::KeyRing;

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 64;

/// Returns the encoded header of each published key, in their order.
pub(super) fn headers(keys: &KeyRing) -> Vec<String> {
    let header =
        |kid: &str| base64url::encode(format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}"}}"#).as_bytes());
    keys.published().map(|key| header(key.info.kid.as_str())).collect()
}

/// Makes a token with the key that signs, whose header is given.
pub(super) fn sign(keys: &KeyRing, header: &str, claims: &Claims) -> String {
    let payload = serde_json::to_vec(claims).expect("plain fields always become JSON");
    let mut text = format!("{header}.{}", base64url::encode(&payload));
    let signature = keys.sign(text.as_bytes());
    text.push('.');
    text.push_str(&base64url::encode(&signature));
    text
}

/// A token taken apart; nothing in it is believed yet.
pub(super) struct Parts<'a> {
    /// The header, still encoded.
    pub(super) header: &'a str,
    /// What the signature is over.
    pub(super) signed: &'a str,
    /// The claims as bytes.
    pub(super) payload: Vec<u8>,
    /// The signature.
    pub(super) signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    pub(super) fn split(text: &'a str) -> Result<Self, TokenRefusal> {
        let malformed = |what| TokenRefusal::Malformed { what };
        let (signed, signature) = text.rsplit_once('.').ok_or_else(|| malformed("it has no parts"))?;
        let (header, payload) = signed.split_once('.').ok_or_else(|| malformed("it has two parts"))?;
        if payload.contains('.') {
            return Err(malformed("it has more than three parts"));
        }
        let signature = base64url::decode(signature).filter(|bytes| bytes.len() == SIGNATURE_BYTES);
        let signature = signature.ok_or_else(|| malformed("its signature is not 64 bytes in base64url"))?;
        let payload = base64url::decode(payload).ok_or_else(|| malformed("its claims are not base64url"))?;
        Ok(Self { header, signed, payload, signature })
    }
}

/// A header as others may write it; only looked at to say why it is refused.
#[derive(Deserialize)]
struct Header {
    alg: Option<String>,
    kid: Option<String>,
}

/// Returns why a header is refused that is not one of this server's.
pub(super) fn why_not(header: &str) -> TokenRefusal {
    let Some(bytes) = base64url::decode(header) else {
        return TokenRefusal::Header { what: "it is not base64url" };
    };
    let Ok(found) = serde_json::from_slice::<Header>(&bytes) else {
        return TokenRefusal::Header { what: "it is not an object with each name once" };
    };
    match (found.alg.as_deref(), found.kid) {
        (Some("EdDSA"), Some(kid)) if headers_have(&bytes, &kid) => {
            TokenRefusal::UnknownKey { kid: shown(&kid) }
        }
        (Some("EdDSA"), _) => TokenRefusal::Header { what: "it is written otherwise, or says more" },
        (Some(other), _) => TokenRefusal::Algorithm { found: shown(other) },
        (None, _) => TokenRefusal::Header { what: "it names no algorithm" },
    }
}

/// Returns whether a header is written as this server writes it, for whatever key.
fn headers_have(header: &[u8], kid: &str) -> bool {
    header == format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}"}}"#).as_bytes()
}

/// Returns the beginning of a text from outside, for a message.
fn shown(text: &str) -> String {
    text.chars().take(64).map(|found| if found.is_ascii_graphic() { found } else { '?' }).collect()
}
