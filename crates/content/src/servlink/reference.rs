//! The bytes a text group refers to, laid out one after the other.
//!
//! Few bytes are held in memory: they are there once and gone with the group. Many go to a file without a name that is
//! mapped, so that the memory a receiver needs does not grow with what it has.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Deref;
use std::path::PathBuf;

use super::text;
use crate::mapped::Mapped;

/// So many bytes are held in memory.
const MEMORY_BYTES_MAX: usize = 12 << 20;
/// A reference that grows beyond this is none that a builder makes.
const BYTES_MAX: u64 = 4 * text::REFERENCE_BYTES_MAX;

/// A reference being laid out.
#[derive(Debug)]
pub(super) struct Laid {
    directory: PathBuf,
    /// What is not in the file yet.
    memory: Vec<u8>,
    file: Option<File>,
    written: u64,
}

/// A reference laid out.
#[derive(Debug)]
pub(super) enum Reference {
    Memory(Vec<u8>),
    File(Mapped),
}

impl Laid {
    /// Starts one; the file, when there is need for one, is made in `directory`.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, memory: Vec::new(), file: None, written: 0 }
    }

    /// Returns where `size` more bytes may be appended in memory; `None` when they are to be written.
    pub(super) fn room(&mut self, size: u64) -> Option<&mut Vec<u8>> {
        let fits = self.memory.len() as u64 + size <= MEMORY_BYTES_MAX as u64;
        fits.then_some(&mut self.memory)
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile_in(&self.directory)?);
        }
        if let Some(file) = &mut self.file {
            file.write_all(&self.memory)?;
        }
        self.written += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<Reference> {
        if self.file.is_some() {
            self.spill()?;
        }
        match &self.file {
            None => Ok(Reference::Memory(self.memory)),
            Some(file) => Ok(Reference::File(Mapped::of_immutable(file)?)),
        }
    }
}

impl Write for Laid {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(MEMORY_BYTES_MAX)];
        if self.memory.len() + bytes.len() > MEMORY_BYTES_MAX {
            self.spill()?;
        }
        if self.written + (self.memory.len() + bytes.len()) as u64 > BYTES_MAX {
            return Err(io::Error::other("a text group refers to more than is allowed"));
        }
        self.memory.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Deref for Reference {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            Self::File(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_beyond_memory_reads_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut laid = Laid::new(dir.path().to_owned());
        laid.room(3).unwrap().extend(b"abc");
        let many: Vec<u8> = (0..7_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        laid.write_all(&many).unwrap();
        laid.write_all(&many).unwrap();
        laid.write_all(b"end").unwrap();
        let reference = laid.finish().unwrap();
        assert!(matches!(reference, Reference::File(_)));
        assert_eq!(*reference, [b"abc", &many[..], &many[..], b"end"].concat()[..]);
    }

    #[test]
    fn reference_of_few_bytes_stays_in_memory() {
        let mut laid = Laid::new(PathBuf::from("/nonexistent-tender"));
        laid.write_all(b"ab").unwrap();
        laid.room(1).unwrap().push(b'c');
        assert!(laid.room(MEMORY_BYTES_MAX as u64).is_none());
        assert_eq!(*laid.finish().unwrap(), *b"abc");
    }

    #[test]
    fn reference_larger_than_any_builder_makes_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut laid = Laid::new(dir.path().to_owned());
        laid.written = BYTES_MAX - 1;
        laid.write_all(b"a").unwrap();
        assert!(laid.write_all(b"b").is_err());
    }
}
