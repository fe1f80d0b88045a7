//! The servlink as a file: header, sections, seal.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{InspectError, Section, ServlinkHeader};
use crate::digest::Digest;

const MAGIC: &[u8; 8] = b"TNDRSLK\x01";
const HEADER_PACKED_BYTES_MAX: u64 = 4 << 20;
const HEADER_BYTES_MAX: usize = 16 << 20;
const PREFIX_BYTES: u64 = 12;
const SEAL_BYTES: u64 = 32;
const BUFFER_BYTES: usize = 128 * 1024;
/// The header is small; a stronger level would take more memory than all the rest of a small build.
const HEADER_LEVEL: i32 = 9;

/// Writes header, sections and seal; returns how many bytes that were.
///
/// `sections` writes what the header describes, in that order.
pub(super) fn assemble(
    header: &ServlinkHeader,
    into: &mut dyn Write,
    sections: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<u64> {
    let json = serde_json::to_vec(header)?;
    let packed = zstd::bulk::compress(&json, HEADER_LEVEL)?;
    let packed_bytes =
        u32::try_from(packed.len()).map_err(|_| io::Error::other("the header is too large"))?;
    let mut sealing = Sealing { into, hasher: blake3::Hasher::new(), bytes: 0 };
    sealing.write_all(MAGIC)?;
    sealing.write_all(&packed_bytes.to_le_bytes())?;
    sealing.write_all(&packed)?;
    sections(&mut sealing)?;
    let seal = sealing.hasher.finalize();
    sealing.into.write_all(seal.as_bytes())?;
    Ok(sealing.bytes + SEAL_BYTES)
}

/// Computes the seal of what passes.
struct Sealing<'w> {
    into: &'w mut dyn Write,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Write for Sealing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.into.write_all(bytes)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// An open servlink whose seal has been checked.
#[derive(Debug)]
pub(super) struct ServlinkFile {
    file: File,
    pub(super) header: ServlinkHeader,
    /// Where each section starts.
    offsets: Vec<u64>,
}

impl ServlinkFile {
    pub(super) fn open(path: &Path) -> Result<Self, InspectError> {
        let failed = |source| InspectError::Read { path: path.to_owned(), source };
        let damaged = |what: &str| InspectError::Damaged { path: path.to_owned(), what: what.to_owned() };
        let file = File::open(path).map_err(failed)?;
        let file_bytes = file.metadata().map_err(failed)?.len();
        let mut prefix = [0; 12];
        match file.read_exact_at(&mut prefix, 0) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(InspectError::NotServlink { path: path.to_owned() });
            }
            read => read.map_err(failed)?,
        }
        let (magic, length) = prefix.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(InspectError::NotServlink { path: path.to_owned() });
        }
        let length = length.iter().rev().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
        let header_end = PREFIX_BYTES + length;
        let seal_at = file_bytes.checked_sub(SEAL_BYTES).filter(|at| *at >= header_end);
        let seal_at =
            seal_at.filter(|_| length <= HEADER_PACKED_BYTES_MAX).ok_or_else(|| damaged("the header"))?;
        let header = read_header(&file, length).map_err(failed)?.ok_or_else(|| damaged("the header"))?;
        let mut offsets = vec![header_end];
        for section in &header.sections {
            let start = offsets.last().copied().unwrap_or(header_end);
            let end = start.checked_add(section.packed_bytes).filter(|end| *end <= seal_at);
            offsets.push(end.ok_or_else(|| damaged(&format!("section `{}` (cut short)", section.name)))?);
        }
        let opened = Self { file, header, offsets };
        match opened.fault(seal_at).map_err(failed)? {
            Some(what) => Err(damaged(&what)),
            None => Ok(opened),
        }
    }

    /// Names the first part that is not as it was written.
    fn fault(&self, seal_at: u64) -> io::Result<Option<String>> {
        let mut seal = [0; 32];
        self.file.read_exact_at(&mut seal, seal_at)?;
        if self.offsets.last() == Some(&seal_at) && self.digest(0, seal_at)? == Digest::from_bytes(seal) {
            return Ok(None);
        }
        for (section, start) in self.header.sections.iter().zip(&self.offsets) {
            if self.digest(*start, *start + section.packed_bytes)? != section.digest {
                return Ok(Some(format!("section `{}`", section.name)));
            }
        }
        Ok(Some("the header or the seal".to_owned()))
    }

    fn digest(&self, start: u64, end: u64) -> io::Result<Digest> {
        let mut hasher = blake3::Hasher::new();
        let mut reader = Window { file: &self.file, at: start, end };
        io::copy(&mut reader, &mut hasher)?;
        Ok(hasher.finalize().into())
    }

    /// Opens a section by its number.
    pub(super) fn section(&self, number: usize) -> Option<(&Section, Box<dyn BufRead + '_>)> {
        let section = self.header.sections.get(number)?;
        let start = *self.offsets.get(number)?;
        let window = Window { file: &self.file, at: start, end: start + section.packed_bytes };
        Some((section, Box::new(BufReader::with_capacity(BUFFER_BYTES, window))))
    }
}

fn read_header(file: &File, length: u64) -> io::Result<Option<ServlinkHeader>> {
    let mut packed = Vec::new();
    Window { file, at: PREFIX_BYTES, end: PREFIX_BYTES + length }.read_to_end(&mut packed)?;
    let json = zstd::bulk::decompress(&packed, HEADER_BYTES_MAX);
    Ok(json.ok().and_then(|json| serde_json::from_slice(&json).ok()))
}

/// Reads a servlink's header after checking that every byte of the file is as it was written.
pub fn inspect(path: &Path) -> Result<ServlinkHeader, InspectError> {
    ServlinkFile::open(path).map(|file| file.header)
}

/// Reads a stretch of a file without moving the file's own position.
struct Window<'f> {
    file: &'f File,
    at: u64,
    end: u64,
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Returns an error for a servlink that was fine when it was opened and is not any more.
pub(super) fn changed_meanwhile(path: &Path) -> InspectError {
    InspectError::Damaged { path: PathBuf::from(path), what: "a section".to_owned() }
}
