//! Passwords, kept out of logs and wiped from memory.

use std::fmt;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// Letters and digits alone survive shells, YAML, environment files and properties files unquoted.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// 32 characters out of 62 carry 190 bits.
const GENERATED_CHARACTERS: usize = 32;
/// Passwords that stand in the documentation of the format; whoever can read it knows them.
const PUBLISHED: &[&str] = &["password", "local_ca_password", "changeit", "changeme"];

/// A password: redacted in `Debug`, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a password as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Makes a random password of 32 letters and digits, which carry 190 bits.
    ///
    /// Nothing in it needs quoting anywhere.
    pub fn generate() -> Self {
        let random = SystemRandom::new();
        let mut text = String::with_capacity(GENERATED_CHARACTERS);
        let mut bytes = Zeroizing::new([0_u8; 64]);
        // Bytes past the last multiple of the alphabet's length would favour its first letters.
        let usable = 256 / ALPHABET.len() * ALPHABET.len();
        while text.len() < GENERATED_CHARACTERS {
            random.fill(bytes.as_mut_slice()).expect("the system has a source of random bytes");
            let letters = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < usable);
            let missing = GENERATED_CHARACTERS - text.len();
            text.extend(letters.take(missing).map(|byte| char::from(ALPHABET[byte % ALPHABET.len()])));
        }
        Self(Zeroizing::new(text))
    }

    /// Returns the password itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Tells whether the password is one that stands in public documentation.
    pub fn is_published(&self) -> bool {
        PUBLISHED.contains(&self.expose())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_secret_needs_no_quoting_and_differs_each_time() {
        let secret = Secret::generate();
        assert_eq!(secret.expose().len(), GENERATED_CHARACTERS);
        assert!(secret.expose().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(secret, Secret::generate());
    }

    #[test]
    fn secret_in_debug_output_is_redacted() {
        let shown = format!("{:?}", Some(Secret::new("hunter2")));
        assert_eq!(shown, "Some(Secret(redacted))");
    }

    #[test]
    fn password_of_the_documentation_is_recognised() {
        assert!(Secret::new("local_ca_password").is_published());
        assert!(!Secret::generate().is_published());
    }
}
