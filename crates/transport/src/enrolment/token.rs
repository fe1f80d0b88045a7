//! The join token: one word that a person carries from the principal to a new system.

use std::fmt;

use aws_lc_rs::{constant_time, digest, hmac, rand};
use jiff::Timestamp;

use super::EnrolmentError;
use crate::certificate::{hex, unhex};

const PREFIX: &str = "tender-join-1-";
const SECRET_BYTES: usize = 32;
const FINGERPRINT_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;
const TIME_BYTES: usize = 8;
const SYSTEM_BYTES_MAX: usize = 64;

/// Why a text is not a join token, or one could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin as one.
    #[error("a join token begins with '{PREFIX}'; this text does not")]
    Prefix,
    /// Letters were lost or changed.
    #[error("the join token is incomplete or mistyped; copy the whole word again")]
    Damaged,
    /// The name of the system, the authority's fingerprint or the time cannot be in a token.
    #[error("{what} cannot be put into a join token")]
    Field {
        /// Which.
        what: &'static str,
    },
    /// The machine gives no random numbers.
    #[error("get random bytes for a join token")]
    Random,
}

/// What a proof is about; a proof for one purpose is worthless for every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The signing request of the managed system.
    Request,
    /// What the principal hands over.
    Bundle,
}

impl Purpose {
    fn label(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Bundle => "bundle",
        }
    }
}

/// A proof in hexadecimal, as it is written to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof(String);

impl Proof {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The right to enrol one system once, until it expires.
///
/// `Debug` shows everything but the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    system: String,
    secret: [u8; SECRET_BYTES],
    ca_fingerprint: String,
    expires: Timestamp,
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("system", &self.system)
            .field("ca_fingerprint", &self.ca_fingerprint)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl JoinToken {
    /// Makes a token for `system` with a fresh secret; `expires` is kept to the second.
    pub fn create(system: &str, ca_fingerprint: &str, expires: Timestamp) -> Result<Self, TokenError> {
        let mut secret = [0; SECRET_BYTES];
        rand::fill(&mut secret).map_err(|_| TokenError::Random)?;
        let expires = Timestamp::from_second(expires.as_second())
            .map_err(|_| TokenError::Field { what: "the time at which it expires" })?;
        let fingerprint = unhex(ca_fingerprint).filter(|bytes| bytes.len() == FINGERPRINT_BYTES);
        let fingerprint = fingerprint.ok_or(TokenError::Field { what: "the authority's fingerprint" })?;
        if !is_system_name(system) {
            return Err(TokenError::Field { what: "the name of the system" });
        }
        Ok(Self { system: system.to_owned(), secret, ca_fingerprint: hex(&fingerprint), expires })
    }

    /// The token as one printable word.
    pub fn encode(&self) -> String {
        let mut bytes = self.expires.as_second().to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.secret);
        bytes.extend(
            unhex(&self.ca_fingerprint).expect("a token holds a fingerprint it was made or decoded from"),
        );
        bytes.extend_from_slice(self.system.as_bytes());
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        format!("{PREFIX}{}", hex(&bytes))
    }

    /// Reads a token back; white space around it is ignored.
    pub fn decode(word: &str) -> Result<Self, TokenError> {
        let digits = word.trim().strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
        let bytes = unhex(digits).ok_or(TokenError::Damaged)?;
        let (bytes, found) = bytes
            .len()
            .checked_sub(CHECKSUM_BYTES)
            .and_then(|at| bytes.split_at_checked(at))
            .ok_or(TokenError::Damaged)?;
        if found != checksum(bytes) {
            return Err(TokenError::Damaged);
        }
        let (time, rest) = bytes.split_first_chunk::<TIME_BYTES>().ok_or(TokenError::Damaged)?;
        let (secret, rest) = rest.split_first_chunk::<SECRET_BYTES>().ok_or(TokenError::Damaged)?;
        let (fingerprint, system) =
            rest.split_first_chunk::<FINGERPRINT_BYTES>().ok_or(TokenError::Damaged)?;
        let system = std::str::from_utf8(system).map_err(|_| TokenError::Damaged)?;
        let expires = Timestamp::from_second(i64::from_be_bytes(*time)).map_err(|_| TokenError::Damaged)?;
        if !is_system_name(system) {
            return Err(TokenError::Damaged);
        }
        Ok(Self { system: system.to_owned(), secret: *secret, ca_fingerprint: hex(fingerprint), expires })
    }

    /// The system it was made for.
    pub fn system(&self) -> &str {
        &self.system
    }

    /// SHA-256 of the certificate of the only authority to accept, in hexadecimal.
    pub fn ca_fingerprint(&self) -> &str {
        &self.ca_fingerprint
    }

    /// When it stops being good.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The password with which CSMWORK logs in to read the request and write the bundle.
    ///
    /// Whoever learns it by posing as the system can do no more than read a public request and write files
    /// that prove nothing.
    pub fn login_password(&self) -> String {
        hex(self.keyed("login", &[]).as_ref())
    }

    /// Proves that whoever holds this token means exactly `parts`.
    pub fn prove(&self, purpose: Purpose, parts: &[&[u8]]) -> Proof {
        Proof(hex(self.keyed(purpose.label(), parts).as_ref()))
    }

    /// Whether `proof` was made with this token for `purpose` and exactly `parts`; takes the same time for
    /// any wrong one.
    pub fn is_proved(&self, purpose: Purpose, parts: &[&[u8]], proof: &str) -> bool {
        let expected = self.keyed(purpose.label(), parts);
        unhex(proof.trim())
            .is_some_and(|found| constant_time::verify_slices_are_equal(expected.as_ref(), &found).is_ok())
    }

    pub(super) fn check_time(&self, now: Timestamp) -> Result<(), EnrolmentError> {
        if now < self.expires {
            return Ok(());
        }
        Err(EnrolmentError::Expired { system: self.system.clone(), expires: self.expires })
    }

    /// HMAC under a key of its own per label; every part goes in with its length so that none can grow into
    /// the next.
    fn keyed(&self, label: &str, parts: &[&[u8]]) -> hmac::Tag {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        let derived = hmac::sign(&root, format!("tender enrolment 1 {label} {}", self.system).as_bytes());
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()));
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        context.sign()
    }
}

fn is_system_name(name: &str) -> bool {
    (1..=SYSTEM_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = digest::digest(&digest::SHA256, bytes);
    *digest.as_ref().first_chunk().expect("SHA-256 has more than four bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(system: &str) -> JoinToken {
        JoinToken::create(system, &"ab".repeat(32), Timestamp::from_second(1_800_000_000).unwrap()).unwrap()
    }

    #[test]
    fn token_encoded_and_decoded_is_the_same() {
        let made = token("vm01.example-com_1");
        let word = made.encode();
        assert!(word.bytes().all(|byte| byte.is_ascii_graphic()), "one printable word: {word}");
        assert_eq!(JoinToken::decode(&format!("  {word}\n")), Ok(made));
    }

    #[test]
    fn token_in_debug_output_hides_its_secret() {
        let made = token("vm01");
        let shown = format!("{made:?}");
        assert!(!shown.contains(&hex(&made.secret)) && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn token_of_other_text_is_refused_by_its_prefix() {
        assert_eq!(JoinToken::decode("hello"), Err(TokenError::Prefix));
        assert_eq!(JoinToken::decode("tender-join-1-"), Err(TokenError::Damaged));
        assert_eq!(JoinToken::decode("tender-join-1-é"), Err(TokenError::Damaged));
    }

    #[test]
    fn token_for_impossible_fields_is_refused() {
        let time = Timestamp::from_second(1).unwrap();
        for system in ["", "two words", "a/b", &"x".repeat(65)] {
            assert!(matches!(
                JoinToken::create(system, &"ab".repeat(32), time),
                Err(TokenError::Field { .. })
            ));
        }
        assert!(matches!(JoinToken::create("vm01", "abcd", time), Err(TokenError::Field { .. })));
    }

    #[test]
    fn proof_for_another_purpose_part_or_token_is_refused() {
        let made = token("vm01");
        let proof = made.prove(Purpose::Request, &[b"ab", b"c"]);
        let fits =
            |token: &JoinToken, purpose, parts: &[&[u8]]| token.is_proved(purpose, parts, proof.as_str());
        assert!(fits(&made, Purpose::Request, &[b"ab", b"c"]));
        assert!(!fits(&made, Purpose::Bundle, &[b"ab", b"c"]));
        assert!(!fits(&made, Purpose::Request, &[b"a", b"bc"]));
        assert!(!fits(&made, Purpose::Request, &[b"abc"]));
        assert!(!fits(&token("vm01"), Purpose::Request, &[b"ab", b"c"]));
        assert!(!made.is_proved(Purpose::Request, &[b"ab", b"c"], "not a proof"));
    }

    #[test]
    fn login_password_differs_from_the_secret_and_every_proof() {
        let made = token("vm01");
        assert_ne!(made.login_password(), hex(&made.secret));
        assert_ne!(made.login_password(), made.prove(Purpose::Request, &[]).as_str());
        assert_eq!(made.login_password(), JoinToken::decode(&made.encode()).unwrap().login_password());
    }

    proptest! {
        #[test]
        fn token_with_any_character_changed_is_refused(at in 0usize..200, letter in "[0-9a-f]") {
            let word = token("vm01").encode();
            let at = PREFIX.len() + at % (word.len() - PREFIX.len());
            let mut changed = word.clone();
            changed.replace_range(at..=at, &letter);
            prop_assume!(changed != word);
            prop_assert_eq!(JoinToken::decode(&changed), Err(TokenError::Damaged));
        }
    }
}
