//! The signed repository of a release: how packages are published and how they are verified.
//!
//! It is an ordinary TUF repository (The Update Framework) with consistent snapshots, so any TUF client can read
//! it; protection against rollback, mix-and-match, freezing and lost keys is TUF's and not ours.
//!
//! ```text
//! repo/metadata/  1.root.json …  <n>.targets.json  <n>.snapshot.json  timestamp.json
//! repo/targets/   720/levels/<sha256>.VM010102_BLD1.1.json   720/servlinks/<sha256>.….servlink
//! ```
//!
//! The name of a target's file holds the digest of its bytes, so a file that is there in full is right whenever its
//! digest is, and a broken transfer can go on where it stopped. `timestamp.json` is written last: one rename makes
//! a publication visible.

mod keys;
mod publish;
mod verify;

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tender_content::Digest;

use crate::manifest::Mode;

pub use keys::{KeyDir, OnlineRole};
pub use publish::{NewTarget, Published, Repository, Source};
pub use verify::Verified;

/// The version of the TUF specification the metadata is written for.
const SPEC_VERSION: &str = "1.0.0";
/// The key below which our facts stand in the custom metadata of a target.
const CUSTOM_KEY: &str = "tender";

/// How long signatures of each role hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    /// Seconds a root is good for.
    pub root_s: i64,
    /// Seconds a list of targets is good for.
    pub targets_s: i64,
    /// Seconds a snapshot is good for.
    pub snapshot_s: i64,
    /// Seconds a timestamp is good for; a principal that is silent for longer can no longer be told from an
    /// attacker who holds back news.
    pub timestamp_s: i64,
}

impl Default for Expiry {
    /// Ten years, one year, 90 days, 30 days: fleets without a network visit their principal rarely.
    fn default() -> Self {
        const DAY_S: i64 = 86_400;
        Self { root_s: 3650 * DAY_S, targets_s: 365 * DAY_S, snapshot_s: 90 * DAY_S, timestamp_s: 30 * DAY_S }
    }
}

/// Adds seconds to `now` and drops fractions, which TUF metadata must not have.
fn expires(now: Timestamp, seconds: i64) -> Timestamp {
    let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
    whole.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(whole)
}

/// What the signed metadata says of a level's manifest besides its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetCustom {
    /// Whether the level may go into production.
    pub state: Mode,
    /// Identity of the level's content.
    pub content: Digest,
    /// The package generation.
    pub generation: u32,
}

/// A file of the repository that a receiver needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoFile {
    /// Path below the repository, such as `metadata/timestamp.json`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub kind: FileKind,
}

/// What a file of the repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// Small and signed; always send it whole, equal size does not mean equal bytes.
    Metadata,
    /// Named by its digest; a part of it that has arrived may be kept.
    Target,
}

/// Says why a repository could not be written or must not be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// The file system failed.
    #[error("reading or writing `{}`", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A needed file is not there.
    #[error("`{}` is missing; send the package again", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// A file is not what its kind must look like.
    #[error("`{file}` cannot be read as what it should be")]
    Malformed {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Signatures are too old.
    #[error("{role} metadata of `{}` expired; the principal must refresh the repository and send again", repository.display())]
    Expired {
        /// The role.
        role: String,
        /// The repository.
        repository: PathBuf,
    },
    /// The metadata is older than what was accepted before.
    #[error("{role} metadata is version {found}, but version {known} was accepted before: a rollback")]
    Rollback {
        /// The role.
        role: String,
        /// What was offered.
        found: u64,
        /// What is known.
        known: u64,
    },
    /// A role is not signed by its key.
    #[error("{role} metadata has no valid signature")]
    BadSignature {
        /// The role.
        role: String,
        /// Why.
        #[source]
        source: Box<tough::schema::Error>,
    },
    /// The metadata comes from another principal.
    #[error(
        "{role} metadata is signed by a key that the trusted root does not know: another principal made it"
    )]
    WrongRoot {
        /// The role.
        role: String,
    },
    /// Bytes differ from what is signed.
    #[error("`{name}` is not what was signed: {reason}")]
    Tampered {
        /// The target or metadata file.
        name: String,
        /// What differs.
        reason: String,
    },
    /// The clock of this machine went back.
    #[error("this machine's clock says {now}, but it was {known} before; set the clock right")]
    ClockWentBack {
        /// What it says.
        now: Timestamp,
        /// What it said.
        known: Timestamp,
    },
    /// The repository has no such target.
    #[error("the repository has no target `{name}`")]
    UnknownTarget {
        /// Which.
        name: String,
    },
    /// A name is not usable as the name of a target.
    #[error("`{name}` cannot name a target: relative, with plain names between `/`")]
    TargetName {
        /// Which.
        name: String,
    },
    /// A level's manifest contradicts what is signed about it.
    #[error("manifest `{name}` contradicts the signed metadata: {reason}")]
    Contradiction {
        /// The target.
        name: String,
        /// In what.
        reason: String,
    },
    /// A manifest is of a newer format.
    #[error("`{name}` has format {found}, this Tender reads up to {known}; bring Tender up to date first")]
    Format {
        /// The target.
        name: String,
        /// Its format.
        found: u32,
        /// The newest format that is known.
        known: u32,
    },
    /// A key cannot be used.
    #[error("signing key `{}` cannot be used", path.display())]
    Key {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: aws_lc_rs::error::KeyRejected,
    },
    /// The system gave no randomness.
    #[error("no randomness for a new key `{}`", path.display())]
    Randomness {
        /// The key's file.
        path: PathBuf,
    },
    /// What is to be made exists.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// Any other breach of the TUF rules.
    #[error("the repository breaks the rules of TUF")]
    Rules {
        /// Which.
        #[source]
        source: Box<tough::error::Error>,
    },
}

impl RepositoryError {
    fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            std::io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Io { path, source },
        }
    }

    /// Tells whether trust is in doubt, rather than the disk or the clock.
    #[must_use]
    pub fn is_integrity(&self) -> bool {
        matches!(
            self,
            Self::Rollback { .. }
                | Self::BadSignature { .. }
                | Self::WrongRoot { .. }
                | Self::Tampered { .. }
                | Self::Contradiction { .. }
                | Self::Malformed { .. }
                | Self::Rules { .. }
        )
    }
}

/// Returns where a target lies below `repo/`: the digest stands before the last name, as in every TUF repository
/// with consistent snapshots.
fn target_path(name: &str, sha256: &[u8]) -> String {
    let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    match name.rsplit_once('/') {
        Some((directory, base)) => format!("targets/{directory}/{hex}.{base}"),
        None => format!("targets/{hex}.{name}"),
    }
}

/// Writes `bytes` below a temporary name, then renames: a crash leaves the old file or the new one.
fn write_atomically(path: &std::path::Path, bytes: &[u8]) -> Result<(), RepositoryError> {
    use std::io::Write as _;
    let parent = path.parent().unwrap_or(path);
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(RepositoryError::io(parent))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(RepositoryError::io(path))?;
    file.persist(path).map_err(|error| RepositoryError::Io { path: path.to_owned(), source: error.error })?;
    sync_directory(parent)
}

fn sync_directory(path: &std::path::Path) -> Result<(), RepositoryError> {
    std::fs::File::open(path).and_then(|dir| dir.sync_all()).map_err(RepositoryError::io(path))
}
