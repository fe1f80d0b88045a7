//! Tokens: three parts, signed with the key of the gateway and no other way.
//!
//! What a token says of its own algorithm is compared with that of the key, never followed.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

/// For how long a token is good that a service gets in place of a personal one, in seconds.
const SERVICE_TOKEN_S: u64 = 600;
/// The longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    pub sub: String,
    /// The domain that knows the user.
    pub dom: String,
    /// When it was made, in seconds since 1970.
    pub iat: u64,
    /// When it ends, in seconds since 1970.
    pub exp: u64,
    /// Who made it: `APIML`, or `APIML_PAT` for a personal one.
    pub iss: String,
    /// Its own id.
    pub jti: String,
    /// The services that a personal one is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

impl Claims {
    /// Says whether it is a personal one: good for longer, and not for everything.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.iss == PERSONAL_ISSUER
    }

    /// Returns what a service is shown in place of a personal one: soon over.
    pub(super) fn for_service(&self, now_s: u64) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            iat: now_s,
            exp: self.exp.min(now_s + SERVICE_TOKEN_S),
            jti: new_id(),
            scopes: None,
            ..self.clone()
        }
    }

    /// Says whether it is good for a service.
    #[must_use]
    pub fn is_for(&self, service: &str) -> bool {
        let names = |scope: &String| scope.eq_ignore_ascii_case(service);
        !self.is_personal() || self.scopes.iter().flatten().any(names)
    }
}

/// Who makes tokens, as the reference calls itself.
pub(super) const ISSUER: &str = "APIML";
/// Who makes personal ones.
pub(super) const PERSONAL_ISSUER: &str = "APIML_PAT";

/// Why a token is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// It has no form of a token.
    Malformed,
    /// Somebody else signed it, or it was changed.
    Forged,
    /// It is over.
    Expired(Box<Claims>),
}

/// Says why tokens cannot be signed with a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is none of the kinds that tokens are signed with.
    #[error("the key is neither RSA of 2048 bits and more nor an elliptic curve P-256 or P-384")]
    Kind,
}

/// The key of a gateway, with the way in which tokens are signed.
pub struct SigningKey {
    key: Key,
    /// The public part, as the certificate has it.
    public_der: Vec<u8>,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
    P384(Box<EcdsaKeyPair>),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
}

impl SigningKey {
    /// Takes a private key, as PKCS8.
    pub fn of_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let public = |key: PublicKeyX509Der<'_>| key.as_ref().to_vec();
        if let Ok(key) = RsaKeyPair::from_pkcs8(der) {
            let public_der = public(key.public_key().as_der().map_err(|_| KeyError::Kind)?);
            return Ok(Self { key: Key::Rsa(Box::new(key)), public_der });
        }
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            let public_der = public(key.public_key().as_der().map_err(|_| KeyError::Kind)?);
            return Ok(Self { key: Key::P256(Box::new(key)), public_der });
        }
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der).map_err(|_| KeyError::Kind)?;
        let public_der = public(key.public_key().as_der().map_err(|_| KeyError::Kind)?);
        Ok(Self { key: Key::P384(Box::new(key)), public_der })
    }

    /// Makes a key that nobody else has: its tokens end with it.
    ///
    /// # Panics
    ///
    /// When the system gives no random numbers.
    #[must_use]
    pub fn generate() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .expect("the system gives random numbers");
        let public_der = key.public_key().as_der().expect("a public key has a form").as_ref().to_vec();
        Self { key: Key::P256(Box::new(key)), public_der }
    }

    /// Returns the name of the algorithm, such as `RS256`.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.key {
            Key::Rsa(_) => "RS256",
            Key::P256(_) => "ES256",
            Key::P384(_) => "ES384",
        }
    }

    /// Returns the public part, as certificates have it.
    pub(super) fn public_der(&self) -> &[u8] {
        &self.public_der
    }

    /// Returns the numbers that make up the public part: modulus and exponent, or the two coordinates.
    pub(super) fn public_numbers(&self) -> (Vec<u8>, Vec<u8>) {
        match &self.key {
            Key::Rsa(key) => {
                let public = key.public_key();
                let bytes = |number: &[u8]| number.to_vec();
                (
                    bytes(public.modulus().big_endian_without_leading_zero()),
                    bytes(public.exponent().big_endian_without_leading_zero()),
                )
            }
            Key::P256(key) | Key::P384(key) => {
                // One byte that says that both coordinates follow whole.
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                (x.to_vec(), y.to_vec())
            }
        }
    }

    /// Returns the name of the key: what others know it by.
    pub(super) fn id(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.public_der);
        BASE64.encode(&digest.as_ref()[..16])
    }

    /// Makes a token.
    pub(crate) fn sign(&self, claims: &Claims) -> String {
        let header =
            Header { alg: self.algorithm().to_owned(), typ: Some("JWT".to_owned()), kid: Some(self.id()) };
        let part = |text: Vec<u8>| BASE64.encode(text);
        let header = part(serde_json::to_vec(&header).expect("a header is text"));
        let claims = part(serde_json::to_vec(claims).expect("claims are text and numbers"));
        let signed = format!("{header}.{claims}");
        let signature = self.signature(signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature))
    }

    fn signature(&self, bytes: &[u8]) -> Vec<u8> {
        const REASON: &str = "a key that was accepted signs";
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature).expect(REASON);
                signature
            }
            Key::P256(key) | Key::P384(key) => key.sign(&random, bytes).expect(REASON).as_ref().to_vec(),
        }
    }

    /// Understands a token that this key signed.
    pub(crate) fn verify(&self, token: &str, now_s: u64) -> Result<Claims, TokenFault> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenFault::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        let bytes = |part: &str| BASE64.decode(part).map_err(|_| TokenFault::Malformed);
        let parsed: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| TokenFault::Malformed)?;
        if parsed.alg != self.algorithm() {
            return Err(TokenFault::Forged);
        }
        self.check(signed.as_bytes(), &bytes(signature)?).map_err(|()| TokenFault::Forged)?;
        let claims: Claims = serde_json::from_slice(&bytes(claims)?).map_err(|_| TokenFault::Malformed)?;
        if claims.iss != ISSUER && !claims.is_personal() {
            return Err(TokenFault::Forged);
        }
        if claims.exp <= now_s {
            return Err(TokenFault::Expired(Box::new(claims)));
        }
        Ok(claims)
    }

    fn check(&self, bytes: &[u8], signature: &[u8]) -> Result<(), ()> {
        let checked = match &self.key {
            Key::Rsa(key) => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref())
                .verify(bytes, signature),
            Key::P256(key) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref())
                .verify(bytes, signature),
            Key::P384(key) => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key.public_key().as_ref())
                .verify(bytes, signature),
        };
        checked.map_err(|_| ())
    }
}

/// Makes the id of a token: a random UUID.
pub(super) fn new_id() -> String {
    use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
    let mut bytes = [0_u8; 16];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random numbers");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn key(kind: &'static rcgen::SignatureAlgorithm) -> SigningKey {
        SigningKey::of_pkcs8(&rcgen::KeyPair::generate_for(kind).unwrap().serialize_der()).unwrap()
    }

    pub(crate) fn claims() -> Claims {
        Claims {
            sub: "user".to_owned(),
            dom: "security-domain".to_owned(),
            iat: 1000,
            exp: 2000,
            iss: ISSUER.to_owned(),
            jti: "id".to_owned(),
            scopes: None,
        }
    }

    #[test]
    fn token_of_every_kind_of_key_is_understood_until_it_ends() {
        for kind in [&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384]
        {
            let key = key(kind);
            let token = key.sign(&claims());
            assert_eq!(key.verify(&token, 1999), Ok(claims()));
            assert_eq!(key.verify(&token, 2000), Err(TokenFault::Expired(Box::new(claims()))));
        }
        assert!(SigningKey::of_pkcs8(b"no key").is_err());
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        assert!(SigningKey::of_pkcs8(&other.serialize_der()).is_err());
    }

    #[test]
    fn token_that_was_changed_or_signed_otherwise_is_forged() {
        let (ours, other) = (key(&rcgen::PKCS_ECDSA_P256_SHA256), key(&rcgen::PKCS_ECDSA_P256_SHA256));
        let token = ours.sign(&claims());
        assert_eq!(other.verify(&token, 0), Err(TokenFault::Forged));
        let parts: Vec<_> = token.split('.').collect();
        let admin =
            BASE64.encode(serde_json::to_vec(&Claims { sub: "admin".to_owned(), ..claims() }).unwrap());
        assert_eq!(ours.verify(&format!("{}.{admin}.{}", parts[0], parts[2]), 0), Err(TokenFault::Forged));
        for alg in ["none", "HS256", "RS256", "es256", ""] {
            let header = BASE64.encode(format!("{{\"alg\":\"{alg}\"}}"));
            for signature in ["", parts[2]] {
                let forged = format!("{header}.{}.{signature}", parts[1]);
                assert_eq!(ours.verify(&forged, 0), Err(TokenFault::Forged), "{alg}");
            }
        }
        // The public key is known to everybody: it is no secret to sign with.
        let header = BASE64.encode(r#"{"alg":"HS256"}"#);
        let signed = format!("{header}.{}", parts[1]);
        let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, ours.public_der());
        let tag = aws_lc_rs::hmac::sign(&secret, signed.as_bytes());
        let confused = format!("{signed}.{}", BASE64.encode(tag.as_ref()));
        assert_eq!(ours.verify(&confused, 0), Err(TokenFault::Forged));
        let foreign = ours.sign(&Claims { iss: "other".to_owned(), ..claims() });
        assert_eq!(ours.verify(&foreign, 0), Err(TokenFault::Forged));
    }

    #[test]
    fn personal_token_is_for_the_services_that_it_names() {
        let scopes = Some(vec!["files".to_owned()]);
        let personal = Claims { iss: PERSONAL_ISSUER.to_owned(), scopes, ..claims() };
        assert!(personal.is_for("FILES") && !personal.is_for("jobs"));
        assert!(claims().is_for("jobs"));
        assert!(!Claims { scopes: None, ..personal }.is_for("files"), "one without scopes is for nothing");
    }

    #[test]
    fn ids_are_random_and_of_the_form_of_a_uuid() {
        let (one, two) = (new_id(), new_id());
        assert!(one != two && one.len() == 36 && one.as_bytes()[14] == b'4', "{one}");
    }

    #[test]
    fn text_that_is_no_token_is_malformed() {
        let ours = key(&rcgen::PKCS_ECDSA_P256_SHA256);
        for text in ["", ".", "..", "a.b", "a.b.c", "e30.e30.", "e30=.e30=.e30=", &"x".repeat(20_000)] {
            assert_eq!(ours.verify(text, 0), Err(TokenFault::Malformed), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn token_with_any_character_changed_is_not_accepted(at in 0usize..300, to in "[A-Za-z0-9_.-]") {
            static KEY: std::sync::OnceLock<(SigningKey, String)> = std::sync::OnceLock::new();
            let (key, token) = KEY.get_or_init(|| {
                let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
                let token = key.sign(&claims());
                (key, token)
            });
            let at = at % token.len();
            let mut changed = token.clone();
            changed.replace_range(at..=at, &to);
            if changed != *token {
                // The last character of a part may hold bits that stand for nothing: those must be refused too.
                proptest::prop_assert!(key.verify(&changed, 0).is_err(), "{changed}");
            }
        }
    }
}
