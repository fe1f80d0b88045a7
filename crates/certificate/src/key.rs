//! Private keys: making them, reading foreign ones, and telling whether a certificate belongs to one.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    encoding::AsDer,
    rsa::KeyPair as RsaKeyPair,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
        EcdsaKeyPair, Ed25519KeyPair,
    },
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

/// The kind and size of a key that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KeyType {
    /// Elliptic curve P-256.
    #[default]
    #[serde(rename = "EC-P256")]
    EcP256,
    /// Elliptic curve P-384.
    #[serde(rename = "EC-P384")]
    EcP384,
    /// Edwards curve 25519; Java reads it from version 15 on.
    #[serde(rename = "Ed25519")]
    Ed25519,
    /// RSA with 2048 bits, for partners that know nothing else.
    #[serde(rename = "RSA-2048")]
    Rsa2048,
    /// RSA with 3072 bits.
    #[serde(rename = "RSA-3072")]
    Rsa3072,
}

impl KeyType {
    /// Every kind, the default first.
    pub const ALL: [Self; 5] = [Self::EcP256, Self::EcP384, Self::Ed25519, Self::Rsa2048, Self::Rsa3072];

    /// The name by which users choose it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EcP256 => "EC-P256",
            Self::EcP384 => "EC-P384",
            Self::Ed25519 => "Ed25519",
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
        }
    }

    /// Tells whether the key can also encrypt, which only RSA does.
    pub(crate) fn can_encipher(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072)
    }

    /// Makes a new key.
    pub(crate) fn generate(self) -> Result<PrivatePkcs8KeyDer<'static>, KeyError> {
        let failed = |_| KeyError::Generate { key_type: self };
        let pkcs8 = match self {
            Self::EcP256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
                .and_then(|key| key.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec()),
            Self::EcP384 => EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING)
                .and_then(|key| key.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec()),
            // Version 1 of PKCS8: neither Java 17 nor OpenSSL 3.0 reads the public key of version 2.
            Self::Ed25519 => Ed25519KeyPair::generate()
                .and_then(|key| key.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec()),
            Self::Rsa2048 => RsaKeyPair::generate(KeySize::Rsa2048).and_then(|key| rsa_pkcs8(&key)),
            Self::Rsa3072 => RsaKeyPair::generate(KeySize::Rsa3072).and_then(|key| rsa_pkcs8(&key)),
        };
        pkcs8.map(PrivatePkcs8KeyDer::from).map_err(failed)
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for KeyType {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let plain = |text: &str| text.replace(['-', '_', ' '], "").to_ascii_uppercase();
        let wanted = plain(text);
        Self::ALL
            .into_iter()
            .find(|key_type| {
                plain(key_type.name()) == wanted || plain(key_type.name()) == format!("EC{wanted}")
            })
            .ok_or_else(|| KeyError::UnknownType { text: text.to_owned() })
    }
}

/// Why a key could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text names no key type.
    #[error("'{text}' is no key type; there are EC-P256, EC-P384, Ed25519, RSA-2048 and RSA-3072")]
    UnknownType {
        /// What was written.
        text: String,
    },
    /// The key could not be made.
    #[error("make a key of type {key_type}")]
    Generate {
        /// Its type.
        key_type: KeyType,
    },
    /// The bytes are no private key of a known kind and sufficient size.
    #[error(
        "the private key is damaged, too small or of an unknown kind; known are RSA from 2048 bits, EC P-256, P-384 and P-521, and Ed25519"
    )]
    Unusable,
}

/// The key in PKCS8 form, whatever form it came in, after a check that it can be used.
pub(crate) fn to_pkcs8(key: &PrivateKeyDer<'_>) -> Result<PrivatePkcs8KeyDer<'static>, KeyError> {
    let pkcs8 = match key {
        PrivateKeyDer::Pkcs8(pkcs8) => pkcs8.clone_key(),
        PrivateKeyDer::Pkcs1(pkcs1) => {
            let key = RsaKeyPair::from_der(pkcs1.secret_pkcs1_der()).map_err(|_| KeyError::Unusable)?;
            rsa_pkcs8(&key).map_err(|_| KeyError::Unusable)?.into()
        }
        PrivateKeyDer::Sec1(sec1) => {
            let algorithms = [
                &ECDSA_P256_SHA256_ASN1_SIGNING,
                &ECDSA_P384_SHA384_ASN1_SIGNING,
                &ECDSA_P521_SHA512_ASN1_SIGNING,
            ];
            let document = algorithms
                .into_iter()
                .find_map(|algorithm| {
                    EcdsaKeyPair::from_private_key_der(algorithm, sec1.secret_sec1_der())
                        .ok()?
                        .to_pkcs8v1()
                        .ok()
                })
                .ok_or(KeyError::Unusable)?;
            document.as_ref().to_vec().into()
        }
        _ => return Err(KeyError::Unusable),
    };
    public_key_of(&pkcs8).ok_or(KeyError::Unusable)?;
    Ok(pkcs8)
}

/// The subject public key info that belongs to the private key.
pub(crate) fn public_key_of(key: &PrivatePkcs8KeyDer<'_>) -> Option<Vec<u8>> {
    let signing = any_supported_type(&PrivateKeyDer::Pkcs8(key.clone_key())).ok()?;
    Some(signing.public_key()?.as_ref().to_vec())
}

fn rsa_pkcs8(key: &RsaKeyPair) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
    Ok(key.as_der()?.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_type_in_any_spelling_is_found() {
        for (text, expected) in [
            ("ec-p256", KeyType::EcP256),
            ("P-384", KeyType::EcP384),
            ("ED25519", KeyType::Ed25519),
            ("rsa_2048", KeyType::Rsa2048),
            ("RSA-3072", KeyType::Rsa3072),
        ] {
            assert_eq!(text.parse::<KeyType>().unwrap(), expected, "{text}");
        }
        assert!("RSA-1024".parse::<KeyType>().unwrap_err().to_string().contains("RSA-3072"));
    }

    #[test]
    fn generated_keys_of_every_type_are_usable() {
        for key_type in KeyType::ALL {
            let key = key_type.generate().unwrap();
            assert!(public_key_of(&key).is_some(), "{key_type}");
        }
    }

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        let key = PrivateKeyDer::Pkcs8(vec![0x30, 0x03, 2, 1, 0].into());
        assert!(matches!(to_pkcs8(&key), Err(KeyError::Unusable)));
    }
}
