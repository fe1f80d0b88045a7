//! The reading half: a managed system trusts nothing it received until it passed here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use futures_util::{future, stream};
use tough::schema::{Root, Signed, Target};
use tough::{Bytes, RepositoryLoader, Transport, TransportError, TransportErrorKind, TransportStream};
use url::Url;

use super::keys::parse;
use super::{CUSTOM_KEY, RepositoryError, TargetCustom, target_path, write_atomically};
use crate::manifest::{FORMAT, LevelManifest, LevelRef, target};

/// The largest metadata file that is looked at.
const METADATA_BYTES_MAX: u64 = 64 << 20;
/// The largest target that is read into memory; larger ones are only verified in place.
const READ_BYTES_MAX: u64 = 256 << 20;
/// The files that remember what was accepted before.
const DATASTORE_FILES: [&str; 4] = ["root.json", "timestamp.json", "snapshot.json", "latest_known_time.json"];

/// A repository whose metadata was verified.
#[derive(Debug)]
pub struct Verified {
    dir: PathBuf,
    targets: BTreeMap<String, Target>,
    targets_version: u64,
    snapshot_version: u64,
}

impl Verified {
    /// Verifies the metadata in `dir` against a trusted root and everything accepted before.
    ///
    /// Shape:  `datastore` is made when it is not there and remembers the newest root, timestamp and snapshot; it is
    ///         written only after everything was accepted.
    /// Errors: each way of not being trustworthy is a variant of its own.
    pub fn load(dir: &Path, trusted_root: &[u8], datastore: &Path) -> Result<Self, RepositoryError> {
        std::fs::create_dir_all(datastore).map_err(RepositoryError::io(datastore))?;
        let root = newest_root(trusted_root, datastore)?;
        // Verification works on a copy, as it writes its memory file by file and not atomically.
        let copy = tempfile::tempdir_in(datastore).map_err(RepositoryError::io(datastore))?;
        for file in DATASTORE_FILES {
            let from = datastore.join(file);
            if from.exists() {
                std::fs::copy(&from, copy.path().join(file)).map_err(RepositoryError::io(&from))?;
            }
        }
        let loaded = load_blocking(dir, &root, copy.path()).map_err(|error| explain(*error, dir, &root))?;
        for file in DATASTORE_FILES {
            let from = copy.path().join(file);
            let bytes = std::fs::read(&from).map_err(RepositoryError::io(&from))?;
            write_atomically(&datastore.join(file), &bytes)?;
        }
        let targets =
            loaded.all_targets().map(|(name, target)| (name.raw().to_owned(), target.clone())).collect();
        Ok(Self {
            dir: dir.to_owned(),
            targets,
            targets_version: loaded.targets().signed.version.get(),
            snapshot_version: loaded.snapshot().signed.version.get(),
        })
    }

    /// Returns the version of the list of targets.
    #[must_use]
    pub fn targets_version(&self) -> u64 {
        self.targets_version
    }

    /// Returns the names of all targets in order.
    pub fn target_names(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str)
    }

    /// Returns what is signed about a target besides its digest.
    pub fn custom(&self, name: &str) -> Result<Option<TargetCustom>, RepositoryError> {
        let target = self.target(name)?;
        let parse = |value: &serde_json::Value| serde_json::from_value(value.clone());
        target
            .custom
            .get(CUSTOM_KEY)
            .map(parse)
            .transpose()
            .map_err(|source| RepositoryError::Malformed { file: name.to_owned(), source })
    }

    /// Returns the manifest of a level and what is signed about it.
    pub fn manifest(&self, level: &LevelRef) -> Result<(LevelManifest, TargetCustom), RepositoryError> {
        let name = target::manifest(level);
        let contradiction = |reason: String| RepositoryError::Contradiction { name: name.clone(), reason };
        let custom = self
            .custom(&name)?
            .ok_or_else(|| contradiction("nothing is signed about its state".to_owned()))?;
        let bytes = self.read(&name)?;
        let malformed = |source| RepositoryError::Malformed { file: name.clone(), source };
        let format = serde_json::from_slice::<FormatOnly>(&bytes).map_err(malformed)?.format;
        if format > FORMAT {
            return Err(RepositoryError::Format { name, found: format, known: FORMAT });
        }
        let manifest: LevelManifest = serde_json::from_slice(&bytes).map_err(malformed)?;
        if manifest.level != *level {
            return Err(contradiction(format!("it describes {}", manifest.level)));
        }
        if custom.content != manifest.content || custom.generation != level.generation {
            return Err(contradiction("content or generation differ".to_owned()));
        }
        Ok((manifest, custom))
    }

    /// Reads a target and verifies it.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, RepositoryError> {
        let length = self.target(name)?.length;
        if length > READ_BYTES_MAX {
            return Err(tampered(name, format!("{length} bytes are too many to read into memory")));
        }
        let path = self.verify(name)?;
        let bytes = std::fs::read(&path).map_err(RepositoryError::io(&path))?;
        // The file may have been changed since it was verified; what counts is what was read.
        self.check(name, &bytes)?;
        Ok(bytes)
    }

    /// Verifies a target where it lies and returns its path.
    pub fn verify(&self, name: &str) -> Result<PathBuf, RepositoryError> {
        let target = self.target(name)?;
        let path = self.dir.join(target_path(name, &target.hashes.sha256));
        let mut file = std::fs::File::open(&path).map_err(RepositoryError::io(&path))?;
        let length = file.metadata().map_err(RepositoryError::io(&path))?.len();
        if length != target.length {
            return Err(tampered(name, format!("{length} bytes are there, {} are signed", target.length)));
        }
        let mut hash = Context::new(&SHA256);
        let mut buffer = vec![0; 1 << 18];
        loop {
            match std::io::Read::read(&mut file, &mut buffer).map_err(RepositoryError::io(&path))? {
                0 => break,
                count => hash.update(&buffer[..count]),
            }
        }
        if hash.finish().as_ref() != &target.hashes.sha256[..] {
            return Err(tampered(name, "its SHA-256 differs".to_owned()));
        }
        Ok(path)
    }

    /// Copies a target to `to` and verifies the copy; the receiver can no longer change it.
    pub fn copy(&self, name: &str, to: &Path) -> Result<(), RepositoryError> {
        let target = self.target(name)?;
        let from = self.dir.join(target_path(name, &target.hashes.sha256));
        let mut source = std::fs::File::open(&from).map_err(RepositoryError::io(&from))?;
        let mut copy = std::fs::File::create(to).map_err(RepositoryError::io(to))?;
        let mut hash = Context::new(&SHA256);
        let mut buffer = vec![0; 1 << 18];
        let mut length = 0_u64;
        loop {
            let count = std::io::Read::read(&mut source, &mut buffer).map_err(RepositoryError::io(&from))?;
            length += count as u64;
            if count == 0 || length > target.length {
                break;
            }
            hash.update(&buffer[..count]);
            std::io::Write::write_all(&mut copy, &buffer[..count]).map_err(RepositoryError::io(to))?;
        }
        if length != target.length {
            return Err(tampered(name, format!("it has not the {} bytes that are signed", target.length)));
        }
        if hash.finish().as_ref() != &target.hashes.sha256[..] {
            return Err(tampered(name, "its SHA-256 differs".to_owned()));
        }
        Ok(())
    }

    /// Returns the size of a target as signed.
    pub fn size(&self, name: &str) -> Result<u64, RepositoryError> {
        self.target(name).map(|target| target.length)
    }

    /// Lists targets' files that no target refers to and superseded metadata: left over from earlier packages.
    #[must_use]
    pub fn unreferenced(&self) -> Vec<PathBuf> {
        let live: std::collections::HashSet<PathBuf> = self
            .targets
            .iter()
            .map(|(name, target)| self.dir.join(target_path(name, &target.hashes.sha256)))
            .collect();
        let targets = files_below(&self.dir.join("targets")).into_iter().filter(|path| !live.contains(path));
        let metadata =
            files_below(&self.dir.join("metadata")).into_iter().filter(|path| self.is_superseded(path));
        targets.chain(metadata).collect()
    }

    fn is_superseded(&self, metadata: &Path) -> bool {
        let name = metadata.file_name().unwrap_or_default().to_string_lossy();
        let Some((version, role)) = name.split_once('.') else { return false };
        let newest = match role {
            "targets.json" => self.targets_version,
            "snapshot.json" => self.snapshot_version,
            _ => return false,
        };
        version.parse::<u64>().is_ok_and(|version| version < newest)
    }

    fn target(&self, name: &str) -> Result<&Target, RepositoryError> {
        self.targets.get(name).ok_or_else(|| RepositoryError::UnknownTarget { name: name.to_owned() })
    }

    fn check(&self, name: &str, bytes: &[u8]) -> Result<(), RepositoryError> {
        let sha256 = aws_lc_rs::digest::digest(&SHA256, bytes);
        if sha256.as_ref() == &self.target(name)?.hashes.sha256[..] {
            Ok(())
        } else {
            Err(tampered(name, "its SHA-256 differs".to_owned()))
        }
    }
}

/// Reads only what tells whether the rest can be understood.
#[derive(serde::Deserialize)]
struct FormatOnly {
    format: u32,
}

fn tampered(name: &str, reason: String) -> RepositoryError {
    RepositoryError::Tampered { name: name.to_owned(), reason }
}

/// Lists regular files below `dir`; links are not followed.
pub(super) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => pending.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files
}

/// Returns the newest root that is trusted: the one given, or a later one that was accepted before.
fn newest_root(trusted: &[u8], datastore: &Path) -> Result<Vec<u8>, RepositoryError> {
    let given: Signed<Root> = parse(trusted, Path::new("trusted root"))?;
    let path = datastore.join("root.json");
    let Ok(bytes) = std::fs::read(&path) else { return Ok(trusted.to_owned()) };
    let stored: Signed<Root> = parse(&bytes, &path)?;
    Ok(if stored.signed.version > given.signed.version { bytes } else { trusted.to_owned() })
}

fn load_blocking(
    dir: &Path,
    root: &[u8],
    datastore: &Path,
) -> Result<tough::Repository, Box<tough::error::Error>> {
    let url = |text: &str| Url::parse(text).expect("a constant URL is well-formed");
    let load = RepositoryLoader::new(&root, url("repo:///metadata/"), url("repo:///targets/"))
        .transport(DirTransport { dir: dir.to_owned() })
        .datastore(datastore)
        .load();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without timers and input needs nothing that can fail");
    // The caller may be inside another runtime, where blocking is not allowed: a thread of its own is.
    std::thread::scope(|scope| {
        scope.spawn(|| runtime.block_on(load).map_err(Box::new)).join().expect("verification does not panic")
    })
}

/// Reads metadata from a directory; unlike a `file:` URL it minds no character in the directory's name.
#[derive(Debug, Clone)]
struct DirTransport {
    dir: PathBuf,
}

#[async_trait]
impl Transport for DirTransport {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let path = self.dir.join(url.path().trim_start_matches('/'));
        let bytes = read_limited(&path).map_err(|source| {
            let kind = match source.kind() {
                std::io::ErrorKind::NotFound => TransportErrorKind::FileNotFound,
                _ => TransportErrorKind::Other,
            };
            TransportError::new_with_cause(kind, url.path(), source)
        })?;
        Ok(Box::pin(stream::once(future::ready(Ok(Bytes::from(bytes))))))
    }
}

fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
    let length = std::fs::symlink_metadata(path)?.len();
    if length > METADATA_BYTES_MAX {
        return Err(std::io::Error::other(format!("{length} bytes are too many for metadata")));
    }
    std::fs::read(path)
}

/// Turns an error of the library into one that names the thing and the way on.
fn explain(error: tough::error::Error, dir: &Path, root: &[u8]) -> RepositoryError {
    use tough::error::Error;
    let rollback = |role: &dyn std::fmt::Display, found, known| RepositoryError::Rollback {
        role: role.to_string(),
        found,
        known,
    };
    match error {
        Error::ExpiredMetadata { role, .. } => {
            RepositoryError::Expired { role: role.to_string(), repository: dir.to_owned() }
        }
        Error::OlderMetadata { role, current_version, new_version, .. } => {
            rollback(&role, new_version, current_version)
        }
        Error::OlderSnapshotInTimestamp { snapshot_new, snapshot_old, .. } => {
            rollback(&"snapshot", snapshot_new, snapshot_old)
        }
        Error::SnapshotRoleRollback { role, old_role_version, new_role_version, .. } => {
            rollback(&role, new_role_version, old_role_version)
        }
        Error::VerifyMetadata { role, source, .. } => {
            if is_foreign(&role.to_string(), dir, root) {
                RepositoryError::WrongRoot { role: role.to_string() }
            } else {
                RepositoryError::BadSignature { role: role.to_string(), source: Box::new(source) }
            }
        }
        Error::VerifyTrustedMetadata { source, .. } => {
            RepositoryError::BadSignature { role: "trusted root".to_owned(), source: Box::new(source) }
        }
        Error::HashMismatch { context, calculated, expected, .. } => {
            tampered(&context, format!("SHA-256 {calculated} instead of {expected}"))
        }
        Error::ParseMetadata { role, source, .. } => {
            RepositoryError::Malformed { file: format!("{role} metadata"), source }
        }
        Error::Transport { source, .. } if source.kind() == TransportErrorKind::FileNotFound => {
            RepositoryError::Missing { path: dir.join(source.url().trim_start_matches('/')) }
        }
        Error::SystemTimeSteppedBackward { sys_time, latest_known_time } => {
            RepositoryError::ClockWentBack { now: sys_time, known: latest_known_time }
        }
        other => RepositoryError::Rules { source: Box::new(other) },
    }
}

/// Tells whether none of the keys that signed a role is known to the trusted root or its successors in `dir`.
fn is_foreign(role: &str, dir: &Path, root: &[u8]) -> bool {
    let keyids = |bytes: &[u8]| -> Vec<String> {
        let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        let signatures = value["signatures"].as_array().cloned().unwrap_or_default();
        signatures.iter().filter_map(|one| one["keyid"].as_str().map(str::to_owned)).collect()
    };
    let metadata = dir.join("metadata");
    let mut known = String::from_utf8_lossy(root).into_owned();
    let mut signed_by = Vec::new();
    for path in files_below(&metadata) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap_or_default();
        if name == format!("{role}.json") || name.ends_with(&format!(".{role}.json")) {
            signed_by.extend(keyids(&bytes));
        }
        // A later root counts when one of its signers is known.
        if name.ends_with(".root.json") && keyids(&bytes).iter().any(|id| known.contains(id)) {
            known.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    !signed_by.iter().any(|id| known.contains(id.as_str()))
}
