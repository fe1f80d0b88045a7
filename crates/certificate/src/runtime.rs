//! The certificate an instance is configured with, `zowe.certificate`.

use std::{
    env, fmt, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    Secret,
    bundle::{BundleError, read_limited},
};

/// A password as it stands in a configuration: itself, or where it is.
///
/// `file:PATH` is the first line of a file, `env:NAME` a variable of the environment, `credential:NAME` a file in
/// the credentials directory of the service manager. Anything else is the password. It is written back as a
/// reference only: a literal password becomes `(secret)`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Password {
    /// The password itself.
    Literal(Secret),
    /// The first line of a file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// A file in the directory that `CREDENTIALS_DIRECTORY` names.
    Credential(String),
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        let rest = |prefix: &str| text.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        if let Some(path) = rest("file:") {
            Self::File(path.strip_prefix("//").unwrap_or(path).into())
        } else if let Some(name) = rest("env:") {
            Self::Environment(name.to_owned())
        } else if let Some(name) = rest("credential:") {
            Self::Credential(name.to_owned())
        } else {
            Self::Literal(Secret::new(text))
        }
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("(secret)"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why the password that a reference stands for could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The file could not be read.
    #[error("read the password that '{reference}' stands for")]
    File {
        /// The reference.
        reference: String,
        /// Why.
        #[source]
        source: Box<BundleError>,
    },
    /// The file is not text, or its first line is empty.
    #[error("read the password that '{reference}' stands for: the file has no text in its first line")]
    NoText {
        /// The reference.
        reference: String,
    },
    /// The variable is not set.
    #[error("read the password that '{reference}' stands for: the variable is not set")]
    NoVariable {
        /// The reference.
        reference: String,
    },
}

impl Password {
    /// Gets the password itself.
    pub fn resolve(&self) -> Result<Secret, PasswordError> {
        let reference = self.to_string();
        match self {
            Self::Literal(secret) => Ok(secret.clone()),
            Self::File(path) => read_password(path, reference),
            Self::Environment(name) => match env::var(name) {
                Ok(text) => Ok(Secret::new(text)),
                Err(_) => Err(PasswordError::NoVariable { reference }),
            },
            Self::Credential(name) => match env::var_os("CREDENTIALS_DIRECTORY") {
                Some(dir) => read_password(&Path::new(&dir).join(name), reference),
                None => Err(PasswordError::NoVariable { reference }),
            },
        }
    }
}

fn read_password(path: &Path, reference: String) -> Result<Secret, PasswordError> {
    let bytes = read_limited(path)
        .map_err(|source| PasswordError::File { reference: reference.clone(), source: Box::new(source) })?;
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match std::str::from_utf8(first).map(|line| line.trim_end_matches('\r')) {
        Ok(line) if !line.is_empty() => Ok(Secret::new(line)),
        _ => Err(PasswordError::NoText { reference }),
    }
}

impl PasswordError {
    /// Tells whether the cause is that a file may not be read or is missing.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            Self::File { source, .. } => match source.as_ref() {
                BundleError::Read { source, .. } => Some(source),
                _ => None,
            },
            _ => None,
        }
    }
}

/// One value or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One path, or several with commas between them.
    One(String),
    /// A list of paths.
    Many(Vec<PathBuf>),
}

impl OneOrMany {
    /// The paths.
    pub fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::One(text) => {
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(PathBuf::from).collect()
            }
            Self::Many(paths) => paths.clone(),
        }
    }
}

/// A key store or trust store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreFile {
    /// `PKCS12`; the key ring types of z/OS are not to be had on Linux.
    #[serde(rename = "type")]
    pub kind: String,
    /// The file.
    pub file: PathBuf,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// The key's alias, in a key store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// The same in PEM form, for programs that read no PKCS12.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PemFiles {
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The authorities to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authorities: Option<OneOrMany>,
}

/// The value of `zowe.certificate` and of `components.<c>.certificate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeCertificate {
    /// Where the key is.
    pub keystore: StoreFile,
    /// Where the trusted authorities are.
    pub truststore: StoreFile,
    /// The same in PEM form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pem: Option<PemFiles>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_references_are_told_from_passwords() {
        assert_eq!(Password::from("file:/a/b".to_owned()), Password::File("/a/b".into()));
        assert_eq!(Password::from("file:///a/b".to_owned()), Password::File("/a/b".into()));
        assert_eq!(Password::from("env:X".to_owned()), Password::Environment("X".to_owned()));
        assert_eq!(Password::from("file:".to_owned()), Password::Literal(Secret::new("file:")));
    }

    #[test]
    fn literal_password_is_not_written_back() {
        let text = serde_json::to_string(&Password::from("hunter2".to_owned())).unwrap();
        assert_eq!(text, "\"(secret)\"");
    }

    #[test]
    fn password_file_gives_its_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "s3cret\r\nrest").unwrap();
        assert_eq!(Password::File(path.clone()).resolve().unwrap().expose(), "s3cret");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(Password::File(path).resolve(), Err(PasswordError::NoText { .. })));
    }

    #[test]
    fn authorities_are_one_path_or_a_list() {
        let one: OneOrMany = serde_json::from_str("\"/a.cer, /b.cer\"").unwrap();
        let many: OneOrMany = serde_json::from_str("[\"/a.cer\", \"/b.cer\"]").unwrap();
        assert_eq!(one.paths(), many.paths());
    }
}
