//! How a new managed system and the principal come to trust each other.
//!
//! ```text
//! principal                                   managed system
//! JoinToken::create ──(typed by a person)──►  JoinToken::decode
//!                                             offer: csr.pem + csr.proof
//!                                             serves them with a certificate of its own making
//! enrol: logs in with the derived password
//!   reads the request, verifies its proof
//!   signs it, proves the bundle  ──────────►  ca.pem cert.pem, further files, bundle.proof
//!   SITE CSMENROL                ──────────►  accept: verifies the proof, installs the identity
//! ```
//!
//! The secret of the token never crosses the wire. Whoever sits in the middle can cut the conversation, but
//! neither put a key, an authority, a certificate or a further file of its own in place of the real one, nor
//! learn a private key. Either end must use a token once only; the callers keep that state, because they own
//! the durable record.

mod token;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

pub use self::token::{JoinToken, Proof, Purpose, TokenError};
use crate::{
    authority::{Authority, AuthorityError, CertificateUse},
    certificate,
    client::{Link, LinkError},
    durable,
    identity::{Identity, IdentityError},
};

/// The word with which the principal says that the bundle is complete.
pub const ENROL_WORD: &str = "CSMENROL";
/// The files a system offers to a principal that knows the token.
pub const OFFERED_FILES: [&str; 2] = [REQUEST_FILE, REQUEST_PROOF_FILE];

const REQUEST_FILE: &str = "csr.pem";
const REQUEST_PROOF_FILE: &str = "csr.proof";
const AUTHORITY_FILE: &str = "ca.pem";
const CERTIFICATE_FILE: &str = "cert.pem";
const BUNDLE_PROOF_FILE: &str = "bundle.proof";
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why an enrolment failed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// The token's time is over.
    #[error("the join token of {system} expired at {expires}")]
    Expired {
        /// The system it was made for.
        system: String,
        /// When.
        expires: Timestamp,
    },
    /// A proof does not fit: another token, or somebody in the middle.
    #[error("the {what} of {system} is not proved by the join token")]
    NotProved {
        /// The system being enrolled.
        system: String,
        /// What was to be proved.
        what: &'static str,
    },
    /// The authority in the bundle is not the one the token names.
    #[error("the authority offered to {system} is not the one its join token names")]
    OtherAuthority {
        /// The system being enrolled.
        system: String,
    },
    /// A file of the enrolment is missing or unreadable.
    #[error("use the enrolment file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the enrolment is not text where it must be.
    #[error("the enrolment file {name} is not text")]
    NotText {
        /// The file.
        name: String,
    },
    /// The name of a further file is not a plain one, or is taken.
    #[error("'{name}' cannot be the name of a further enrolment file")]
    Name {
        /// The name.
        name: String,
    },
    /// Talking to the system failed.
    #[error("talk to {system} about its enrolment")]
    Link {
        /// The system being enrolled.
        system: String,
        /// Why.
        #[source]
        source: LinkError,
    },
    /// Signing failed.
    #[error("sign the certificate of {system}")]
    Authority {
        /// The system being enrolled.
        system: String,
        /// Why.
        #[source]
        source: AuthorityError,
    },
    /// The system's key or certificate cannot be used.
    #[error("install the certificate of {system}")]
    Identity {
        /// The system being enrolled.
        system: String,
        /// Why.
        #[source]
        source: IdentityError,
    },
}

/// Files beside the certificates that enrolment hands over, by name: the root of trust for packages, for one.
pub type FurtherFiles = BTreeMap<String, Vec<u8>>;

/// Puts the signing request and its proof into `dir`, where the server for enrolment offers them.
///
/// Safe to run again: the request is made from the same key.
pub fn offer(dir: &Path, token: &JoinToken, identity: &Identity) -> Result<(), EnrolmentError> {
    let request = identity
        .csr_pem(token.system())
        .map_err(|source| EnrolmentError::Identity { system: token.system().to_owned(), source })?;
    let proof = token.prove(Purpose::Request, &[request.as_bytes()]);
    durable::make_private_dir(dir).map_err(|source| file_error(dir, source))?;
    for (file, text) in [(REQUEST_FILE, request.as_str()), (REQUEST_PROOF_FILE, proof.as_str())] {
        let path = dir.join(file);
        durable::write_private(&path, text.as_bytes()).map_err(|source| file_error(&path, source))?;
    }
    Ok(())
}

/// Names of all files that the principal may write during enrolment, `further` ones included.
pub fn accepted_files<'a>(further: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    [AUTHORITY_FILE, CERTIFICATE_FILE, BUNDLE_PROOF_FILE]
        .into_iter()
        .chain(further)
        .map(str::to_owned)
        .collect()
}

/// Verifies and installs what the principal has put into `dir`; the last step, on the managed system.
///
/// Nothing is installed unless everything is proved: the request it answers, the authority the token names,
/// the certificate and every one of the `further` files. Gives those back for the caller to put in their
/// places.
pub fn accept(
    dir: &Path,
    token: &JoinToken,
    identity: &Identity,
    further: &[&str],
    now: Timestamp,
) -> Result<FurtherFiles, EnrolmentError> {
    token.check_time(now)?;
    let request = read(dir, REQUEST_FILE)?;
    let ca = read(dir, AUTHORITY_FILE)?;
    let certificate = read(dir, CERTIFICATE_FILE)?;
    let files = further
        .iter()
        .map(|&name| Ok((plain_name(name)?.to_owned(), read(dir, name)?)))
        .collect::<Result<FurtherFiles, EnrolmentError>>()?;
    let proof = text(BUNDLE_PROOF_FILE, read(dir, BUNDLE_PROOF_FILE)?)?;
    if !token.is_proved(Purpose::Bundle, &bundle_parts(&request, &ca, &certificate, &files), &proof) {
        return Err(EnrolmentError::NotProved {
            system: token.system().to_owned(),
            what: "certificate bundle",
        });
    }
    let ca = text(AUTHORITY_FILE, ca)?;
    check_authority(token, &ca)?;
    identity
        .install(&text(CERTIFICATE_FILE, certificate)?, &ca)
        .map_err(|source| EnrolmentError::Identity { system: token.system().to_owned(), source })?;
    Ok(files)
}

/// Carries out the principal's side over `link`, which is logged in with the token's password.
///
/// `addresses` are the host names and IP addresses under which the system is reached. Gives the certificate
/// that was signed. Running it again after a failure is safe; the system installs the last bundle it
/// accepted.
pub fn enrol(
    link: &mut dyn Link,
    token: &JoinToken,
    authority: &Authority,
    addresses: &[String],
    further: &FurtherFiles,
    now: Timestamp,
) -> Result<String, EnrolmentError> {
    let system = token.system();
    token.check_time(now)?;
    let failed = |source| EnrolmentError::Link { system: system.to_owned(), source };
    let request = link.retrieve(REQUEST_FILE, FILE_BYTES_MAX).map_err(failed)?;
    let proof = text(REQUEST_PROOF_FILE, link.retrieve(REQUEST_PROOF_FILE, FILE_BYTES_MAX).map_err(failed)?)?;
    if !token.is_proved(Purpose::Request, &[&request], &proof) {
        return Err(EnrolmentError::NotProved { system: system.to_owned(), what: "certificate request" });
    }
    check_authority(token, authority.ca_pem())?;
    let usage = CertificateUse::System { name: system.to_owned(), addresses: addresses.to_vec() };
    let certificate = authority
        .issue(&text(REQUEST_FILE, request.clone())?, &usage)
        .map_err(|source| EnrolmentError::Authority { system: system.to_owned(), source })?;
    let ca = authority.ca_pem().as_bytes();
    let proof = token.prove(Purpose::Bundle, &bundle_parts(&request, ca, certificate.as_bytes(), further));
    for name in further.keys() {
        plain_name(name)?;
    }
    let files = [(AUTHORITY_FILE, ca), (CERTIFICATE_FILE, certificate.as_bytes())];
    let further = further.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    for (name, bytes) in
        files.into_iter().chain(further).chain([(BUNDLE_PROOF_FILE, proof.as_str().as_bytes())])
    {
        link.store(name, &mut io::Cursor::new(bytes), 0, &mut |_| {}).map_err(failed)?;
    }
    link.site(ENROL_WORD, "").map_err(failed)?;
    Ok(certificate)
}

/// Everything the bundle's proof covers, in an order both ends derive from the names.
fn bundle_parts<'a>(
    request: &'a [u8],
    ca: &'a [u8],
    certificate: &'a [u8],
    further: &'a FurtherFiles,
) -> Vec<&'a [u8]> {
    let named = further.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes.as_slice()]);
    [request, ca, certificate].into_iter().chain(named).collect()
}

fn check_authority(token: &JoinToken, ca_pem: &str) -> Result<(), EnrolmentError> {
    let refused = || EnrolmentError::OtherAuthority { system: token.system().to_owned() };
    let der = certificate::first_of_pem(ca_pem, "the authority's certificate").map_err(|_| refused())?;
    if certificate::fingerprint(&der) == token.ca_fingerprint() { Ok(()) } else { Err(refused()) }
}

fn plain_name(name: &str) -> Result<&str, EnrolmentError> {
    let taken = [REQUEST_FILE, REQUEST_PROOF_FILE, AUTHORITY_FILE, CERTIFICATE_FILE, BUNDLE_PROOF_FILE];
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    if plain && !name.starts_with('.') && !name.is_empty() && !taken.contains(&name) {
        Ok(name)
    } else {
        Err(EnrolmentError::Name { name: name.to_owned() })
    }
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>, EnrolmentError> {
    let path = dir.join(name);
    fs::read(&path).map_err(|source| file_error(&path, source))
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String, EnrolmentError> {
    String::from_utf8(bytes).map_err(|_| EnrolmentError::NotText { name: name.to_owned() })
}

fn file_error(path: &Path, source: io::Error) -> EnrolmentError {
    EnrolmentError::File { path: path.to_owned(), source }
}
