//! Remembers the digests of files in a given state, so that an unchanged file is not read twice.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::Statx;

use super::ScanError;
use crate::digest::Digest;
use crate::durable::write_atomically;

const MAGIC: &[u8; 16] = b"tender-scan\0\0\0\0\x01";
const RECORD_BYTES: usize = 5 * 8 + 32;
/// The file system's clock ticks at most this coarsely. A file that changed more recently could change again
/// without its times moving, so its digest is not remembered yet.
const CLOCK_TICK_NS: i64 = 20_000_000;

/// A file in one state: any write, rename over it or change of its mode gives another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StatKey {
    pub(super) size: u64,
    device: u64,
    inode: u64,
    mtime_ns: i64,
    ctime_ns: i64,
}

impl StatKey {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            device: metadata.dev(),
            inode: metadata.ino(),
            mtime_ns: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
            ctime_ns: metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec()),
        }
    }

    /// The same of what `statx` says.
    pub(super) fn of_statx(stat: &Statx) -> Self {
        let time_ns = |time: &rustix::fs::StatxTimestamp| {
            time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec.into())
        };
        Self {
            size: stat.stx_size,
            device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            mtime_ns: time_ns(&stat.stx_mtime),
            ctime_ns: time_ns(&stat.stx_ctime),
        }
    }

    fn encode(&self, into: &mut Vec<u8>) {
        for number in [self.size, self.device, self.inode] {
            into.extend(number.to_le_bytes());
        }
        for time in [self.mtime_ns, self.ctime_ns] {
            into.extend(time.to_le_bytes());
        }
    }

    fn decode(record: &[u8]) -> Option<Self> {
        let number = |at: usize| record.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let time = |at: usize| record.get(at..at + 8)?.try_into().ok().map(i64::from_le_bytes);
        Some(Self {
            size: number(0)?,
            device: number(8)?,
            inode: number(16)?,
            mtime_ns: time(24)?,
            ctime_ns: time(32)?,
        })
    }
}

/// A digest that was loaded.
#[derive(Debug)]
struct Loaded {
    digest: Digest,
    use_: AtomicU8,
}

/// Not looked up in this run; what no run uses any more is not kept.
const UNUSED: u8 = 0;
const USED: u8 = 1;
/// Found to be another in this run.
const REPLACED: u8 = 2;

/// The digests remembered in one file on disk.
///
/// It is a cache: a damaged or missing file is an empty cache. [`ScanCache::save`] keeps what was used since it was
/// loaded, so scan all directories that share the cache before saving it.
#[derive(Debug)]
pub struct ScanCache {
    path: PathBuf,
    /// Does not grow, so that threads look things up without waiting for each other.
    loaded: HashMap<StatKey, Loaded>,
    added: Mutex<HashMap<StatKey, Digest>>,
}

impl ScanCache {
    /// Loads the cache kept at `path`; empty when there is none or it is damaged.
    #[must_use]
    pub fn load(path: &Path) -> Self {
        let loaded = fs::read(path).ok().and_then(|bytes| decode(&bytes)).unwrap_or_default();
        Self { path: path.to_owned(), loaded, added: Mutex::default() }
    }

    /// Keeps the cache at the path it was loaded from.
    pub fn save(&self) -> Result<(), ScanError> {
        let mut bytes = MAGIC.to_vec();
        let mut put = |key: &StatKey, digest: &Digest| {
            key.encode(&mut bytes);
            bytes.extend(digest.as_bytes());
        };
        let used = self.loaded.iter().filter(|(_, one)| one.use_.load(Ordering::Relaxed) == USED);
        used.for_each(|(key, one)| put(key, &one.digest));
        self.added().iter().for_each(|(key, digest)| put(key, digest));
        let checksum = Digest::of(&bytes);
        bytes.extend(checksum.as_bytes());
        write_atomically(&self.path, &bytes).map_err(ScanError::Cache)
    }

    /// Returns how many digests are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        let replaced = self.loaded.values().filter(|one| one.use_.load(Ordering::Relaxed) == REPLACED);
        self.loaded.len() - replaced.count() + self.added().len()
    }

    /// Tells whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn added(&self) -> MutexGuard<'_, HashMap<StatKey, Digest>> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lookup(&self, key: &StatKey) -> Option<Digest> {
        match self.loaded.get(key) {
            Some(one) if one.use_.load(Ordering::Relaxed) != REPLACED => {
                one.use_.store(USED, Ordering::Relaxed);
                Some(one.digest)
            }
            _ => self.added().get(key).copied(),
        }
    }

    pub(super) fn remember(&self, key: StatKey, digest: Digest) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let is_settled = i64::try_from(now).is_ok_and(|now| key.ctime_ns < now - CLOCK_TICK_NS);
        if !is_settled {
            return;
        }
        let mut added = self.added();
        match self.loaded.get(&key) {
            Some(one) if one.digest == digest && !added.contains_key(&key) => {
                one.use_.store(USED, Ordering::Relaxed);
            }
            known => {
                added.insert(key, digest);
                known.into_iter().for_each(|one| one.use_.store(REPLACED, Ordering::Relaxed));
            }
        }
    }
}

fn decode(bytes: &[u8]) -> Option<HashMap<StatKey, Loaded>> {
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    if Digest::of(body).as_bytes() != checksum {
        return None;
    }
    let records = body.strip_prefix(MAGIC)?;
    let mut entries = HashMap::with_capacity(records.len() / RECORD_BYTES);
    for record in records.chunks_exact(RECORD_BYTES) {
        let digest = Digest::from_bytes(record[RECORD_BYTES - 32..].try_into().ok()?);
        entries.insert(StatKey::decode(record)?, Loaded { digest, use_: AtomicU8::new(UNUSED) });
    }
    Some(entries)
}
