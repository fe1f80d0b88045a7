//! What a line of the list says.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

const DIGEST_SCHEME: &str = "blake3:";
const SIGNER_SCHEME: &str = "ed25519:";

/// Says why a word is none of those of a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a module.
    #[error("`{0}` is no module: 1 to 8 of A-Z 0-9 $ # @, not beginning with a digit")]
    Name(String),
    /// Neither digest nor key.
    #[error("`{0}` is neither `blake3:` with 64 hexadecimal digits nor `ed25519:` with 64 of them")]
    Proof(String),
    /// Not a purpose.
    #[error("`{0}` is no purpose: server or plugin")]
    Purpose(String),
}

/// Names a module: 1 to 8 of `A-Z 0-9 $ # @`, not beginning with a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ModuleName(String);

impl ModuleName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModuleName {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        let is_letter = |byte: u8| byte.is_ascii_uppercase() || b"$#@".contains(&byte);
        let is_name = text.len() <= 8
            && text.bytes().next().is_some_and(is_letter)
            && text.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit());
        if is_name { Ok(Self(text.to_owned())) } else { Err(ProofError::Name(text.to_owned())) }
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// The BLAKE3 digest of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

/// The public key, Ed25519, of somebody who signs modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignerKey(pub [u8; 32]);

/// What makes a module an authorised one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Exactly this content.
    Digest(Digest),
    /// Any content that this key has signed: `<file>.sig` holds the 64 bytes of the signature.
    Signer(SignerKey),
}

/// What a module may be run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The server and its own processes.
    Server,
    /// A plug-in.
    Plugin,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthorisedModule {
    /// The module.
    pub name: ModuleName,
    /// Its digest, or who signed it.
    pub proof: Proof,
    /// What it may be run as.
    pub purpose: Purpose,
    /// The rest of the line; may be empty.
    pub comment: String,
}

fn hexadecimal(bytes: &[u8; 32], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
}

fn bytes_of(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (position, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * position..2 * position + 2], 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(DIGEST_SCHEME)?;
        hexadecimal(&self.0, formatter)
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(SIGNER_SCHEME)?;
        hexadecimal(&self.0, formatter)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(formatter),
            Self::Signer(key) => key.fmt(formatter),
        }
    }
}

impl FromStr for Proof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        let digest =
            || text.strip_prefix(DIGEST_SCHEME).and_then(bytes_of).map(|bytes| Self::Digest(Digest(bytes)));
        let signer = || {
            text.strip_prefix(SIGNER_SCHEME).and_then(bytes_of).map(|bytes| Self::Signer(SignerKey(bytes)))
        };
        digest().or_else(signer).ok_or_else(|| ProofError::Proof(text.to_owned()))
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Server => "server",
            Self::Plugin => "plugin",
        })
    }
}

impl FromStr for Purpose {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        match text {
            "server" => Ok(Self::Server),
            "plugin" => Ok(Self::Plugin),
            _ => Err(ProofError::Purpose(text.to_owned())),
        }
    }
}

macro_rules! serialised_as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

serialised_as_text!(Digest);
serialised_as_text!(SignerKey);
serialised_as_text!(Proof);
