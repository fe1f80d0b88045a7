//! A log file, of a component or of the launcher: appended to, rotated by size, never in the way of anything.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A log is not rotated before it has this size, in bytes.
const ROTATE_BYTES_MIN: u64 = 1 << 10;

/// A file that takes batches of lines.
///
/// When it cannot be written, because the disk is full or its directory is gone, lines are dropped and counted; each
/// batch tries again.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    /// Bytes of batches written so far, to this file and to those before it.
    written: u64,
    rotate_bytes: u64,
    keep: u32,
    /// Why it is not written, and what that has cost so far.
    trouble: Option<Trouble>,
    /// The last write was cut: the next begins with an end of line.
    is_mid_line: bool,
}

/// A log that is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What the system said first.
    pub why: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// Lines that were dropped.
    pub lines: u64,
    /// Bytes that were dropped, as the log would have had them.
    pub bytes: u64,
}

/// A change in whether a log can be written.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// From now on lines are dropped, for this reason.
    Failing(String),
    /// It works again; this is over.
    Again(Trouble),
}

impl LogFile {
    /// Makes a log that opens its file with the first batch.
    ///
    /// It is rotated from `rotate_bytes` on, and `keep` earlier ones are kept.
    #[must_use]
    pub fn new(path: &Path, rotate_bytes: u64, keep: u32) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            size: 0,
            written: 0,
            rotate_bytes: rotate_bytes.max(ROTATE_BYTES_MIN),
            keep,
            trouble: None,
            is_mid_line: false,
        }
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the file; the next batch opens it by its name.
    pub fn reopen(&mut self) {
        self.file = None;
    }

    /// Takes other limits; what is written already is not looked at.
    pub fn set_limits(&mut self, rotate_bytes: u64, keep: u32) {
        (self.rotate_bytes, self.keep) = (rotate_bytes.max(ROTATE_BYTES_MIN), keep);
    }

    /// Returns what keeps it from being written, if anything does.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Appends a batch of so many lines; tells when that stops or begins to work.
    pub fn write(&mut self, batch: &[u8], lines: u64, wall_ms: i64) -> Option<Written> {
        let before = self.written;
        match self.append(batch) {
            Ok(()) => self.trouble.take().map(Written::Again),
            Err(error) => {
                let done = usize::try_from(self.written - before).unwrap_or(batch.len()).min(batch.len());
                let kept = memchr::memchr_iter(b'\n', &batch[..done]).count() as u64;
                // Its directory may be made again, or mounted.
                self.file = None;
                let new = self.trouble.is_none().then(|| Written::Failing(error.to_string()));
                let trouble = self.trouble.get_or_insert_with(|| Trouble {
                    why: error.to_string(),
                    since_ms: wall_ms,
                    lines: 0,
                    bytes: 0,
                });
                trouble.lines += lines - kept.min(lines);
                trouble.bytes += (batch.len() - done) as u64;
                new
            }
        }
    }

    fn append(&mut self, batch: &[u8]) -> io::Result<()> {
        if self.size >= self.rotate_bytes {
            self.rotate()?;
        }
        if self.file.is_none() {
            self.open()?;
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.is_mid_line {
            file.write_all(b"\n")?;
            self.is_mid_line = false;
            self.size += 1;
        }
        let mut rest = batch;
        while !rest.is_empty() {
            let written = match file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            rest = &rest[written..];
            self.size += written as u64;
            self.written += written as u64;
            self.is_mid_line = batch[batch.len() - rest.len() - 1] != b'\n';
        }
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        // Never blocks, should somebody have put a pipe there.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file =
            OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags).open(&self.path)?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// Makes room: `x.log` becomes `x.log.1`, that `x.log.2`, and the last is overwritten.
    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        self.size = 0;
        self.is_mid_line = false;
        if self.keep == 0 {
            return ignore_missing(fs::remove_file(&self.path));
        }
        for number in (1..self.keep).rev() {
            ignore_missing(fs::rename(self.numbered(number), self.numbered(number + 1)))?;
        }
        ignore_missing(fs::rename(&self.path, self.numbered(1)))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_larger_than_its_limit_is_rotated_and_so_many_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut log = LogFile::new(&path, 1024, 2);
        for number in 0..5 {
            let batch = format!("{number}\n{}\n", "x".repeat(1100));
            assert_eq!(log.write(batch.as_bytes(), 2, 0), None);
        }
        let first = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap().chars().next().unwrap();
        assert_eq!([first("a.log"), first("a.log.1"), first("a.log.2")], ['4', '3', '2']);
        assert!(!dir.path().join("a.log.3").exists());
    }

    #[test]
    fn log_that_cannot_be_written_drops_tells_once_and_works_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in/a.log");
        fs::write(dir.path().join("in"), "in the way").unwrap();
        let mut log = LogFile::new(&path, 1024, 2);
        assert!(matches!(log.write(b"a\n", 1, 70), Some(Written::Failing(_))));
        assert_eq!(log.write(b"b\nc\n", 2, 80), None);
        let trouble = log.trouble().unwrap().clone();
        assert_eq!((trouble.since_ms, trouble.lines, trouble.bytes), (70, 3, 6));
        assert!(trouble.why.contains("File exists"), "{trouble:?}");
        fs::remove_file(dir.path().join("in")).unwrap();
        assert_eq!(log.write(b"d\n", 1, 90), Some(Written::Again(trouble)));
        assert_eq!(log.trouble(), None);
        assert_eq!(fs::read_to_string(&path).unwrap(), "d\n");
    }

    #[test]
    fn log_reopened_goes_on_under_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut log = LogFile::new(&path, 1024, 2);
        log.write(b"a\n", 1, 0);
        fs::rename(&path, dir.path().join("moved")).unwrap();
        log.reopen();
        log.write(b"b\n", 1, 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), "b\n");
    }
}
