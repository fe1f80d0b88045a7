//! Reads zip archives, as wheels and jars are: stored and deflated members, also of zip64, no encryption.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::ImportError;
use super::archive::Collector;
use crate::progress::Progress;
use crate::tree::Node;

const END_MAGIC: u32 = 0x0605_4b50;
const END_BYTES: usize = 22;
const CENTRAL_MAGIC: u32 = 0x0201_4b50;
const CENTRAL_BYTES: usize = 46;
const LOCAL_MAGIC: u32 = 0x0403_4b50;
const LOCAL_BYTES: usize = 30;
const END64_MAGIC: u32 = 0x0606_4b50;
const END64_BYTES: usize = 56;
const LOCATOR64_MAGIC: u32 = 0x0706_4b50;
const LOCATOR64_BYTES: usize = 20;
/// The extra field with the numbers that do not fit 32 bits.
const EXTRA_ZIP64: u16 = 1;
/// Stands where the number is in the zip64 fields.
const IN_ZIP64: u32 = u32::MAX;
const FLAG_ENCRYPTED: u16 = 1;
const METHOD_STORED: u16 = 0;
const METHOD_DEFLATED: u16 = 8;
const MADE_BY_UNIX: u16 = 3;
const MODE_KIND: u32 = 0o170_000;
const MODE_SYMLINK: u32 = 0o120_000;
const MODE_FILE: u32 = 0o100_000;
/// Length limit of a link target inside an archive.
const TARGET_BYTES_MAX: u64 = 4096;

struct Member {
    name: Vec<u8>,
    method: u16,
    crc: u32,
    compressed_bytes: u64,
    bytes: u64,
    local_offset: u64,
    unix_mode: u32,
}

/// Adds the members of a zip archive to `into`.
pub(super) fn import_zip(
    file: &mut File,
    archive: &Path,
    into: &mut Collector<'_>,
    progress: &dyn Progress,
) -> Result<(), ImportError> {
    let damaged =
        |reason: &str| ImportError::DamagedArchive { path: archive.to_owned(), reason: reason.to_owned() };
    let failed = |source: io::Error| ImportError::Read { path: archive.to_owned(), source };
    let directory = central_directory(file).map_err(failed)?.ok_or_else(|| damaged("it has no directory"))?;
    for member in members(&directory).ok_or_else(|| damaged("its directory is not readable"))? {
        progress.advance(member.compressed_bytes);
        let Some(part) = into.part_path(&member.name)? else { continue };
        if member.name.ends_with(b"/") {
            into.insert(part, Node::Directory)?;
            continue;
        }
        let data = open_member(file, &member).map_err(failed)?;
        let data =
            data.ok_or_else(|| damaged(&format!("member `{part}` has no data or an unknown method")))?;
        let mut checked = Checked { inner: data.take(member.bytes + 1), crc: flate2::Crc::new() };
        let node = match member.unix_mode & MODE_KIND {
            MODE_SYMLINK => {
                let mut target = String::new();
                let read = (&mut checked).take(TARGET_BYTES_MAX).read_to_string(&mut target);
                read.map_err(failed)?;
                Node::Symlink { target }
            }
            0 | MODE_FILE => {
                let mode = if member.unix_mode & 0o777 == 0 { 0o644 } else { member.unix_mode & 0o7777 };
                into.file(&part, mode, &mut checked, archive)?
            }
            _ => return Err(ImportError::Kind { part: part.to_string(), what: "neither file nor link" }),
        };
        if checked.crc.sum() != member.crc || checked.inner.limit() != 1 {
            return Err(damaged(&format!("member `{part}` has another length or checksum than it says")));
        }
        into.insert(part, node)?;
    }
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}

/// Reads the central directory, which the record at the very end of the file points to.
fn central_directory(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let file_bytes = file.metadata()?.len();
    let tail_bytes = file_bytes.min(END_BYTES as u64 + u64::from(u16::MAX));
    file.seek(SeekFrom::Start(file_bytes - tail_bytes))?;
    let mut tail = Vec::new();
    file.take(tail_bytes).read_to_end(&mut tail)?;
    let mut starts = (0..=tail.len().saturating_sub(END_BYTES)).rev();
    let Some(end) = starts.find(|at| u32_at(&tail, *at) == Some(END_MAGIC)) else { return Ok(None) };
    let (Some(bytes), Some(offset)) = (u32_at(&tail, end + 12), u32_at(&tail, end + 16)) else {
        return Ok(None);
    };
    let (mut bytes, mut offset) = (u64::from(bytes), u64::from(offset));
    let locator = end.checked_sub(LOCATOR64_BYTES).filter(|at| u32_at(&tail, *at) == Some(LOCATOR64_MAGIC));
    if let Some(end64) = locator.and_then(|at| u64_at(&tail, at + 8)) {
        match end_of_zip64(file, end64, file_bytes)? {
            Some(found) => (bytes, offset) = found,
            None => return Ok(None),
        }
    }
    if offset.checked_add(bytes).is_none_or(|end| end > file_bytes) {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut directory = Vec::new();
    file.take(bytes).read_to_end(&mut directory)?;
    Ok(Some(directory))
}

/// Returns size and place of the directory as the zip64 record at `at` gives them.
fn end_of_zip64(file: &mut File, at: u64, file_bytes: u64) -> io::Result<Option<(u64, u64)>> {
    if at.checked_add(END64_BYTES as u64).is_none_or(|end| end > file_bytes) {
        return Ok(None);
    }
    let mut end = [0; END64_BYTES];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut end)?;
    let is_end = u32_at(&end, 0) == Some(END64_MAGIC);
    Ok(u64_at(&end, 40).zip(u64_at(&end, 48)).filter(|_| is_end))
}

fn members(directory: &[u8]) -> Option<Vec<Member>> {
    let mut members = Vec::new();
    let mut rest = directory;
    while !rest.is_empty() {
        if u32_at(rest, 0)? != CENTRAL_MAGIC || u16_at(rest, 8)? & FLAG_ENCRYPTED != 0 {
            return None;
        }
        let name_end = CENTRAL_BYTES + usize::from(u16_at(rest, 28)?);
        let extra_end = name_end + usize::from(u16_at(rest, 30)?);
        let next = extra_end + usize::from(u16_at(rest, 32)?);
        let mut large = large_numbers(rest.get(name_end..extra_end)?);
        // In this order, and only those that do not fit.
        let mut number = |at: usize| match u32_at(rest, at)? {
            IN_ZIP64 => large.next(),
            small => Some(u64::from(small)),
        };
        let (bytes, compressed_bytes, local_offset) = (number(24)?, number(20)?, number(42)?);
        let is_unix = u16_at(rest, 4)? >> 8 == MADE_BY_UNIX;
        members.push(Member {
            name: rest.get(CENTRAL_BYTES..name_end)?.to_vec(),
            method: u16_at(rest, 10)?,
            crc: u32_at(rest, 16)?,
            compressed_bytes,
            bytes,
            local_offset,
            unix_mode: if is_unix { u32_at(rest, 38)? >> 16 } else { 0 },
        });
        rest = rest.get(next..)?;
    }
    Some(members)
}

/// Returns the numbers of the zip64 field among the extra fields of a member; none without it.
fn large_numbers(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut numbers = &[][..];
    while let (Some(kind), Some(size)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some((field, rest)) = extra[4..].split_at_checked(usize::from(size)) else { break };
        if kind == EXTRA_ZIP64 {
            numbers = field;
            break;
        }
        extra = rest;
    }
    numbers.chunks_exact(8).filter_map(|number| u64_at(number, 0))
}

fn open_member<'f>(file: &'f mut File, member: &Member) -> io::Result<Option<Box<dyn Read + 'f>>> {
    let mut local = [0; LOCAL_BYTES];
    file.seek(SeekFrom::Start(member.local_offset))?;
    file.read_exact(&mut local)?;
    let (Some(LOCAL_MAGIC), Some(name_bytes), Some(extra_bytes)) =
        (u32_at(&local, 0), u16_at(&local, 26), u16_at(&local, 28))
    else {
        return Ok(None);
    };
    file.seek(SeekFrom::Current(i64::from(name_bytes) + i64::from(extra_bytes)))?;
    let data = io::BufReader::new(file.take(member.compressed_bytes));
    Ok(match member.method {
        METHOD_STORED => Some(Box::new(data)),
        METHOD_DEFLATED => Some(Box::new(flate2::bufread::DeflateDecoder::new(data))),
        _ => None,
    })
}

/// Computes the checksum of what passes.
struct Checked<R> {
    inner: R,
    crc: flate2::Crc,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.crc.update(&buffer[..count]);
        Ok(count)
    }
}
