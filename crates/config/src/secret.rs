//! Secrets: never shown, and read from where they are kept only when a component starts.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use zeroize::{Zeroize as _, Zeroizing};

/// What is shown in place of a secret.
pub const REDACTED: &str = "(secret)";

const SECRET_BYTES_MAX: u64 = 64 << 10;

/// A secret text. It is overwritten when dropped, and shows as `(secret)` wherever it is written.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a text secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Hands out the text; the caller must not show or store it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In the configuration itself.
    Literal(Secret),
    /// `file:/path`: a file; one line break at its end does not count.
    File(PathBuf),
    /// `env:NAME`: the environment of this program.
    Environment(String),
    /// `credential:NAME`: a file in the directory that `CREDENTIALS_DIRECTORY` names (systemd).
    Credential(String),
}

/// Says why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Its file cannot be read.
    #[error("read the secret in `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its file is too large or no text.
    #[error("use the secret in `{}`: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The variable is not there.
    #[error("read the secret in environment variable {name}: it is not set, or no text")]
    Variable {
        /// The variable.
        name: String,
    },
    /// There are no credentials.
    #[error(
        "read credential {name}: CREDENTIALS_DIRECTORY is not set; use LoadCredential= in the systemd unit"
    )]
    NoCredentials {
        /// The credential.
        name: String,
    },
    /// The name leaves the directory of credentials.
    #[error("read credential `{name}`: the name of a credential has no `/`")]
    CredentialName {
        /// The credential.
        name: String,
    },
}

impl SecretSource {
    /// Reads a scalar that the schema marks as secret.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if let Some(path) = text.strip_prefix("file:") {
            Self::File(PathBuf::from(path))
        } else if let Some(name) = text.strip_prefix("env:") {
            Self::Environment(name.to_owned())
        } else if let Some(name) = text.strip_prefix("credential:") {
            Self::Credential(name.to_owned())
        } else {
            Self::Literal(Secret::new(text))
        }
    }

    /// Says whether the secret itself stands in the configuration.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    /// Fetches the secret.
    ///
    /// Errors: [`SecretError`], which names the place and never what is in it.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Literal(secret) => Ok(secret.clone()),
            Self::File(path) => read(path),
            Self::Environment(name) => {
                std::env::var(name).map(Secret::new).map_err(|_| SecretError::Variable { name: name.clone() })
            }
            Self::Credential(name) => {
                if name.contains('/') || name.is_empty() || name == ".." || name == "." {
                    return Err(SecretError::CredentialName { name: name.clone() });
                }
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| SecretError::NoCredentials { name: name.clone() })?;
                read(&Path::new(&directory).join(name))
            }
        }
    }
}

impl fmt::Display for SecretSource {
    /// Writes where the secret is kept; a literal shows as `(secret)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(secret) => write!(f, "{secret}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

fn read(path: &Path) -> Result<Secret, SecretError> {
    use std::io::Read as _;
    let failed = |source| SecretError::Read { path: path.to_owned(), source };
    let wrong = |reason| SecretError::Content { path: path.to_owned(), reason };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::with_capacity(256);
    file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        bytes.zeroize();
        return Err(wrong("it has more than 65536 bytes"));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        wrong("it is not UTF-8 text")
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.contains('\0') {
        text.zeroize();
        return Err(wrong("it holds a NUL, which no environment can carry"));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_written_anywhere_stays_hidden() {
        let secret = Secret::new("hunter2");
        let source = SecretSource::parse("hunter2");
        let shown =
            format!("{secret} {secret:?} {source} {source:?} {}", serde_json::to_string(&secret).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn secret_in_file_loses_one_line_break_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        std::fs::write(&path, "a b$c\n\n").unwrap();
        let source = SecretSource::parse(&format!("file:{}", path.display()));
        assert_eq!(source.resolve().unwrap().expose(), "a b$c\n");
    }

    #[test]
    fn secret_not_there_names_the_place() {
        let error = SecretSource::parse("file:/nonexistent/secret").resolve().unwrap_err();
        assert!(error.to_string().contains("/nonexistent/secret"));
        let error = SecretSource::parse("env:TENDER_NO_SUCH_VARIABLE").resolve().unwrap_err();
        assert!(error.to_string().contains("TENDER_NO_SUCH_VARIABLE"));
        assert!(SecretSource::parse("credential:../x").resolve().is_err());
    }
}
