//! Certificates that count no more before their time: a list signed by the authority.
//!
//! ```text
//! tender-revocations 1\n
//! number <from 1>\n
//! <SHA-256 of a certificate, hexadecimal>\n …
//! signature <ECDSA P-256 with SHA-256 over all lines before, hexadecimal>\n
//! ```
//!
//! A list is replaced only by one with a higher number, so that whoever holds a revoked certificate cannot bring an
//! older list back; without the authority's key nobody can make one.

use std::{collections::BTreeSet, fs, io, path::Path, path::PathBuf};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use crate::{certificate, durable};

const HEADER: &str = "tender-revocations 1";
const SIGNATURE: &str = "signature ";
/// The file of an identity that holds the newest list.
const FILE: &str = "revocations";
/// The longest list that is read.
pub const LIST_BYTES_MAX: u64 = 1 << 20;

/// The certificates that count no more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revocations {
    /// Which list this is; 0 is the empty one nobody has to sign.
    pub number: u64,
    /// SHA-256 of each certificate, in lowercase hexadecimal.
    pub certificates: BTreeSet<String>,
}

/// Why a list of revocations is not believed or could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The text is not a list.
    #[error("the list of revoked certificates is malformed: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// The authority did not sign it.
    #[error("the list of revoked certificates is not signed by the authority this end trusts")]
    NotSigned,
    /// There is a newer one here.
    #[error("list {found} of revoked certificates is older than list {known}, which is here")]
    Older {
        /// The number of the list on offer.
        found: u64,
        /// The number of the list here.
        known: u64,
    },
    /// A file could not be read or written.
    #[error("use the list of revoked certificates {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Revocations {
    /// Returns the text to be signed.
    pub(crate) fn body(&self) -> String {
        let lines: String = self.certificates.iter().map(|print| format!("{print}\n")).collect();
        format!("{HEADER}\nnumber {}\n{lines}", self.number)
    }

    /// Puts a signature behind the text.
    pub(crate) fn signed(&self, signature: &[u8]) -> String {
        format!("{}{SIGNATURE}{}\n", self.body(), certificate::hex(signature))
    }

    /// Reads a list that the authority with this certificate signed.
    pub fn verify(text: &str, ca_pem: &str) -> Result<Self, RevocationError> {
        let malformed = |what| RevocationError::Malformed { what };
        let at = text.rfind(SIGNATURE).ok_or_else(|| malformed("there is no signature"))?;
        let (body, signature) = text.split_at(at);
        let signature = signature[SIGNATURE.len()..].trim_end();
        let signature = certificate::unhex(signature).ok_or_else(|| malformed("its signature"))?;
        let ca = certificate::first_of_pem(ca_pem, "the authority's certificate")
            .map_err(|_| malformed("the authority's certificate cannot be read"))?;
        let key = certificate::public_point(&ca).ok_or(RevocationError::NotSigned)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
            .verify(body.as_bytes(), &signature)
            .map_err(|_| RevocationError::NotSigned)?;
        let mut lines = body.lines();
        if lines.next() != Some(HEADER) {
            return Err(malformed("its first line"));
        }
        let number = lines.next().and_then(|line| line.strip_prefix("number ")?.parse().ok());
        let number = number.ok_or_else(|| malformed("its number"))?;
        let is_print = |line: &str| line.len() == 64 && certificate::unhex(line).is_some();
        let certificates: BTreeSet<String> = lines.map(str::to_owned).collect();
        if !certificates.iter().all(|line| is_print(line)) {
            return Err(malformed("a line is not the digest of a certificate"));
        }
        Ok(Self { number, certificates })
    }

    /// Tells whether a certificate counts no more.
    pub fn revokes(&self, certificate: &[u8]) -> bool {
        self.certificates.contains(&certificate::fingerprint(certificate))
    }

    /// Reads the list of an identity; the empty one when there is none.
    ///
    /// What is on disk is checked again: a list that someone changed must not let a certificate back in unnoticed.
    pub fn of_identity(dir: &Path) -> Result<Self, RevocationError> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read.map_err(|source| RevocationError::File { path, source })?,
        };
        Self::verify(&text, &authority_of(dir)?)
    }
}

fn authority_of(dir: &Path) -> Result<String, RevocationError> {
    let path = dir.join("ca.pem");
    fs::read_to_string(&path).map_err(|source| RevocationError::File { path, source })
}

/// Takes a list into an identity, when the authority signed it and it is not older than the one there.
pub fn install(dir: &Path, text: &str) -> Result<Revocations, RevocationError> {
    let list = Revocations::verify(text, &authority_of(dir)?)?;
    let known = Revocations::of_identity(dir)?;
    if list.number < known.number || (list.number == known.number && list != known) {
        return Err(RevocationError::Older { found: list.number, known: known.number });
    }
    let path = dir.join(FILE);
    durable::write_private(&path, text.as_bytes())
        .map_err(|source| RevocationError::File { path, source })?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Authority;

    fn list(number: u64, digits: &[char]) -> Revocations {
        let certificates = digits.iter().map(|digit| digit.to_string().repeat(64)).collect();
        Revocations { number, certificates }
    }

    #[test]
    fn list_signed_by_the_authority_is_taken_and_an_older_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(&dir.path().join("ca"), "ours").unwrap();
        let other = Authority::create(&dir.path().join("other"), "other").unwrap();
        let identity = dir.path().join("identity");
        fs::create_dir(&identity).unwrap();
        fs::write(identity.join("ca.pem"), authority.ca_pem()).unwrap();
        let sign = |number, digits: &[char]| authority.sign_revocations(&list(number, digits)).unwrap();

        assert_eq!(Revocations::of_identity(&identity).unwrap(), Revocations::default());
        let second = sign(2, &['a', 'b']);
        assert_eq!(install(&identity, &second).unwrap(), list(2, &['a', 'b']));
        install(&identity, &second).expect("the same list again changes nothing");
        for (older, why) in
            [(sign(1, &['a']), "a lower number"), (sign(2, &['a']), "another with the number")]
        {
            let refused = install(&identity, &older);
            assert!(matches!(refused, Err(RevocationError::Older { .. })), "{why}: {refused:?}");
        }
        let strange = other.sign_revocations(&list(9, &[])).unwrap();
        assert!(matches!(install(&identity, &strange), Err(RevocationError::NotSigned)));
        let changed = sign(3, &['a']).replace("number 3", "number 4");
        assert!(matches!(install(&identity, &changed), Err(RevocationError::NotSigned)));
        assert!(matches!(install(&identity, "number 5\n"), Err(RevocationError::Malformed { .. })));
        assert_eq!(Revocations::of_identity(&identity).unwrap().number, 2);
    }

    #[test]
    fn list_changed_on_disk_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(&dir.path().join("ca"), "ours").unwrap();
        fs::write(dir.path().join("ca.pem"), authority.ca_pem()).unwrap();
        install(dir.path(), &authority.sign_revocations(&list(1, &['a'])).unwrap()).unwrap();
        let path = dir.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap().replace(&"a".repeat(64), &"c".repeat(64));
        fs::write(&path, text).unwrap();
        assert!(matches!(Revocations::of_identity(dir.path()), Err(RevocationError::NotSigned)));
    }
}
