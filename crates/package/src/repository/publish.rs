//! The writing half: the principal publishes levels.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write as _;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256, digest};
use jiff::Timestamp;
use tough::TargetName;
use tough::schema::{Hashes, Metafile, Role, Signed, Snapshot, Target, Targets, Timestamp as TufTimestamp};

use super::keys::parse;
use super::{
    CUSTOM_KEY, Expiry, FileKind, KeyDir, RepoFile, RepositoryError, SPEC_VERSION, TargetCustom, expires,
    sync_directory, target_path, write_atomically,
};

/// Superseded metadata files that are kept for readers that are in the middle of an update.
const OLD_VERSIONS_KEPT: u64 = 5;

/// A file to publish.
#[derive(Debug, Clone)]
pub struct NewTarget {
    /// Name of the target; see [`crate::manifest::target`].
    pub name: String,
    /// Its bytes.
    pub source: Source,
    /// What is signed about it besides its digest.
    pub custom: Option<TargetCustom>,
}

/// Where the bytes of a new target come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file, copied.
    File(PathBuf),
    /// Bytes in memory.
    Bytes(Vec<u8>),
}

/// What a publication led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Version of the list of targets.
    pub targets_version: u64,
    /// Version of the timestamp.
    pub timestamp_version: u64,
    /// Bytes that were new in the repository.
    pub new_bytes: u64,
}

/// A repository that can be written.
///
/// One writer at a time: the caller holds the release's lock.
#[derive(Debug)]
pub struct Repository<'k> {
    dir: PathBuf,
    keys: &'k KeyDir,
    expiry: Expiry,
    targets: Targets,
    snapshot_version: NonZeroU64,
    timestamp_version: NonZeroU64,
}

impl<'k> Repository<'k> {
    /// Makes an empty repository in `dir`; a half-made one from before a crash is made again.
    pub fn create(
        dir: &Path,
        keys: &'k KeyDir,
        now: Timestamp,
        expiry: &Expiry,
    ) -> Result<Self, RepositoryError> {
        Self::create_from(dir, keys, now, expiry, NonZeroU64::MIN)
    }

    /// Makes an empty repository whose metadata begins at version `first`.
    ///
    /// Clients that accepted a higher version of an earlier repository, of the same keys and place, take a lower one
    /// for a rollback.
    pub fn create_from(
        dir: &Path,
        keys: &'k KeyDir,
        now: Timestamp,
        expiry: &Expiry,
        first: NonZeroU64,
    ) -> Result<Self, RepositoryError> {
        let timestamp = dir.join("metadata/timestamp.json");
        if timestamp.exists() {
            return Err(RepositoryError::Exists { path: timestamp });
        }
        for below in ["metadata", "targets"] {
            let path = dir.join(below);
            std::fs::create_dir_all(&path).map_err(RepositoryError::io(&path))?;
        }
        write_expiry(dir, expiry)?;
        let mut targets = Targets::new(SPEC_VERSION.to_owned(), first, now);
        targets.delegations = None;
        let mut repository = Self {
            dir: dir.to_owned(),
            keys,
            expiry: *expiry,
            targets,
            snapshot_version: first,
            timestamp_version: first,
        };
        repository.write_metadata(now)?;
        Ok(repository)
    }

    /// Opens a repository and checks its own signatures.
    pub fn open(dir: &Path, keys: &'k KeyDir) -> Result<Self, RepositoryError> {
        let metadata = dir.join("metadata");
        let timestamp: TufTimestamp = read_role(&metadata.join("timestamp.json"), keys)?;
        let malformed = |file: &str| RepositoryError::Contradiction {
            name: file.to_owned(),
            reason: "it does not name the file it stands for".to_owned(),
        };
        let snapshot_version =
            timestamp.meta.get("snapshot.json").ok_or_else(|| malformed("timestamp.json"))?.version;
        let snapshot: Snapshot =
            read_role(&metadata.join(format!("{snapshot_version}.snapshot.json")), keys)?;
        let targets_version =
            snapshot.meta.get("targets.json").ok_or_else(|| malformed("snapshot.json"))?.version;
        let targets: Targets = read_role(&metadata.join(format!("{targets_version}.targets.json")), keys)?;
        Ok(Self {
            dir: dir.to_owned(),
            keys,
            expiry: read_expiry(dir)?,
            targets,
            snapshot_version,
            timestamp_version: timestamp.version,
        })
    }

    /// Adds and removes targets; all of it becomes visible at once.
    pub fn publish(
        &mut self,
        add: &[NewTarget],
        remove: &[String],
        now: Timestamp,
    ) -> Result<Published, RepositoryError> {
        let mut targets = self.targets.targets.clone();
        let mut new_bytes = 0;
        for new in add {
            let (target, written) = self.store(new)?;
            new_bytes += written;
            targets.insert(target_name(&new.name)?, target);
        }
        for name in remove {
            let name = target_name(name)?;
            if targets.remove(&name).is_none() {
                return Err(RepositoryError::UnknownTarget { name: name.raw().to_owned() });
            }
        }
        self.replace_targets(targets, now)?;
        self.prune();
        Ok(Published { new_bytes, ..self.published() })
    }

    /// Changes what is signed about a target: this is how a level becomes STABLE or WITHDRAWN.
    pub fn set_custom(
        &mut self,
        name: &str,
        custom: &TargetCustom,
        now: Timestamp,
    ) -> Result<Published, RepositoryError> {
        let mut targets = self.targets.targets.clone();
        let target = targets
            .get_mut(&target_name(name)?)
            .ok_or_else(|| RepositoryError::UnknownTarget { name: name.to_owned() })?;
        target.custom = custom_map(Some(custom));
        self.replace_targets(targets, now)?;
        self.prune();
        Ok(self.published())
    }

    /// Signs the same content again, before signatures expire or after a key was replaced.
    pub fn refresh(&mut self, now: Timestamp) -> Result<Published, RepositoryError> {
        self.replace_targets(self.targets.targets.clone(), now)?;
        self.prune();
        Ok(self.published())
    }

    /// Returns what is signed about a target; `None` when there is no such target or nothing is signed about it.
    #[must_use]
    pub fn custom(&self, name: &str) -> Option<TargetCustom> {
        let target = self.targets.targets.get(&TargetName::new(name).ok()?)?;
        serde_json::from_value(target.custom.get(CUSTOM_KEY)?.clone()).ok()
    }

    /// Returns the names of all targets in order.
    #[must_use]
    pub fn target_names(&self) -> Vec<String> {
        let sorted: BTreeMap<_, ()> = self.targets.targets.keys().map(|name| (name.raw(), ())).collect();
        sorted.into_keys().map(str::to_owned).collect()
    }

    /// Lists the files a receiver of the named targets needs, in the order they should be sent: targets, then
    /// metadata, `timestamp.json` last.
    pub fn files_for(&self, names: &[String]) -> Result<Vec<RepoFile>, RepositoryError> {
        let mut files = Vec::new();
        for name in names {
            let target = self
                .targets
                .targets
                .get(&target_name(name)?)
                .ok_or_else(|| RepositoryError::UnknownTarget { name: name.clone() })?;
            let path = target_path(name, &target.hashes.sha256);
            files.push(RepoFile { path, size: target.length, kind: FileKind::Target });
        }
        let roots = self.keys.root_files().map(|(file, _)| file);
        let metadata = roots.chain([
            self.targets.filename(true),
            format!("{}.snapshot.json", self.snapshot_version),
            "timestamp.json".to_owned(),
        ]);
        for file in metadata {
            let path = format!("metadata/{file}");
            let on_disk = self.dir.join(&path);
            let size = std::fs::metadata(&on_disk).map_err(RepositoryError::io(&on_disk))?.len();
            files.push(RepoFile { path, size, kind: FileKind::Metadata });
        }
        Ok(files)
    }

    /// Returns the directory that holds `metadata` and `targets`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn published(&self) -> Published {
        Published {
            targets_version: self.targets.version.get(),
            timestamp_version: self.timestamp_version.get(),
            new_bytes: 0,
        }
    }

    fn replace_targets(
        &mut self,
        targets: HashMap<TargetName, Target>,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        let before = (self.targets.clone(), self.snapshot_version, self.timestamp_version);
        self.targets.targets = targets;
        self.targets.version = self.targets.version.saturating_add(1);
        self.snapshot_version = self.snapshot_version.saturating_add(1);
        self.timestamp_version = self.timestamp_version.saturating_add(1);
        let written = self.write_metadata(now);
        if written.is_err() {
            (self.targets, self.snapshot_version, self.timestamp_version) = before;
        }
        written
    }

    /// Signs and writes every role; only the last rename makes the new state visible.
    fn write_metadata(&mut self, now: Timestamp) -> Result<(), RepositoryError> {
        let metadata = self.dir.join("metadata");
        for (file, bytes) in self.keys.root_files() {
            let path = metadata.join(file);
            if std::fs::read(&path).ok().as_deref() != Some(bytes) {
                write_atomically(&path, bytes)?;
            }
        }
        self.targets.expires = expires(now, self.expiry.targets_s);
        let (_, bytes) = self.keys.sign(self.targets.clone())?;
        write_atomically(&metadata.join(self.targets.filename(true)), &bytes)?;

        let mut snapshot = Snapshot::new(
            SPEC_VERSION.to_owned(),
            self.snapshot_version,
            expires(now, self.expiry.snapshot_s),
        );
        snapshot.meta.insert("targets.json".to_owned(), metafile(&bytes, self.targets.version));
        let (snapshot, bytes) = self.keys.sign(snapshot)?;
        write_atomically(&metadata.join(snapshot.signed.filename(true)), &bytes)?;

        let mut timestamp = TufTimestamp::new(
            SPEC_VERSION.to_owned(),
            self.timestamp_version,
            expires(now, self.expiry.timestamp_s),
        );
        timestamp.meta.insert("snapshot.json".to_owned(), metafile(&bytes, self.snapshot_version));
        let (_, bytes) = self.keys.sign(timestamp)?;
        write_atomically(&metadata.join("timestamp.json"), &bytes)
    }

    /// Copies the bytes of a new target to their place; nothing refers to them yet.
    fn store(&self, new: &NewTarget) -> Result<(Target, u64), RepositoryError> {
        let targets = self.dir.join("targets");
        let mut temporary =
            tempfile::NamedTempFile::new_in(&targets).map_err(RepositoryError::io(&targets))?;
        let (sha256, length) = match &new.source {
            Source::Bytes(bytes) => copy_hashing(&mut bytes.as_slice(), &mut temporary, &targets)?,
            Source::File(path) => {
                let mut file = std::fs::File::open(path).map_err(RepositoryError::io(path))?;
                copy_hashing(&mut file, &mut temporary, path)?
            }
        };
        let name = target_name(&new.name)?;
        let path = self.dir.join(target_path(name.raw(), &sha256));
        let target = Target {
            length,
            hashes: Hashes { sha256: sha256.into(), _extra: HashMap::new() },
            custom: custom_map(new.custom.as_ref()),
            _extra: HashMap::new(),
        };
        if std::fs::metadata(&path).is_ok_and(|found| found.len() == length) {
            return Ok((target, 0));
        }
        let parent = path.parent().unwrap_or(&targets);
        std::fs::create_dir_all(parent).map_err(RepositoryError::io(parent))?;
        temporary.as_file().sync_all().map_err(RepositoryError::io(&path))?;
        temporary.persist(&path).map_err(|e| RepositoryError::Io { path: path.clone(), source: e.error })?;
        sync_directory(parent)?;
        Ok((target, length))
    }

    /// Removes files that nothing refers to any more; what cannot be removed now goes at the next publication.
    fn prune(&self) {
        let metadata = self.dir.join("metadata");
        for (role, newest) in [("targets", self.targets.version), ("snapshot", self.snapshot_version)] {
            let oldest_kept = newest.get().saturating_sub(OLD_VERSIONS_KEPT);
            let old = (1..oldest_kept).rev().map(|v| metadata.join(format!("{v}.{role}.json")));
            for path in old.take_while(|path| path.exists()) {
                drop(std::fs::remove_file(path));
            }
        }
        let live: HashSet<PathBuf> = self
            .targets
            .targets
            .iter()
            .map(|(name, target)| self.dir.join(target_path(name.raw(), &target.hashes.sha256)))
            .collect();
        for path in super::verify::files_below(&self.dir.join("targets")) {
            if !live.contains(&path) {
                drop(std::fs::remove_file(path));
            }
        }
    }
}

fn copy_hashing(
    from: &mut dyn std::io::Read,
    to: &mut tempfile::NamedTempFile,
    path: &Path,
) -> Result<(Vec<u8>, u64), RepositoryError> {
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 18];
    let mut length = 0;
    loop {
        let count = from.read(&mut buffer).map_err(RepositoryError::io(path))?;
        if count == 0 {
            return Ok((hash.finish().as_ref().to_vec(), length));
        }
        hash.update(&buffer[..count]);
        to.write_all(&buffer[..count]).map_err(RepositoryError::io(to.path()))?;
        length += count as u64;
    }
}

fn custom_map(custom: Option<&TargetCustom>) -> HashMap<String, serde_json::Value> {
    custom
        .map(|custom| serde_json::to_value(custom).expect("plain fields always become JSON"))
        .map(|value| (CUSTOM_KEY.to_owned(), value))
        .into_iter()
        .collect()
}

fn metafile(bytes: &[u8], version: NonZeroU64) -> Metafile {
    let sha256 = digest(&SHA256, bytes).as_ref().to_vec();
    Metafile {
        length: Some(bytes.len() as u64),
        hashes: Some(Hashes { sha256: sha256.into(), _extra: HashMap::new() }),
        version,
        _extra: HashMap::new(),
    }
}

/// Accepts names that mean the same to every client and file system.
fn target_name(name: &str) -> Result<TargetName, RepositoryError> {
    let bad = || RepositoryError::TargetName { name: name.to_owned() };
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c))
    };
    if !name.split('/').all(is_plain) {
        return Err(bad());
    }
    TargetName::new(name).map_err(|_| bad())
}

fn read_role<R: Role + serde::de::DeserializeOwned>(
    path: &Path,
    keys: &KeyDir,
) -> Result<R, RepositoryError> {
    let bytes = std::fs::read(path).map_err(RepositoryError::io(path))?;
    let signed: Signed<R> = parse(&bytes, path)?;
    keys.verify_own(&signed)?;
    Ok(signed.signed)
}

fn write_expiry(dir: &Path, expiry: &Expiry) -> Result<(), RepositoryError> {
    let path = dir.join("expiry.json");
    let bytes = serde_json::to_vec_pretty(expiry)
        .map_err(|source| RepositoryError::Malformed { file: path.display().to_string(), source })?;
    write_atomically(&path, &bytes)
}

fn read_expiry(dir: &Path) -> Result<Expiry, RepositoryError> {
    let path = dir.join("expiry.json");
    let bytes = std::fs::read(&path).map_err(RepositoryError::io(&path))?;
    serde_json::from_slice(&bytes)
        .map_err(|source| RepositoryError::Malformed { file: path.display().to_string(), source })
}
