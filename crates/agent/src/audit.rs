//! The audit log: who changed what, when and how it ended, in lines that each hold the digest of the line before.
//!
//! A line cannot be changed, taken out or put in without every later line contradicting it. What a chain alone
//! cannot show is that its end was cut off; the principal keeps the count and digest of its last visit for that.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tender_content::Digest;
pub use tender_package::audit::{AuditEvent, AuditRecord};
use tender_package::audit::{ChainError, beginning, follow_line};
use tender_package::report::AuditHead;

/// The longest line that is believed.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What a whole log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSummary {
    /// Lines.
    pub count: u64,
    /// Digest of the last line.
    pub last: Digest,
}

/// Says what is wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file could not be used.
    #[error("{step} audit log `{}`", path.display())]
    Io {
        /// What was being done.
        step: &'static str,
        /// Which log.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A line is not a record.
    #[error("line {line} of audit log `{}` is not a record", path.display())]
    Malformed {
        /// Which log.
        path: PathBuf,
        /// Which line.
        line: u64,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A line does not follow from the one before.
    #[error("line {line} of audit log `{}` does not follow from the line before: the log was changed", path.display())]
    Broken {
        /// Which log.
        path: PathBuf,
        /// Which line.
        line: u64,
    },
}

impl AuditError {
    fn io(step: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { step, path, source }
    }
}

/// Adds one line, durably. Several processes may do so at once.
pub fn append(path: &Path, at: Timestamp, event: AuditEvent) -> Result<(), AuditError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(path)
        .map_err(AuditError::io("open", path))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|error| AuditError::io("lock", path)(error.into()))?;
    let (end, last) = last_line(&mut file).map_err(AuditError::io("read", path))?;
    let (seq, prev) = match &last {
        None => (1, Digest::of(b"")),
        Some(line) => {
            let malformed = |source| AuditError::Malformed { path: path.to_owned(), line: 0, source };
            let record: AuditRecord = serde_json::from_slice(line).map_err(malformed)?;
            (record.seq + 1, Digest::of(line))
        }
    };
    let record = AuditRecord { seq, at, prev, event };
    let mut line = serde_json::to_vec(&record).expect("plain fields always become JSON");
    line.push(b'\n');
    // A line that a crash cut short was never answered for, so the new one takes its place.
    file.set_len(end)
        .and_then(|()| file.seek(SeekFrom::Start(end)))
        .and_then(|_| file.write_all(&line))
        .and_then(|()| file.sync_all())
        .map_err(AuditError::io("write", path))
}

/// Returns where the log ends now, looking at its last line alone; `None` when nothing is recorded.
pub fn head(path: &Path) -> Result<Option<AuditHead>, AuditError> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(AuditError::io("open", path))?,
    };
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockShared)
        .map_err(|error| AuditError::io("lock", path)(error.into()))?;
    let (_, last) = last_line(&mut file).map_err(AuditError::io("read", path))?;
    let Some(line) = last else { return Ok(None) };
    let malformed = |source| AuditError::Malformed { path: path.to_owned(), line: 0, source };
    let record: AuditRecord = serde_json::from_slice(&line).map_err(malformed)?;
    Ok(Some(AuditHead { count: record.seq, last: Digest::of(&line) }))
}

/// Returns where the last whole line ends and the line itself without its line feed.
fn last_line(file: &mut File) -> std::io::Result<(u64, Option<Vec<u8>>)> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(2 * LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let Some(last_feed) = tail.iter().rposition(|byte| *byte == b'\n') else { return Ok((from, None)) };
    let start = tail[..last_feed].iter().rposition(|byte| *byte == b'\n').map_or(0, |feed| feed + 1);
    Ok((from + last_feed as u64 + 1, Some(tail[start..last_feed].to_vec())))
}

/// Walks the whole chain and says how long it is, or where it breaks.
pub fn verify(path: &Path) -> Result<AuditSummary, AuditError> {
    let mut end = beginning();
    let summary = |end: AuditHead| AuditSummary { count: end.count, last: end.last };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(summary(end)),
        Err(error) => return Err(AuditError::io("open", path)(error)),
    };
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(AuditError::io("read", path))?;
        (end, _) = follow_line(end, &line).map_err(|error| match error {
            ChainError::Malformed { line, source } => {
                AuditError::Malformed { path: path.to_owned(), line, source }
            }
            ChainError::Broken { line } => AuditError::Broken { path: path.to_owned(), line },
        })?;
    }
    Ok(summary(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(subject: &str) -> AuditEvent {
        AuditEvent {
            who: "CSMWORK".to_owned(),
            what: "LOAD".to_owned(),
            subject: subject.to_owned(),
            result: "0".to_owned(),
        }
    }

    fn log() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        for subject in ["one", "two", "three"] {
            append(&path, Timestamp::UNIX_EPOCH, event(subject)).unwrap();
        }
        (dir, path)
    }

    #[test]
    fn log_of_three_lines_is_whole() {
        let (_dir, path) = log();
        assert_eq!(verify(&path).unwrap().count, 3);
        assert_eq!(verify(Path::new("/nonexistent/audit.log")).unwrap().count, 0);
    }

    #[test]
    fn head_is_what_walking_the_whole_log_finds() {
        let (_dir, path) = log();
        let whole = verify(&path).unwrap();
        let AuditHead { count, last } = head(&path).unwrap().unwrap();
        assert_eq!((count, last), (whole.count, whole.last));
        // A line cut short by a crash is not answered for yet.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"seq\":4").unwrap();
        assert_eq!(head(&path).unwrap().unwrap().last, whole.last);
        assert_eq!(head(Path::new("/nonexistent/audit.log")).unwrap(), None);
    }

    #[test]
    fn log_with_a_changed_line_is_broken_at_the_next() {
        let (_dir, path) = log();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("two", "tWo")).unwrap();
        assert!(matches!(verify(&path), Err(AuditError::Broken { line: 3, .. })));
    }

    #[test]
    fn log_without_a_line_is_broken() {
        let (_dir, path) = log();
        let text = std::fs::read_to_string(&path).unwrap();
        let kept: Vec<&str> = text.lines().filter(|line| !line.contains("two")).collect();
        std::fs::write(&path, kept.join("\n")).unwrap();
        assert!(matches!(verify(&path), Err(AuditError::Broken { line: 2, .. })));
    }

    #[test]
    fn line_cut_short_by_a_crash_is_replaced() {
        let (_dir, path) = log();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"seq\":4,\"at\":");
        std::fs::write(&path, text).unwrap();
        append(&path, Timestamp::UNIX_EPOCH, event("four")).unwrap();
        assert_eq!(verify(&path).unwrap().count, 4);
    }
}
