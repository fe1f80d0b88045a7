//! What a builder has finished and does not need yet: it goes to a file without a name instead of staying in memory.
//!
//! Any number of threads write any number of pieces at a time; each piece is a list of extents of the one file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a writer holds back before it takes an extent.
const BUFFER_BYTES: usize = 64 * 1024;

/// The file; the system removes it when the builder is gone, however it ends.
#[derive(Debug)]
pub(super) struct Spill {
    file: File,
    end: AtomicU64,
}

/// A finished piece.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spilled {
    extents: Vec<(u64, u64)>,
    pub(super) bytes: u64,
}

impl Spill {
    /// Makes the file in `directory`, which is to be on a disk: files of a file system in memory save nothing.
    pub(super) fn new_in(directory: &Path) -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile_in(directory)?, end: AtomicU64::new(0) })
    }

    pub(super) fn writer(&self) -> SpillWriter<'_> {
        SpillWriter { spill: self, buffer: Vec::new(), done: Spilled::default() }
    }

    /// Reads pieces one after the other.
    pub(super) fn reader<'s>(&'s self, pieces: impl IntoIterator<Item = &'s Spilled>) -> SpillReader<'s> {
        let mut extents: Vec<_> = pieces.into_iter().flat_map(|piece| &piece.extents).copied().collect();
        extents.reverse();
        SpillReader { spill: self, extents }
    }

    /// Appends a piece to `into`.
    pub(super) fn copy(&self, piece: &Spilled, into: &mut dyn Write) -> io::Result<()> {
        let mut reader = self.reader([piece]);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(()),
                count => into.write_all(&buffer[..count])?,
            }
        }
    }
}

/// Writes one piece.
#[derive(Debug)]
pub(super) struct SpillWriter<'s> {
    spill: &'s Spill,
    buffer: Vec<u8>,
    done: Spilled,
}

impl SpillWriter<'_> {
    /// Writes out what is held back and returns the piece.
    pub(super) fn finish(mut self) -> io::Result<Spilled> {
        self.flush()?;
        Ok(self.done)
    }

    fn write_out(&mut self, bytes: &[u8]) -> io::Result<()> {
        let count = bytes.len() as u64;
        let start = self.spill.end.fetch_add(count, Ordering::Relaxed);
        self.spill.file.write_all_at(bytes, start)?;
        match self.done.extents.last_mut() {
            Some((last, length)) if *last + *length == start => *length += count,
            _ => self.done.extents.push((start, count)),
        }
        self.done.bytes += count;
        Ok(())
    }
}

impl Write for SpillWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            self.write_out(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            let buffer = std::mem::take(&mut self.buffer);
            self.write_out(&buffer)?;
            self.buffer = buffer;
            self.buffer.clear();
        }
        Ok(())
    }
}

/// Reads pieces one after the other.
#[derive(Debug)]
pub(super) struct SpillReader<'s> {
    spill: &'s Spill,
    /// What is still to be read, the next extent last.
    extents: Vec<(u64, u64)>,
}

impl Read for SpillReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((start, length)) = self.extents.last_mut() else { return Ok(0) };
        let most = usize::try_from(*length).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.spill.file.read_at(&mut buffer[..most], *start)?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (*start, *length) = (*start + count as u64, *length - count as u64);
        if *length == 0 {
            self.extents.pop();
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_written_in_turns_read_back_each_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new_in(dir.path()).unwrap();
        let (mut one, mut other) = (spill.writer(), spill.writer());
        let (mut expected_one, mut expected_other) = (Vec::new(), Vec::new());
        for turn in 0..9_u8 {
            let many = vec![turn; 30_000 * usize::from(turn)];
            one.write_all(&many).unwrap();
            expected_one.extend(many);
            other.write_all(&[turn; 11]).unwrap();
            expected_other.extend([turn; 11]);
        }
        let (one, other) = (one.finish().unwrap(), other.finish().unwrap());
        assert_eq!((one.bytes, other.bytes), (expected_one.len() as u64, 99));
        let mut read = Vec::new();
        spill.reader([&other, &one, &other]).read_to_end(&mut read).unwrap();
        assert_eq!(read, [&expected_other[..], &expected_one, &expected_other].concat());
        let mut copied = Vec::new();
        spill.copy(&one, &mut copied).unwrap();
        assert_eq!(copied, expected_one);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn piece_without_bytes_reads_as_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new_in(dir.path()).unwrap();
        let empty = spill.writer().finish().unwrap();
        assert_eq!(empty, Spilled::default());
        assert_eq!(spill.reader([&empty]).read(&mut [0; 4]).unwrap(), 0);
    }
}
