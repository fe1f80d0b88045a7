//! Drift: how a directory differs from the tree it was made from.
//!
//! The directory is walked once and compared with the tree by kind, size, mode (write bits aside, as a materialised
//! tree has none) and link target; then the bytes of what is left are hashed on all cores, except where the cache
//! remembers the digest of exactly this inode in exactly this state.

mod cache;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::progress::Progress;
use crate::tree::{Node, Tree};
use crate::workers::{cores, try_map};

pub use cache::ScanCache;
use cache::StatKey;

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
    let mut walk = Walk::new(tree);
    walk.directory(dir, &mut String::new())?;
    let Walk { expected, seen, to_compare, mut differences, .. } = walk;
    for (path, (index, _)) in &expected {
        if !seen[*index] {
            differences.push(Difference { path: (*path).to_owned(), kind: DifferenceKind::Missing });
        }
    }
    let mut to_hash = Vec::new();
    for candidate in to_compare {
        match remembered(&candidate, cache, mode) {
            Some(digest) if digest == candidate.digest => {}
            Some(_) => differences.push(candidate.modified()),
            None if mode == ScanMode::StatOnly => {}
            None => to_hash.push(candidate),
        }
    }
    differences.extend(hash_all(dir, &to_hash, cache, progress)?);
    differences.sort_unstable();
    Ok(differences)
}

fn remembered(candidate: &Candidate<'_>, cache: Option<&ScanCache>, mode: ScanMode) -> Option<Digest> {
    if mode == ScanMode::Full { None } else { cache?.lookup(&candidate.key) }
}

/// A file whose kind and size are right; its bytes are to be compared.
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

fn unreadable(path: &Path, source: io::Error) -> ScanError {
    ScanError::Read { path: path.to_owned(), source }
}

struct Walk<'t> {
    /// Every part with a running number.
    expected: HashMap<&'t str, (usize, &'t Node)>,
    /// By that number, whether something stands at the path.
    seen: Vec<bool>,
    directories: HashSet<&'t str>,
    to_compare: Vec<Candidate<'t>>,
    differences: Vec<Difference>,
}

impl<'t> Walk<'t> {
    fn new(tree: &'t Tree) -> Self {
        let parts = tree.iter().enumerate();
        let expected = parts.map(|(index, (path, node))| (path.as_str(), (index, node))).collect();
        let directories = tree.iter().flat_map(|(path, _)| path.ancestors()).collect();
        let seen = vec![false; tree.len()];
        Self { expected, seen, directories, to_compare: Vec::new(), differences: Vec::new() }
    }

    fn differs(&mut self, path: &str, kind: DifferenceKind) {
        self.differences.push(Difference { path: path.to_owned(), kind });
    }

    /// Compares what stands in one directory; `path` is its path with a slash, or empty, and comes back unchanged.
    fn directory(&mut self, dir: &Path, path: &mut String) -> Result<(), ScanError> {
        let entries = match fs::read_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && path.is_empty() => return Ok(()),
            entries => entries.map_err(|source| unreadable(dir, source))?,
        };
        let prefix_bytes = path.len();
        for entry in entries {
            let entry = entry.map_err(|source| unreadable(dir, source))?;
            path.push_str(&entry.file_name().to_string_lossy());
            let metadata = match entry.metadata() {
                // Gone since it was listed: it is missing or it was extra, and both come out right by passing over.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    path.truncate(prefix_bytes);
                    continue;
                }
                metadata => metadata.map_err(|source| unreadable(&entry.path(), source))?,
            };
            if metadata.is_dir() && !self.expected.contains_key(path.as_str()) {
                self.enter(&entry.path(), path, &metadata)?;
            } else {
                let compared = self.part(&entry, path, &metadata);
                compared.map_err(|source| unreadable(&entry.path(), source))?;
            }
            path.truncate(prefix_bytes);
        }
        Ok(())
    }

    fn enter(&mut self, dir: &Path, path: &mut String, metadata: &Metadata) -> Result<(), ScanError> {
        if self.directories.contains(path.as_str()) {
            let found = metadata.mode() & 0o5555;
            if found != 0o555 {
                self.differs(path, DifferenceKind::Mode { expected: 0o555, found });
            }
        } else {
            self.differs(path, DifferenceKind::Extra);
        }
        path.push('/');
        self.directory(dir, path)
    }

    fn part(&mut self, entry: &fs::DirEntry, path: &str, metadata: &Metadata) -> io::Result<()> {
        let Some((path, (index, node))) = self.expected.get_key_value(path) else {
            self.differs(path, DifferenceKind::Extra);
            return Ok(());
        };
        let path: &'t str = path;
        self.seen[*index] = true;
        match node {
            Node::File { mode, size, digest } if metadata.is_file() => {
                let (expected, found) = (mode & 0o555, metadata.mode() & 0o7555);
                if metadata.len() != *size {
                    self.differs(path, DifferenceKind::Modified);
                } else {
                    self.to_compare.push(Candidate { path, key: StatKey::of(metadata), digest: *digest });
                }
                if expected != found {
                    self.differs(path, DifferenceKind::Mode { expected, found });
                }
            }
            Node::Symlink { target } if metadata.is_symlink() => {
                if fs::read_link(entry.path())?.as_os_str() != target.as_str() {
                    self.differs(path, DifferenceKind::Modified);
                }
            }
            _ => self.differs(path, DifferenceKind::Kind),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
