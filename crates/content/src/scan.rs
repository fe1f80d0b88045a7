//! Drift: how a directory differs from the tree it was made from.
//!
//! The directory is walked once and compared with the tree by kind, size, mode (write bits aside, as a materialised
//! tree has none) and link target; then the bytes of what is left are hashed on all cores, except where the cache
//! remembers the digest of exactly this inode in exactly this state.

mod cache;
mod expected;
mod walk;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::progress::Progress;
use crate::tree::Tree;
use crate::workers::{cores, try_map};

pub use cache::ScanCache;
use cache::StatKey;
use walk::{Bytes, Walked, walk};

const READ_BYTES: usize = 128 * 1024;

/// How far a scan trusts what the file system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanMode {
    /// Hashes what the cache does not remember in its present state, and remembers it.
    Cached,
    /// Hashes everything, and remembers it.
    Full,
    /// Hashes nothing: kind, size, mode, link target, and the digest where the cache remembers it.
    StatOnly,
}

/// One part that is not as the tree says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The path below the directory; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What is wrong with it.
    pub kind: DifferenceKind,
}

/// What is wrong with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// The tree has it, the directory has not.
    Missing,
    /// The directory has it, the tree has not.
    Extra,
    /// Other bytes, or another link target.
    Modified,
    /// Other permission bits; write bits do not count.
    Mode {
        /// The bits of the tree, without write bits.
        expected: u32,
        /// The bits found, without write bits.
        found: u32,
    },
    /// Another kind of thing: a link instead of a file, a directory instead of a link, a device.
    Kind,
}

/// Says why a directory could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Something in the directory cannot be looked at or read.
    #[error("scan `{}`", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The cache could not be kept.
    #[error("keep the scan cache")]
    Cache(#[source] crate::durable::DurableError),
}

/// Compares the directory `dir` with `tree`; returns every difference, in order of the paths.
///
/// The directory itself missing is every part missing.
pub fn scan(
    dir: &Path,
    tree: &Tree,
    cache: Option<&ScanCache>,
    mode: ScanMode,
    progress: &dyn Progress,
) -> Result<Vec<Difference>, ScanError> {
    let judge = |key: &StatKey, digest: &Digest| match remembered(key, cache, mode) {
        Some(found) if found == *digest => Bytes::Right,
        Some(_) => Bytes::Wrong,
        None if mode == ScanMode::StatOnly => Bytes::Right,
        None => Bytes::Unknown,
    };
    let Walked { mut differences, to_hash } = walk(dir, tree, &judge, cores())?;
    differences.extend(hash_all(dir, &to_hash, cache, progress)?);
    differences.sort_unstable();
    Ok(differences)
}

fn remembered(key: &StatKey, cache: Option<&ScanCache>, mode: ScanMode) -> Option<Digest> {
    if mode == ScanMode::Full { None } else { cache?.lookup(key) }
}

/// A file whose kind and size are right; its bytes are to be compared.
#[derive(Debug)]
struct Candidate<'t> {
    path: &'t str,
    key: StatKey,
    digest: Digest,
}

impl Candidate<'_> {
    fn modified(&self) -> Difference {
        Difference { path: self.path.to_owned(), kind: DifferenceKind::Modified }
    }
}

fn hash_all(
    dir: &Path,
    candidates: &[Candidate<'_>],
    cache: Option<&ScanCache>,
    progress: &dyn Progress,
) -> Result<Vec<Difference>, ScanError> {
    progress.begin("checking files", candidates.iter().map(|c| c.key.size).sum());
    let found = try_map(cores(), candidates, |candidate| {
        let path = dir.join(candidate.path);
        let digest = hash_file(&path, candidate, cache)
            .map_err(|source| ScanError::Read { path: path.clone(), source })?;
        progress.advance(candidate.key.size);
        Ok((digest != candidate.digest).then(|| candidate.modified()))
    });
    progress.end();
    Ok(found?.into_iter().flatten().collect())
}

/// Hashes by reading, not mapping: a file of a live directory may be cut short meanwhile, which kills a mapper.
fn hash_file(path: &Path, candidate: &Candidate<'_>, cache: Option<&ScanCache>) -> io::Result<Digest> {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("open flags fit an int");
    let mut file = File::options().read(true).custom_flags(no_follow).open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES.min(usize::try_from(candidate.key.size).unwrap_or(READ_BYTES) + 1)];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => {
                hasher.update(&buffer[..count]);
            }
        }
    }
    let digest = hasher.finalize().into();
    // What changed while it was read is hashed again next time.
    if let Some(cache) = cache
        && StatKey::of(&file.metadata()?) == candidate.key
    {
        cache.remember(candidate.key, digest);
    }
    Ok(digest)
}

#[cfg(test)]
mod tests;
