//! The fingerprint of a component: what must be the same for its running process to stay.
//!
//! It covers the bytes of every part, the command, the environment with its secrets, and the probes. Where the
//! component lies does not count, nor do time stamps: the same component in another level has the same fingerprint.
//!
//! Every component is given every setting of every other one as a variable (`ZWE_components_…`). A change of one port
//! must not restart them all, so a variable that is not the component's own counts only when some file of the
//! component names it, or a beginning of its name that a script may complete.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::layout::write_generated;

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
    old: BTreeMap<FileKey, FileFacts>,
    seen: BTreeMap<FileKey, FileFacts>,
}

/// What is known of a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileFacts {
    digest: String,
    /// Names of variables, or beginnings of them, that it has.
    names: BTreeSet<String>,
}

/// What is known of a component's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Over names, modes, bytes and targets of links.
    pub digest: String,
    /// Names of variables, or beginnings of them, that its files have.
    pub names: BTreeSet<String>,
}

impl Parts {
    /// Says whether a change of this variable touches component `name`.
    #[must_use]
    pub fn uses(&self, component: &str, variable: &str) -> bool {
        self.used_by(component)(variable)
    }

    /// Returns what says of a variable whether its change touches component `name`.
    pub fn used_by(&self, component: &str) -> impl Fn(&str) -> bool {
        let own: String =
            component.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let own = format!("ZWE_components_{own}_");
        // Who reads the configuration itself may use anything in it.
        let reads_all = self.names.contains("ZWE_CLI_PARAMETER_CONFIG");
        move |variable| {
            !variable.starts_with("ZWE_")
                || reads_all
                || ["ZWE_configs_", "ZWE_haInstance_", &own].iter().any(|own| variable.starts_with(own))
                || self.names.iter().any(|name| variable.starts_with(name.as_str()))
        }
    }
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
        let entries: Vec<(FileKey, FileFacts)> = serde_json::from_slice(&text).unwrap_or_default();
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
        write_generated(&self.path, &text, 0o600).ok();
    }

    /// Returns the digest of a file a setting refers to; nothing when it is no file that can be read.
    pub(crate) fn digest(&self, path: &Path) -> Option<String> {
        let metadata = fs::metadata(path).ok().filter(|metadata| path.is_absolute() && metadata.is_file())?;
        Some(self.facts(path, &metadata).ok()?.digest)
    }

    fn facts(&self, path: &Path, metadata: &Metadata) -> io::Result<FileFacts> {
        let key = FileKey::of(metadata);
        {
            let mut known = self.known.lock().expect("no thread panics while it holds the cache");
            if let Some(facts) = known.old.get(&key).cloned() {
                known.seen.insert(key, facts.clone());
                return Ok(facts);
            }
        }
        let facts = read(File::open(path)?)?;
        let mut known = self.known.lock().expect("no thread panics while it holds the cache");
        known.seen.insert(key, facts.clone());
        Ok(facts)
    }
}

/// Reads a file once, for its digest and for the names of variables in it.
fn read(mut file: File) -> io::Result<FileFacts> {
    const CHUNK_BYTES: usize = 64 * 1024;
    /// No name of a variable is longer; so much of a chunk is looked at again with the next one.
    const NAME_BYTES_MAX: usize = 256;
    let mut hasher = blake3::Hasher::new();
    let mut names = BTreeSet::new();
    let mut buffer = vec![0; NAME_BYTES_MAX + CHUNK_BYTES];
    let mut kept = 0;
    loop {
        let count = file.read(&mut buffer[kept..])?;
        if count == 0 {
            collect_names(&buffer[..kept], &mut names);
            break;
        }
        hasher.update(&buffer[kept..kept + count]);
        let filled = kept + count;
        let keep = filled.min(NAME_BYTES_MAX);
        // Names that begin in what is kept are taken with the next chunk, when they are whole.
        collect_names_before(&buffer[..filled], filled - keep, &mut names);
        buffer.copy_within(filled - keep..filled, 0);
        kept = keep;
    }
    Ok(FileFacts { digest: hasher.finalize().to_hex().to_string(), names })
}

fn collect_names(bytes: &[u8], names: &mut BTreeSet<String>) {
    collect_names_before(bytes, bytes.len(), names);
}

/// Takes the names that begin before `limit`.
fn collect_names_before(bytes: &[u8], limit: usize, names: &mut BTreeSet<String>) {
    const PREFIX: &[u8] = b"ZWE_";
    let mut position = 0;
    while let Some(found) = bytes[position..].windows(PREFIX.len()).position(|window| window == PREFIX) {
        let start = position + found;
        if start >= limit {
            return;
        }
        let rest = &bytes[start..];
        let length =
            rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(rest.len());
        names.insert(String::from_utf8_lossy(&rest[..length]).into_owned());
        position = start + length;
    }
}

/// Reads every part below `root`.
pub fn parts(root: &Path, cache: &DigestCache) -> Result<Parts, FingerprintError> {
    let mut walk = Walk { cache, hasher: blake3::Hasher::new(), names: BTreeSet::new() };
    walk.directory(root, "")?;
    Ok(Parts { digest: walk.hasher.finalize().to_hex().to_string(), names: walk.names })
}

struct Walk<'c> {
    cache: &'c DigestCache,
    hasher: blake3::Hasher,
    names: BTreeSet<String>,
}

impl Walk<'_> {
    fn directory(&mut self, dir: &Path, prefix: &str) -> Result<(), FingerprintError> {
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
                self.directory(&path, &format!("{name}/"))?;
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).map_err(failed(&path))?;
                feed(&mut self.hasher, &["link", &name, &target.to_string_lossy()]);
            } else if metadata.is_file() {
                // Write bits differ between a loaded level and a directory of a developer.
                let mode = format!("{:o}", metadata.permissions().mode() & 0o555);
                let facts = self.cache.facts(&path, &metadata).map_err(failed(&path))?;
                feed(&mut self.hasher, &["file", &name, &mode, &facts.digest]);
                self.names.extend(facts.names);
            }
        }
        Ok(())
    }
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
    fn variable_of_another_component_counts_only_when_a_file_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DigestCache::load(&dir.path().join("cache"));
        let root = dir.path().join("c");
        fs::create_dir(&root).unwrap();
        // The name lies across the border of two chunks.
        let filler = "x".repeat(64 * 1024 + 250);
        fs::write(root.join("start.sh"), format!("{filler} $ZWE_components_redis_port ${{ZWE_zowe_job}}"))
            .unwrap();
        let found = parts(&root, &cache).unwrap();
        let expected = ["ZWE_components_redis_port", "ZWE_zowe_job"].map(str::to_owned);
        assert_eq!(found.names, BTreeSet::from(expected));
        assert!(found.uses("c", "ZWE_components_redis_port") && found.uses("c", "ZWE_zowe_job_name"));
        assert!(found.uses("my-c", "ZWE_components_my_c_port") && found.uses("c", "ZWE_configs_port"));
        assert!(found.uses("c", "JAVA_HOME"));
        assert!(!found.uses("c", "ZWE_components_nginx_port") && !found.uses("c", "ZWE_VERSION"));
    }

    #[test]
    fn texts_are_kept_apart() {
        assert_ne!(of_texts(["ab", "c"]), of_texts(["a", "bc"]));
    }
}
