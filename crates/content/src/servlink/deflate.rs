//! Deflate streams inside gzip and zip files, opened so that their content can be compared.
//!
//! A file becomes alternating pieces: raw bytes, and deflate streams replaced by what they inflate to. What the
//! compressor did is kept as corrections from which exactly the same stream is made again; a stream for which that
//! fails stays raw. The pieces are written into the servlink, so the receiver parses no container.

use std::collections::HashSet;
use std::io::{self, Read};

use preflate_rs::{PreflateConfig, preflate_whole_deflate_stream, recreate_whole_deflate_stream};

use super::bytes::{Cursor, Malformed, put_number};

/// Largest inflated stream that is opened: builder and receiver hold it in memory a few times over.
pub(super) const STREAM_BYTES_MAX: usize = 6 << 20;
/// Smallest stream worth opening.
const STREAM_BYTES_MIN: usize = 64;
const CHAIN_LENGTH_MAX: u32 = 4096;
/// How far back a deflate stream refers.
const DEFLATE_WINDOW_BYTES: usize = 32 * 1024;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b, 8];
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

const GZIP_HEADER_BYTES: usize = 10;
const ZIP_LOCAL_BYTES: usize = 30;
const ZIP_CENTRAL_BYTES: usize = 46;
const ZIP_END_BYTES: usize = 22;

/// Where a deflate stream lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
}

/// Bytes that stay, then a deflate stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OldPiece {
    raw: u64,
    packed: u64,
}

/// Bytes that stay, then an inflated stream and the corrections that deflate it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NewPiece {
    raw: u64,
    plain: u64,
    corrections: u64,
}

/// What was opened of a new file and of its counterpart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) pieces: Vec<NewPiece>,
    pub(super) old_pieces: Vec<OldPiece>,
    /// Bytes of the new file opened.
    pub(super) bytes: u64,
    /// Bytes of the old one opened.
    pub(super) old_bytes: u64,
    /// Bytes the opened streams of the new file have in it.
    pub(super) packed_bytes: u64,
    /// What a receiver spends on making those streams again, about, in nanoseconds of one core.
    pub(super) cost_ns: u64,
}

/// Opens the streams of `new` that `old` does not have in the very same form, those of up to `stream_bytes_max`.
///
/// Writes the opened new file to `bytes` and what makes its streams again to `corrections`; `None` when there is
/// nothing to gain.
pub(super) fn open(
    old: &[u8],
    new: &[u8],
    stream_bytes_max: usize,
    bytes: &mut dyn io::Write,
    corrections: &mut dyn io::Write,
) -> io::Result<Option<Opened>> {
    let new_spans = spans(new);
    if new_spans.is_empty() {
        return Ok(None);
    }
    let old_spans = spans(old);
    let old_streams: HashSet<&[u8]> = old_spans.iter().map(|s| &old[s.start..s.end]).collect();
    let new_streams: HashSet<&[u8]> = new_spans.iter().map(|s| &new[s.start..s.end]).collect();
    let mut opened = Opened { bytes: new.len() as u64, old_bytes: old.len() as u64, ..Opened::default() };
    let mut at = 0;
    for span in new_spans {
        let stream = &new[span.start..span.end];
        if old_streams.contains(stream) {
            continue;
        }
        let Some((plain, own)) = open_stream(stream, stream_bytes_max) else { continue };
        bytes.write_all(&new[at..span.start])?;
        bytes.write_all(&plain)?;
        corrections.write_all(&own)?;
        opened.pieces.push(NewPiece {
            raw: (span.start - at) as u64,
            plain: plain.len() as u64,
            corrections: own.len() as u64,
        });
        opened.bytes = opened.bytes + plain.len() as u64 - stream.len() as u64;
        opened.packed_bytes += stream.len() as u64;
        opened.cost_ns += plain.len() as u64 * cost_ns_per_byte(plain.len());
        at = span.end;
    }
    bytes.write_all(&new[at..])?;
    if opened.pieces.is_empty() {
        return Ok(None);
    }
    let mut at = 0;
    for span in old_spans {
        let stream = &old[span.start..span.end];
        if new_streams.contains(stream) {
            continue;
        }
        let Ok(plain) = inflate(stream, stream_bytes_max) else { continue };
        opened.old_pieces.push(OldPiece { raw: (span.start - at) as u64, packed: stream.len() as u64 });
        opened.old_bytes = opened.old_bytes + plain.len() as u64 - stream.len() as u64;
        at = span.end;
    }
    Ok(Some(opened))
}

/// Tells whether a file may have deflate streams to open.
pub(super) fn is_container(file: &[u8]) -> bool {
    is_gzip(file) || file.starts_with(ZIP_MAGIC)
}

/// Tells whether a file is one deflate stream with a gzip header.
pub(super) fn is_gzip(file: &[u8]) -> bool {
    file.starts_with(GZIP_MAGIC)
}

/// Measured: a compressor's search finds more places to look at once its window is full.
fn cost_ns_per_byte(plain_bytes: usize) -> u64 {
    if plain_bytes <= DEFLATE_WINDOW_BYTES { 8 } else { 35 }
}

fn open_stream(stream: &[u8], stream_bytes_max: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    let config = PreflateConfig {
        max_chain_length: CHAIN_LENGTH_MAX,
        plain_text_limit: stream_bytes_max,
        verify_compression: false,
    };
    let (result, plain) = preflate_whole_deflate_stream(stream, &config).ok()?;
    if result.compressed_size != stream.len() {
        return None;
    }
    let plain = plain.text().to_vec();
    let is_exact =
        recreate_whole_deflate_stream(&plain, &result.corrections).is_ok_and(|made| made == stream);
    is_exact.then_some((plain, result.corrections))
}

/// Appends an old file with the streams of `pieces` inflated.
pub(super) fn open_old(old: &[u8], pieces: &[OldPiece], into: &mut dyn io::Write) -> io::Result<()> {
    let beyond = || io::Error::other("a piece lies beyond the end of the old part");
    let mut rest = old;
    for piece in pieces {
        let (raw, after) = split(rest, piece.raw).ok_or_else(beyond)?;
        let (packed, after) = split(after, piece.packed).ok_or_else(beyond)?;
        into.write_all(raw)?;
        into.write_all(&inflate(packed, STREAM_BYTES_MAX)?)?;
        rest = after;
    }
    into.write_all(rest)
}

/// Writes the file that was opened into `opened`.
pub(super) fn close(
    opened: &[u8],
    pieces: &[NewPiece],
    corrections: &[u8],
    into: &mut dyn io::Write,
) -> io::Result<()> {
    let beyond = || io::Error::other("a piece lies beyond the end of its group");
    let (mut rest, mut corrections) = (opened, corrections);
    for piece in pieces {
        let (raw, after) = split(rest, piece.raw).ok_or_else(beyond)?;
        let (plain, after) = split(after, piece.plain).ok_or_else(beyond)?;
        let (own, later) = split(corrections, piece.corrections).ok_or_else(beyond)?;
        if plain.len() > STREAM_BYTES_MAX {
            return Err(io::Error::other("an inflated stream is larger than allowed"));
        }
        into.write_all(raw)?;
        let stream = recreate_whole_deflate_stream(plain, own);
        into.write_all(&stream.map_err(|_| io::Error::other("its corrections make no deflate stream"))?)?;
        (rest, corrections) = (after, later);
    }
    into.write_all(rest)
}

fn split(bytes: &[u8], at: u64) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(usize::try_from(at).ok()?)
}

fn inflate(stream: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut decoder = flate2::bufread::DeflateDecoder::new(stream);
    decoder.by_ref().take(bytes_max as u64 + 1).read_to_end(&mut plain)?;
    if plain.len() > bytes_max || decoder.total_in() != stream.len() as u64 {
        return Err(io::Error::other("it is not one deflate stream of the allowed size"));
    }
    Ok(plain)
}

/// Finds the deflate streams of a gzip or zip file; none in anything else.
fn spans(file: &[u8]) -> Vec<Span> {
    let found = if is_gzip(file) {
        gzip_span(file).into_iter().collect()
    } else if file.starts_with(ZIP_MAGIC) {
        zip_spans(file).unwrap_or_default()
    } else {
        Vec::new()
    };
    found.into_iter().filter(|span| span.end - span.start >= STREAM_BYTES_MIN).collect()
}

fn gzip_span(file: &[u8]) -> Option<Span> {
    let flags = *file.get(3)?;
    let mut start = GZIP_HEADER_BYTES;
    if flags & 4 != 0 {
        start += 2 + usize::from(u16_at(file, start)?);
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            start += file.get(start..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    if flags & 2 != 0 {
        start += 2;
    }
    let end = file.len().checked_sub(8)?;
    (start < end).then_some(Span { start, end })
}

fn zip_spans(file: &[u8]) -> Option<Vec<Span>> {
    let last = file.len().checked_sub(ZIP_END_BYTES)?;
    let end = (last.saturating_sub(usize::from(u16::MAX))..=last)
        .rev()
        .find(|at| file[*at..].starts_with(b"PK\x05\x06"))?;
    let mut entry = usize_at(file, end + 16)?;
    let mut spans = Vec::new();
    while file.get(entry..entry + 4)? == b"PK\x01\x02" {
        let lengths = [28, 30, 32].map(|at| u16_at(file, entry + at));
        let local = usize_at(file, entry + 42)?;
        let packed = usize_at(file, entry + 20)?;
        if u16_at(file, entry + 10)? == 8 && file.get(local..local.checked_add(4)?)? == b"PK\x03\x04" {
            let names = usize::from(u16_at(file, local + 26)?) + usize::from(u16_at(file, local + 28)?);
            let start = local + ZIP_LOCAL_BYTES + names;
            let end = start.checked_add(packed)?;
            file.get(start..end)?;
            spans.push(Span { start, end });
        }
        entry += ZIP_CENTRAL_BYTES;
        for length in lengths {
            entry += usize::from(length?);
        }
        if entry >= end {
            break;
        }
    }
    spans.sort_unstable_by_key(|span| span.start);
    let is_disjoint = spans.windows(2).all(|pair| pair[0].end <= pair[1].start);
    is_disjoint.then_some(spans)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

pub(super) fn put_old_pieces(into: &mut Vec<u8>, pieces: &[OldPiece]) {
    put_number(into, pieces.len() as u64);
    for piece in pieces {
        put_number(into, piece.raw);
        put_number(into, piece.packed);
    }
}

pub(super) fn old_pieces(from: &mut Cursor<'_>) -> Result<Vec<OldPiece>, Malformed> {
    let count = from.records()?;
    (0..count).map(|_| Ok(OldPiece { raw: from.number()?, packed: from.number()? })).collect()
}

pub(super) fn put_new_pieces(into: &mut Vec<u8>, pieces: &[NewPiece]) {
    put_number(into, pieces.len() as u64);
    for piece in pieces {
        put_number(into, piece.raw);
        put_number(into, piece.plain);
        put_number(into, piece.corrections);
    }
}

pub(super) fn new_pieces(from: &mut Cursor<'_>) -> Result<Vec<NewPiece>, Malformed> {
    let count = from.records()?;
    (0..count)
        .map(|_| Ok(NewPiece { raw: from.number()?, plain: from.number()?, corrections: from.number()? }))
        .collect()
}

/// Returns how many bytes of corrections the pieces take.
pub(super) fn corrections_bytes(pieces: &[NewPiece]) -> Option<u64> {
    pieces.iter().try_fold(0_u64, |sum, piece| sum.checked_add(piece.corrections))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut encoder =
            flate2::GzBuilder::new().filename("a").write(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn opened(old: &[u8], new: &[u8]) -> Option<(Opened, Vec<u8>, Vec<u8>)> {
        let (mut bytes, mut corrections) = (Vec::new(), Vec::new());
        let opened = open(old, new, STREAM_BYTES_MAX, &mut bytes, &mut corrections).unwrap()?;
        assert_eq!(opened.bytes, bytes.len() as u64);
        Some((opened, bytes, corrections))
    }

    #[test]
    fn gzip_opened_and_closed_is_the_same_bytes() {
        let text: Vec<u8> =
            (0..3000_u32).flat_map(|n| format!("line {n} of {}\n", n * n).into_bytes()).collect();
        for level in [1, 6, 9] {
            let old = gzip(&text[..20_000], level);
            let new = gzip(&text, level);
            let (opened, bytes, corrections) = opened(&old, &new).unwrap();
            assert!(bytes.windows(20).any(|w| w == &text[500..520]));
            let mut made = Vec::new();
            close(&bytes, &opened.pieces, &corrections, &mut made).unwrap();
            assert_eq!(made, new);
            let mut old_opened = Vec::new();
            open_old(&old, &opened.old_pieces, &mut old_opened).unwrap();
            assert_eq!(opened.old_bytes, old_opened.len() as u64);
            assert!(old_opened.windows(20).any(|w| w == &text[500..520]));
        }
    }

    #[test]
    fn file_without_streams_or_damaged_is_not_opened() {
        assert!(opened(b"", b"hello").is_none());
        assert!(opened(b"", &[0x1f, 0x8b, 8, 0xff, 1, 2, 3]).is_none());
        let mut damaged = gzip(&b"abc".repeat(900), 6);
        damaged[20] ^= 0xff;
        assert!(opened(b"", &damaged).is_none());
        assert!(opened(b"", b"PK\x03\x04 and nothing more than that, in 30 bytes").is_none());
    }

    #[test]
    fn stream_that_old_has_too_stays_closed() {
        let file = gzip(&b"abcdefg".repeat(900), 6);
        assert!(opened(&file, &file).is_none());
    }

    #[test]
    fn stream_larger_than_allowed_stays_closed() {
        let text: Vec<u8> = (0..3000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let (old, new) = (gzip(&text[..5000], 6), gzip(&text, 6));
        assert!(open(&old, &new, text.len() - 1, &mut Vec::new(), &mut Vec::new()).unwrap().is_none());
        assert!(is_container(&new) && !is_container(b"text"));
    }

    #[test]
    fn pieces_beyond_the_bytes_are_refused() {
        let piece = OldPiece { raw: 10, packed: 10 };
        assert!(open_old(b"short", &[piece], &mut Vec::new()).is_err());
        let piece = NewPiece { raw: 1, plain: u64::MAX, corrections: 0 };
        assert!(close(b"short", &[piece], b"", &mut Vec::new()).is_err());
    }
}
