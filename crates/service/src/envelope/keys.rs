//! Vendors' keys: Ed25519, kept as PKCS#8 (secret) and 64 hexadecimal digits (public).

use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use tender_content::durable::write_secret_atomically;

/// Says why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("key {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be written.
    #[error("key {} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is not a key.
    #[error("{} is not an Ed25519 key", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// It exists already.
    #[error("key {} exists already and is not overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

/// A vendor's secret key.
#[expect(missing_debug_implementations, reason = "it is secret")]
pub struct VendorKey(Ed25519KeyPair);

/// A vendor's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorPublicKey([u8; 32]);

impl VendorKey {
    /// Makes a key at `path`, which must not exist; the public half goes to `path` with `.pub` added.
    pub fn generate(path: &Path) -> Result<Self, KeyError> {
        let write = |path: &Path| {
            let path = path.to_owned();
            move |source: tender_content::durable::DurableError| KeyError::Write {
                path,
                source: Box::new(source),
            }
        };
        if path.exists() {
            return Err(KeyError::Exists { path: path.to_owned() });
        }
        let key = Ed25519KeyPair::generate().map_err(|_| KeyError::NotAKey { path: path.to_owned() })?;
        let secret = key.to_pkcs8().map_err(|_| KeyError::NotAKey { path: path.to_owned() })?;
        write_secret_atomically(path, secret.as_ref()).map_err(write(path))?;
        let key = Self(key);
        let public = public_path(path);
        let text = format!("{}\n", key.public().to_hex());
        tender_content::durable::write_atomically(&public, text.as_bytes()).map_err(write(&public))?;
        Ok(key)
    }

    /// Reads a key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let bytes = std::fs::read(path).map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
        Ed25519KeyPair::from_pkcs8(&bytes).map(Self).map_err(|_| KeyError::NotAKey { path: path.to_owned() })
    }

    /// Returns the public half.
    #[must_use]
    pub fn public(&self) -> VendorPublicKey {
        let bytes = self.0.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes");
        VendorPublicKey(bytes)
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.sign(bytes).as_ref().to_vec()
    }
}

impl VendorPublicKey {
    /// Reads the `.pub` file beside a key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
        let digest: tender_content::Digest =
            text.trim().parse().map_err(|_| KeyError::NotAKey { path: path.to_owned() })?;
        Ok(Self(*digest.as_bytes()))
    }

    /// Wraps the bytes kept in the tables.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Returns the bytes for the tables.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        tender_content::Digest::from_bytes(self.0).to_hex()
    }

    pub(super) fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(bytes, signature).is_ok()
    }
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}
