//! The fingerprint of a component: what must be the same for its running process to stay.
//!
//! It covers the bytes of every part, the command, the environment with its secrets, and the probes. Where the
//! component lies does not count, nor do time stamps: the same component in another level has the same fingerprint.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use tender_content::durable;

/// Says why a component's parts could not be read.
#[derive(Debug, thiserror::Error)]
#[error("read part `{}`", path.display())]
pub struct FingerprintError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Digests of files that did not change since they were read.
///
/// A level's files are links to the objects of the store, so the digests of one level serve the next.
#[derive(Debug, Default)]
pub struct DigestCache {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    old: BTreeMap<FileKey, String>,
    seen: BTreeMap<FileKey, String>,
}

/// What tells that a file is still the one that was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct FileKey {
    device: u64,
    inode: u64,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

impl FileKey {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl DigestCache {
    /// Reads the cache; one that is missing or damaged is empty.
    #[must_use]
    pub fn load(path: &Path) -> Self {
        let text = fs::read(path).unwrap_or_default();
        let entries: Vec<(FileKey, String)> = serde_json::from_slice(&text).unwrap_or_default();
        let known = Known { old: entries.into_iter().collect(), seen: BTreeMap::new() };
        Self { path: path.to_owned(), known: Mutex::new(known) }
    }

    /// Keeps what was used since it was read; a cache that cannot be kept costs time and nothing else.
    pub fn save(self) {
        let known = self.known.into_inner().expect("no thread panics while it holds the cache");
        if known.seen == known.old {
            return;
        }
        let entries: Vec<_> = known.seen.into_iter().collect();
        let text = serde_json::to_vec(&entries).expect("a list of plain values is JSON");
        durable::write_secret_atomically(&self.path, &text).ok();
    }

    fn digest(&self, path: &Path, metadata: &Metadata) -> io::Result<String> {
        let key = FileKey::of(metadata);
        {
            let mut known = self.known.lock().expect("no thread panics while it holds the cache");
            if let Some(digest) = known.old.get(&key).cloned() {
                known.seen.insert(key, digest.clone());
                return Ok(digest);
            }
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        let digest = hasher.finalize().to_hex().to_string();
        let mut known = self.known.lock().expect("no thread panics while it holds the cache");
        known.seen.insert(key, digest.clone());
        Ok(digest)
    }
}

/// Returns the digest of every part below `root`: names, modes, bytes, targets of links.
pub fn parts(root: &Path, cache: &DigestCache) -> Result<String, FingerprintError> {
    let mut hasher = blake3::Hasher::new();
    directory(root, "", cache, &mut hasher)?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn directory(
    dir: &Path,
    prefix: &str,
    cache: &DigestCache,
    hasher: &mut blake3::Hasher,
) -> Result<(), FingerprintError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FingerprintError { path, source }
    };
    let entries: io::Result<Vec<_>> = fs::read_dir(dir).map_err(failed(dir))?.collect();
    let mut entries = entries.map_err(failed(dir))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata().map_err(failed(&path))?;
        if metadata.is_dir() {
            directory(&path, &format!("{name}/"), cache, hasher)?;
        } else if metadata.is_symlink() {
            let target = fs::read_link(&path).map_err(failed(&path))?;
            feed(hasher, &["link", &name, &target.to_string_lossy()]);
        } else if metadata.is_file() {
            // Write bits differ between a loaded level and a directory of a developer.
            let mode = format!("{:o}", metadata.permissions().mode() & 0o555);
            feed(hasher, &["file", &name, &mode, &cache.digest(&path, &metadata).map_err(failed(&path))?]);
        }
    }
    Ok(())
}

/// Returns the digest of a list of texts; no two different lists have the same.
pub fn of_texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        feed(&mut hasher, &[text]);
    }
    hasher.finalize().to_hex().to_string()
}

fn feed(hasher: &mut blake3::Hasher, texts: &[&str]) {
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_parts_elsewhere_have_the_same_digest_and_any_change_another() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DigestCache::load(&dir.path().join("cache"));
        let make = |name: &str| {
            let root = dir.path().join(name);
            fs::create_dir_all(root.join("bin")).unwrap();
            fs::write(root.join("bin/start.sh"), "x").unwrap();
            root
        };
        let (a, b) = (make("a"), make("b"));
        assert_eq!(parts(&a, &cache).unwrap(), parts(&b, &cache).unwrap());
        fs::write(b.join("bin/start.sh"), "y").unwrap();
        assert_ne!(parts(&a, &cache).unwrap(), parts(&b, &cache).unwrap());
        fs::write(b.join("bin/start.sh"), "x").unwrap();
        fs::set_permissions(b.join("bin/start.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(parts(&a, &cache).unwrap(), parts(&b, &cache).unwrap());
    }

    #[test]
    fn cache_is_kept_and_used_and_forgets_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (root, path) = (dir.path().join("c"), dir.path().join("cache"));
        fs::create_dir(&root).unwrap();
        fs::write(root.join("x"), "1").unwrap();
        let cache = DigestCache::load(&path);
        let first = parts(&root, &cache).unwrap();
        cache.save();
        let cache = DigestCache::load(&path);
        assert_eq!(cache.known.lock().unwrap().old.len(), 1);
        assert_eq!(parts(&root, &cache).unwrap(), first);
        fs::remove_file(root.join("x")).unwrap();
        let cache = DigestCache::load(&path);
        parts(&root, &cache).unwrap();
        cache.save();
        assert_eq!(DigestCache::load(&path).known.lock().unwrap().old.len(), 0);
    }

    #[test]
    fn texts_are_kept_apart() {
        assert_ne!(of_texts(["ab", "c"]), of_texts(["a", "bc"]));
    }
}
