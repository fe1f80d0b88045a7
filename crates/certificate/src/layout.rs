//! Where the files of a key store directory are and what they are called.

use std::path::{Path, PathBuf};

const NAME_CHARACTERS_MAX: usize = 64;

/// The names of the files below a key store directory.
///
/// Shape: `<directory>/<name>/` has all an instance needs, `<directory>/<ca alias>/` what signs; neither needs
/// the other to be read. The names are those that existing configurations refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    directory: PathBuf,
    name: String,
    ca_alias: String,
}

impl Layout {
    /// Names files below `directory`; `None` when a name cannot be a file name or both are one.
    pub fn new(directory: &Path, name: &str, ca_alias: &str) -> Option<Self> {
        let is_usable = is_file_name(name) && is_file_name(ca_alias) && !name.eq_ignore_ascii_case(ca_alias);
        is_usable.then(|| Self {
            directory: directory.to_owned(),
            name: name.to_owned(),
            ca_alias: ca_alias.to_owned(),
        })
    }

    /// The key store directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The alias of the certificate, also the first part of its files' names.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The alias of the authority.
    pub fn ca_alias(&self) -> &str {
        &self.ca_alias
    }

    /// The directory of the certificate.
    pub fn leaf_dir(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// The directory of the authority.
    pub fn ca_dir(&self) -> PathBuf {
        self.directory.join(&self.ca_alias)
    }

    /// A file of the certificate.
    pub fn leaf(&self, file: &str) -> PathBuf {
        self.leaf_dir().join(file)
    }

    /// A file of the authority.
    pub fn ca(&self, file: &str) -> PathBuf {
        self.ca_dir().join(file)
    }

    /// File name of the key store.
    pub fn keystore(&self) -> String {
        format!("{}.keystore.p12", self.name)
    }

    /// File name of the trust store.
    pub fn truststore(&self) -> String {
        format!("{}.truststore.p12", self.name)
    }

    /// File name of the password of key store and trust store.
    pub fn password(&self) -> String {
        format!("{}.keystore.password", self.name)
    }

    /// File name of the key in PEM form.
    pub fn key_pem(&self) -> String {
        format!("{}.key", self.name.to_lowercase())
    }

    /// File name of the certificate in PEM form.
    pub fn certificate_pem(&self) -> String {
        format!("{}.cer", self.name.to_lowercase())
    }

    /// File name of the authority's certificate in PEM form, in both directories.
    pub fn ca_pem(&self) -> String {
        format!("{}.cer", self.ca_alias.to_lowercase())
    }

    /// File name of the authority's key store.
    pub fn ca_keystore(&self) -> String {
        format!("{}.keystore.p12", self.ca_alias)
    }

    /// File name of the password of the authority's key store.
    pub fn ca_password(&self) -> String {
        format!("{}.keystore.password", self.ca_alias)
    }

    /// File name of a further trusted authority, from 1.
    pub fn further_authority(number: usize) -> String {
        format!("extca.{number}.cer")
    }
}

/// A name that is one harmless path component, and an alias that Java and OpenSSL take.
fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_CHARACTERS_MAX
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        // `<x>.backup-…` is what a directory is called that was replaced.
        && !name.contains(".backup-")
        && name != "extca"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        for name in ["", ".", "..", "a/b", "../x", "a b", "-x", "x.backup-1", "LOCAL_CA"] {
            assert_eq!(Layout::new(Path::new("/ks"), name, "local_ca"), None, "{name:?}");
        }
    }

    #[test]
    fn pem_files_are_lower_case_and_stores_keep_the_name() {
        let layout = Layout::new(Path::new("/ks"), "LocalHost", "Local_CA").unwrap();
        assert_eq!(layout.leaf(&layout.keystore()), Path::new("/ks/LocalHost/LocalHost.keystore.p12"));
        assert_eq!(layout.leaf(&layout.key_pem()), Path::new("/ks/LocalHost/localhost.key"));
        assert_eq!(layout.ca(&layout.ca_pem()), Path::new("/ks/Local_CA/local_ca.cer"));
    }
}
