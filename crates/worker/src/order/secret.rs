//! Text that is wiped from memory when it is no longer needed, and never printed.

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::bytes::{from_hex, to_hex};

/// The longest secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 1024;

/// A password. `Debug` shows none of it, not even its length.
///
/// In an order it stands in hexadecimal digits: text without escapes is read in place by the JSON reader, which would
/// otherwise keep a copy in a buffer of its own that nobody wipes.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the text over; at most [`SECRET_BYTES_MAX`] bytes and no zero byte.
    pub fn new(text: Zeroizing<Vec<u8>>) -> Result<Self, SecretError> {
        if text.len() > SECRET_BYTES_MAX {
            return Err(SecretError::Long);
        }
        if text.contains(&0) {
            return Err(SecretError::Zero);
        }
        Ok(Self(text))
    }

    /// The text, for who checks it.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// Says why a text cannot be a secret. It does not say the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Too long.
    #[error("a secret has at most {SECRET_BYTES_MAX} bytes")]
    Long,
    /// A zero byte ends a text for PAM.
    #[error("a secret has no zero byte")]
    Zero,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&Zeroizing::new(to_hex(&self.0)))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = Secret;

            fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                to.write_str("a secret in hexadecimal digits")
            }

            fn visit_str<E: serde::de::Error>(self, digits: &str) -> Result<Secret, E> {
                // The text of an error must not repeat what was sent.
                let bytes = from_hex(digits).ok_or_else(|| E::custom("a secret is hexadecimal digits"))?;
                Secret::new(Zeroizing::new(bytes)).map_err(E::custom)
            }
        }
        from.deserialize_str(Digits).map_err(|_any| D::Error::custom("the secret is malformed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_printed_shows_nothing() {
        let secret = Secret::new(Zeroizing::new(b"open sesame".to_vec())).unwrap();
        let shown = format!("{secret:?}");
        assert!(!shown.contains("sesame") && !shown.contains("11"), "{shown}");
    }

    #[test]
    fn secret_malformed_error_does_not_repeat_it() {
        for text in [r#""open sesame""#, r#""00""#, "42", r#"{"a":"open sesame"}"#] {
            let error = serde_json::from_str::<Secret>(text).unwrap_err().to_string();
            assert!(!error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn secret_through_json_is_the_same() {
        let secret = Secret::new(Zeroizing::new("pässword\"\\".as_bytes().to_vec())).unwrap();
        let text = serde_json::to_string(&secret).unwrap();
        assert_eq!(serde_json::from_str::<Secret>(&text).unwrap().expose(), secret.expose());
    }
}
