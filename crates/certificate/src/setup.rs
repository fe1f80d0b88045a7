//! Filling a key store directory: an own authority and a certificate signed by it, or a foreign one.
//!
//! [`observe()`] looks, [`plan()`] decides, [`execute()`] does. The plan is what a check shows.

mod execute;
mod observe;
mod plan;
mod request;

use std::path::PathBuf;

use jiff::Timestamp;

pub use crate::issue::IssueError;
use crate::{BundleError, DirectoryError, KeyError, PasswordError};

pub(crate) use self::{
    execute::{LeafDirectory, authority_directory, entry_of, trusted_own},
    observe::{BRIDGE_FILE, UsableAuthority},
    plan::{backup_of, runtime_certificate},
};
pub use self::{
    execute::{Outcome, execute},
    observe::{AuthorityState, Observed, observe},
    plan::{Plan, Step, plan},
    request::{ImportRequest, ImportSection, Pkcs12Section, SetupRequest, SetupSection},
};

/// Why a key store directory could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A key ring or another store that only z/OS has was asked for.
    #[error(
        "use certificates of type {kind}: key rings exist on z/OS only; on this system the type is PKCS12, which also writes PEM files"
    )]
    KeyRing {
        /// The type.
        kind: String,
    },
    /// A name cannot be a file name.
    #[error(
        "call the certificate '{name}' and its authority '{ca_alias}': names are letters, digits, '.', '_' and '-', and they must differ"
    )]
    Name {
        /// Name of the certificate.
        name: String,
        /// Alias of the authority.
        ca_alias: String,
    },
    /// Part of the subject cannot stand in a certificate.
    #[error("use dname.{part}: {reason}")]
    Subject {
        /// The part.
        part: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A validity is zero or too long.
    #[error("make a certificate that lasts {days} days: between 1 and {days_max} can be")]
    Validity {
        /// The days asked for.
        days: u32,
        /// The most that can be.
        days_max: u32,
    },
    /// There is something already.
    #[error("set up {}: it exists already; it is replaced when overwriting is allowed, and kept as a backup", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The authority that is there cannot be used.
    #[error("use the authority in {}: {why}; a new one can be asked for, which all who trust the old one must then learn", path.display())]
    Authority {
        /// Its directory.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The imported certificate leads to no authority that is known.
    #[error("import {}: its chain ends at '{issuer}', which is neither in the file nor among the certificate authorities to import", path.display())]
    NoRoot {
        /// The file.
        path: PathBuf,
        /// Who signed the last certificate of the chain.
        issuer: String,
    },
    /// The imported certificate is not valid.
    #[error("import {}: the certificate {why}", path.display())]
    NotValid {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A file of certificate authorities holds something that is none.
    #[error("import certificate authorities from {}: '{subject}' is not one", path.display())]
    NotAnAuthority {
        /// The file.
        path: PathBuf,
        /// The certificate's subject.
        subject: String,
    },
    /// The certificate was signed by someone else.
    #[error("renew {}: it was signed by '{issuer}', not by the authority in the key store directory; get a new one there and import it", path.display())]
    ForeignIssuer {
        /// The directory of the certificate.
        path: PathBuf,
        /// Who signed it.
        issuer: String,
    },
    /// There is nothing to renew.
    #[error("renew {}: there is no certificate", path.display())]
    Missing {
        /// The directory of the certificate.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A password could not be had.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A key could not be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A certificate could not be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The files could not be written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// `20261120T162012Z`, for names of backups.
pub(crate) fn stamp(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}
