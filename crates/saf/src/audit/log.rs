//! The file: chained lines, appended in batches, checked from end to end.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::line::{Bodies, LINE_BYTES_MAX, Line};
use super::{AuditEntry, AuditError};

/// Where a log ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Lines.
    pub count: u64,
    /// Digest (BLAKE3, hexadecimal) of the last line; of nothing when there is none.
    pub last: String,
}

impl AuditHead {
    fn empty() -> Self {
        Self { count: 0, last: digest(b"") }
    }

    fn hash(&self) -> blake3::Hash {
        blake3::Hash::from_hex(&self.last).expect("a digest is only made by hashing")
    }
}

fn digest(line: &[u8]) -> String {
    blake3::hash(line).to_hex().to_string()
}

/// A log opened for adding to it.
///
/// Shape: several processes may add at once, each under a lock on the file.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    file: File,
    /// Where the last line ended that this process wrote or read.
    end: u64,
    head: AuditHead,
}

fn io(step: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AuditError {
    let path = path.to_owned();
    move |source| AuditError::Io { step, path, source }
}

impl AuditLog {
    /// Opens a log, making it (mode 0640) if it is not there.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o640);
        let file = options.open(path).map_err(io("open", path))?;
        let head = AuditHead::empty();
        let mut log = Self { path: path.to_owned(), file, end: 0, head };
        let guard = log.lock()?;
        log.catch_up()?;
        drop(guard);
        Ok(log)
    }

    /// Returns where the log ended when it was last looked at.
    pub fn head(&self) -> &AuditHead {
        &self.head
    }

    /// Adds entries: all of them, or, with an error, none.
    ///
    /// The bytes are on disk when this returns.
    pub fn append(&mut self, entries: &[AuditEntry]) -> Result<(), AuditError> {
        let mut bodies = Bodies::default();
        for entry in entries {
            bodies.push(entry);
        }
        self.append_bodies(&bodies).map(drop)
    }

    /// Adds entries that were made ready: all of them, or, with an error, none. Returns the number of the first line.
    pub(super) fn append_bodies(&mut self, bodies: &Bodies) -> Result<u64, AuditError> {
        if bodies.is_empty() {
            return Ok(self.head.count + 1);
        }
        let guard = self.lock()?;
        self.catch_up()?;
        let mut bytes = Vec::new();
        let first = self.head.count + 1;
        let last = bodies.write_chain(&mut bytes, self.head.count, self.head.hash());
        let count = self.head.count + bodies.len() as u64;
        let head = AuditHead { count, last: last.to_hex().to_string() };
        let written = self
            .file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(&bytes))
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a batch must not stay; if this fails too, the next attempt cuts it off.
            let cut = self.file.set_len(self.end);
            return Err(io(if cut.is_ok() { "write" } else { "write and cut" }, &self.path)(error));
        }
        self.end += bytes.len() as u64;
        self.head = head;
        drop(guard);
        Ok(first)
    }

    /// Locks the file; the lock belongs to a second handle, so that dropping it unlocks.
    fn lock(&self) -> Result<File, AuditError> {
        let handle = File::open(&self.path).map_err(io("open", &self.path))?;
        rustix::fs::flock(&handle, FlockOperation::LockExclusive)
            .map_err(|error| io("lock", &self.path)(error.into()))?;
        Ok(handle)
    }

    /// Reads the last line again if somebody else has written, and cuts off what a crash left unfinished.
    fn catch_up(&mut self) -> Result<(), AuditError> {
        let length = self.file.metadata().map_err(io("read", &self.path))?.len();
        if length == self.end {
            return Ok(());
        }
        let (end, last) = last_line(&mut self.file, length).map_err(io("read", &self.path))?;
        if let Some(line) = last {
            let failed = |source| AuditError::Malformed { path: self.path.clone(), line: 0, source };
            let read: Line = serde_json::from_slice(&line).map_err(failed)?;
            self.head = AuditHead { count: read.seq, last: digest(&line) };
        } else {
            self.head = AuditHead::empty();
        }
        if end < length {
            self.file.set_len(end).map_err(io("cut", &self.path))?;
        }
        self.end = end;
        Ok(())
    }

    /// Walks a whole log and says where it ends, or where it breaks. A log that is not there is empty.
    pub fn verify(path: &Path) -> Result<AuditHead, AuditError> {
        let mut head = AuditHead::empty();
        let file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(head),
            opened => opened.map_err(io("open", path))?,
        };
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(io("read", path))?;
            let number = head.count + 1;
            let failed = |source| AuditError::Malformed { path: path.to_owned(), line: number, source };
            let read: Line = serde_json::from_slice(&line).map_err(failed)?;
            if read.seq != number || read.prev != head.last {
                return Err(AuditError::Broken { path: path.to_owned(), line: number });
            }
            if let Some(what) = read.entry.contradiction() {
                return Err(AuditError::Contradiction { path: path.to_owned(), line: number, what });
            }
            head = AuditHead { count: number, last: digest(&line) };
        }
        Ok(head)
    }

    /// Returns the entries of a log, oldest first, without checking the chain.
    pub fn read(path: &Path) -> Result<Vec<AuditEntry>, AuditError> {
        let file = File::open(path).map_err(io("open", path))?;
        let mut entries = Vec::new();
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(io("read", path))?;
            let number = entries.len() as u64 + 1;
            let failed = |source| AuditError::Malformed { path: path.to_owned(), line: number, source };
            entries.push(serde_json::from_slice::<Line>(&line).map_err(failed)?.entry);
        }
        Ok(entries)
    }
}

/// Returns where the last whole line ends, and the line itself without its line feed.
fn last_line(file: &mut File, length: u64) -> std::io::Result<(u64, Option<Vec<u8>>)> {
    let from = length.saturating_sub(2 * LINE_BYTES_MAX as u64);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(length - from).read_to_end(&mut tail)?;
    let Some(last_feed) = tail.iter().rposition(|byte| *byte == b'\n') else {
        // Nothing of ours is that long: what is there must not be cut off.
        let is_ours = from == 0;
        return if is_ours { Ok((0, None)) } else { Err(std::io::ErrorKind::InvalidData.into()) };
    };
    let start = tail[..last_feed].iter().rposition(|byte| *byte == b'\n').map_or(0, |feed| feed + 1);
    Ok((from + last_feed as u64 + 1, Some(tail[start..last_feed].to_vec())))
}
