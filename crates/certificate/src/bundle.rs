//! Keys with their chains and trusted certificates, whatever file they came from.

mod pem;
mod pkcs12;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    Secret,
    info::{self, CertificateInfo},
};

/// The trust store of a whole operating system has about 250 KiB.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The form of a file of keys and certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text between `BEGIN` and `END` lines.
    Pem,
    /// One bare certificate.
    Der,
    /// A PKCS12 store.
    Pkcs12,
}

/// A private key with its certificate and what leads from there to an authority.
///
/// Invariant: the chain has at least one certificate, and the first one is for the key.
#[derive(Debug)]
pub struct KeyEntry {
    /// Its name in a store.
    pub alias: String,
    /// The key, in PKCS8 form.
    pub key: PrivatePkcs8KeyDer<'static>,
    /// The key's certificate, then each one's issuer as far as they are there.
    pub chain: Vec<CertificateDer<'static>>,
}

impl Clone for KeyEntry {
    fn clone(&self) -> Self {
        Self { alias: self.alias.clone(), key: self.key.clone_key(), chain: self.chain.clone() }
    }
}

impl Drop for KeyEntry {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl KeyEntry {
    /// The key's own certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.chain.first().expect("the chain of a key entry begins with its certificate")
    }
}

/// A certificate that is there to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedEntry {
    /// Its name in a store.
    pub alias: String,
    /// The certificate.
    pub certificate: CertificateDer<'static>,
}

/// One entry of a store.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A key and its chain.
    Key(KeyEntry),
    /// A trusted certificate.
    Trusted(TrustedEntry),
}

/// What a file of keys and certificates holds, in its order; aliases are unique without regard to case.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    entries: Vec<Entry>,
}

/// Why a file of keys and certificates could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file could not be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is larger than any store.
    #[error("read {}, which is larger than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The store is protected and no password was given.
    #[error("open {} without a password; it needs one", path.display())]
    PasswordMissing {
        /// The file.
        path: PathBuf,
    },
    /// The password does not open the store.
    #[error("open {} with the password given; it is wrong, or the file was changed after it was made", path.display())]
    Password {
        /// The file.
        path: PathBuf,
    },
    /// The content is cut short or makes no sense.
    #[error("read {}, which is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The content is of a kind that is not read here.
    #[error("read {}: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is and how to go on.
        what: String,
    },
    /// There is no certificate in the file.
    #[error("find a certificate in {}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A key has no certificate beside it.
    #[error("find the certificate of the key '{alias}' in {}", path.display())]
    KeyAlone {
        /// The file.
        path: PathBuf,
        /// The key's alias.
        alias: String,
    },
    /// No entry, or no key, has the alias.
    #[error("find a key with the alias '{alias}' in {}; it has {}", path.display(), list(there))]
    NoAlias {
        /// The file.
        path: PathBuf,
        /// The alias looked for.
        alias: String,
        /// The aliases of the keys in it.
        there: Vec<String>,
    },
    /// Several keys are there and none was chosen.
    #[error("choose a key of {} without an alias; it has {}", path.display(), list(there))]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// The aliases of the keys in it.
        there: Vec<String>,
    },
    /// The store could not be put together.
    #[error("write a PKCS12 store: {what}")]
    Write {
        /// What is wrong.
        what: String,
    },
}

fn list(aliases: &[String]) -> String {
    if aliases.is_empty() { "no key".to_owned() } else { aliases.join(", ") }
}

impl Bundle {
    /// Reads a file in PEM, DER or PKCS12 form.
    ///
    /// Limits: 8 MiB; work factors of PKCS12 key derivation up to a million rounds.
    pub fn read(path: &Path, password: Option<&Secret>) -> Result<Self, BundleError> {
        Self::parse(&read_limited(path)?, path, password)
    }

    /// Reads several PEM files as one, a key file and a certificate file for instance.
    pub fn read_pem_files(paths: &[&Path]) -> Result<Self, BundleError> {
        let mut text = Zeroizing::new(Vec::new());
        for path in paths {
            text.extend_from_slice(&read_limited(path)?);
            text.push(b'\n');
        }
        pem::parse(&text, paths.first().copied().unwrap_or(Path::new("")))
    }

    /// Reads what is in `bytes`; `path` only names it in errors.
    pub fn parse(bytes: &[u8], path: &Path, password: Option<&Secret>) -> Result<Self, BundleError> {
        match format_of(bytes, path)? {
            Format::Pem => pem::parse(bytes, path),
            Format::Der => {
                let certificate = CertificateDer::from(bytes.to_vec());
                let mut bundle = Self::default();
                bundle.add_trusted(&display_name(&certificate), certificate);
                Ok(bundle)
            }
            Format::Pkcs12 => pkcs12::parse(bytes, path, password),
        }
    }

    /// The entries in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The keys with their chains.
    pub fn keys(&self) -> impl Iterator<Item = &KeyEntry> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Key(key) => Some(key),
            Entry::Trusted(_) => None,
        })
    }

    /// The trusted certificates.
    pub fn trusted(&self) -> impl Iterator<Item = &TrustedEntry> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Trusted(trusted) => Some(trusted),
            Entry::Key(_) => None,
        })
    }

    /// The key with this alias, or the only one when no alias is given; `path` names the store in errors.
    pub fn key(&self, alias: Option<&str>, path: &Path) -> Result<&KeyEntry, BundleError> {
        let there = || self.keys().map(|key| key.alias.clone()).collect::<Vec<_>>();
        let path = path.to_owned();
        match alias {
            // Java compares aliases without regard to case.
            Some(alias) => self
                .keys()
                .find(|key| key.alias.eq_ignore_ascii_case(alias))
                .ok_or_else(|| BundleError::NoAlias { path, alias: alias.to_owned(), there: there() }),
            None => {
                let mut keys = self.keys();
                match (keys.next(), keys.next()) {
                    (Some(key), None) => Ok(key),
                    (None, _) => Err(BundleError::NoAlias { path, alias: "*".to_owned(), there: there() }),
                    _ => Err(BundleError::Ambiguous { path, there: there() }),
                }
            }
        }
    }

    /// Adds a key; another alias is made when this one is taken.
    pub fn add_key(&mut self, mut entry: KeyEntry) {
        entry.alias = self.free_alias(&entry.alias);
        self.entries.push(Entry::Key(entry));
    }

    /// Adds a trusted certificate unless it is there already; another alias is made when this one is taken.
    pub fn add_trusted(&mut self, alias: &str, certificate: CertificateDer<'static>) {
        if self.trusted().any(|entry| entry.certificate == certificate) {
            return;
        }
        let alias = self.free_alias(alias);
        self.entries.push(Entry::Trusted(TrustedEntry { alias, certificate }));
    }

    /// Every certificate, those of chains included, without duplicates.
    pub fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let mut all: Vec<CertificateDer<'static>> = Vec::new();
        for entry in &self.entries {
            let certificates = match entry {
                Entry::Key(key) => key.chain.as_slice(),
                Entry::Trusted(trusted) => std::slice::from_ref(&trusted.certificate),
            };
            for certificate in certificates {
                if !all.contains(certificate) {
                    all.push(certificate.clone());
                }
            }
        }
        all
    }

    /// Writes a PKCS12 store (AES-256, HMAC-SHA-256) which Java and OpenSSL read.
    ///
    /// Shape: keys with their chains, and trusted certificates with the attribute by which Java knows them.
    pub fn to_pkcs12(&self, password: &Secret) -> Result<Zeroizing<Vec<u8>>, BundleError> {
        pkcs12::write(self, password)
    }

    /// The certificates of trusted entries as PEM text.
    pub fn trusted_pem(&self) -> String {
        self.trusted().map(|entry| certificate_pem(&entry.certificate)).collect()
    }

    /// What the certificates say.
    pub fn describe(&self, now: Timestamp) -> Vec<CertificateInfo> {
        self.entries.iter().flat_map(|entry| describe(entry, now)).collect()
    }

    fn free_alias(&self, wanted: &str) -> String {
        let is_taken = |alias: &str| {
            self.entries.iter().any(|entry| match entry {
                Entry::Key(key) => key.alias.eq_ignore_ascii_case(alias),
                Entry::Trusted(trusted) => trusted.alias.eq_ignore_ascii_case(alias),
            })
        };
        let wanted = if wanted.is_empty() { "unnamed" } else { wanted };
        if !is_taken(wanted) {
            return wanted.to_owned();
        }
        (2..)
            .map(|number| format!("{wanted}-{number}"))
            .find(|alias| !is_taken(alias))
            .expect("numbers do not end")
    }
}

impl KeyEntry {
    /// The key as PEM text.
    pub fn key_pem(&self) -> Zeroizing<String> {
        pem::write_key(&self.key)
    }

    /// The certificate and what a server sends with it as PEM text: the chain without its root.
    pub fn chain_pem(&self) -> String {
        let is_sent = |position: usize, certificate: &CertificateDer<'_>| {
            position == 0 || info::parse(certificate).is_none_or(|parsed| parsed.subject() != parsed.issuer())
        };
        let sent =
            self.chain.iter().enumerate().filter(|(position, certificate)| is_sent(*position, certificate));
        sent.map(|(_, certificate)| certificate_pem(certificate)).collect()
    }
}

/// A certificate as PEM text.
pub(crate) fn certificate_pem(certificate: &CertificateDer<'_>) -> String {
    pem::write_certificate(certificate)
}

/// Shows what is in a file of keys and certificates, never the keys.
pub fn show(
    path: &Path,
    password: Option<&Secret>,
    now: Timestamp,
) -> Result<Vec<CertificateInfo>, BundleError> {
    Ok(Bundle::read(path, password)?.describe(now))
}

fn describe(entry: &Entry, now: Timestamp) -> Vec<CertificateInfo> {
    match entry {
        Entry::Trusted(trusted) => CertificateInfo::of_der(&trusted.certificate, now)
            .map(|info| CertificateInfo { alias: Some(trusted.alias.clone()), is_trusted: true, ..info })
            .into_iter()
            .collect(),
        Entry::Key(key) => {
            let described = key.chain.iter().zip(0_u32..).filter_map(|(certificate, chain_position)| {
                let info = CertificateInfo::of_der(certificate, now)?;
                let (alias, has_private_key) = (Some(key.alias.clone()), chain_position == 0);
                Some(CertificateInfo { alias, has_private_key, chain_position, ..info })
            });
            described.collect()
        }
    }
}

/// A name for a certificate that came without alias: its common name or else its whole subject.
pub(crate) fn display_name(certificate: &CertificateDer<'_>) -> String {
    let Some(parsed) = info::parse(certificate) else { return "certificate".to_owned() };
    let common = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    common.map_or_else(|| parsed.subject().to_string(), str::to_owned)
}

pub(crate) fn read_limited(path: &Path) -> Result<Zeroizing<Vec<u8>>, BundleError> {
    let failed = |source| BundleError::Read { path: path.to_owned(), source };
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(BundleError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

fn format_of(bytes: &[u8], path: &Path) -> Result<Format, BundleError> {
    let unsupported =
        |what: &str| Err(BundleError::Unsupported { path: path.to_owned(), what: what.to_owned() });
    if bytes.is_empty() {
        return Err(BundleError::Damaged { path: path.to_owned(), what: "it is empty".to_owned() });
    }
    if bytes.starts_with(&[0xFE, 0xED, 0xFE, 0xED]) || bytes.starts_with(&[0xCE, 0xCE, 0xCE, 0xCE]) {
        return unsupported(
            "it is a JKS or JCEKS store; turn it into PKCS12 with `keytool -importkeystore -deststoretype PKCS12`",
        );
    }
    if bytes.windows(11).any(|window| window == b"-----BEGIN ") {
        return Ok(Format::Pem);
    }
    // `-----BEGIN ` in code page 1047, the form in which certificates leave a mainframe by binary transfer.
    if bytes.starts_with(&[0x60, 0x60, 0x60, 0x60, 0x60, 0xC2, 0xC5, 0xC7, 0xC9, 0xD5]) {
        return unsupported("it is PEM text in EBCDIC; transfer it in text mode");
    }
    if bytes[0] != 0x30 {
        return unsupported("it is neither PEM nor DER nor PKCS12");
    }
    Ok(if info::parse(bytes).is_some() { Format::Der } else { Format::Pkcs12 })
}
