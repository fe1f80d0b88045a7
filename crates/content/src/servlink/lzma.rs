//! LZMA streams, the strongest coder whose decoding still keeps up with the disk.

use std::io::{self, Read, Write};

use liblzma::stream::{LzmaOptions, MatchFinder, Mode, Stream};
use liblzma::write::XzEncoder;

/// Largest dictionary: what a receiver needs in memory for a stream, and a tenth of what the builder needs.
pub(super) const DICTIONARY_BYTES_MAX: u32 = 16 << 20;
const DICTIONARY_BYTES_MIN: u32 = 1 << 16;
/// The decoder's own state beyond the dictionary.
const DECODER_BYTES: u64 = 1 << 20;

/// What the bytes are, which decides how hard to look for repetitions and whether their places matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Differences of bytes, or numbers of varying length.
    Numbers,
    /// Machine code and other data, often in words of four bytes.
    Code,
}

/// Compresses `bytes`.
pub(super) fn pack(bytes: &[u8], content: Content) -> io::Result<Vec<u8>> {
    let mut options = LzmaOptions::new_preset(6)?;
    options
        .dict_size(dictionary_bytes(bytes.len()))
        .mode(Mode::Normal)
        .match_finder(MatchFinder::BinaryTree4);
    match content {
        Content::Numbers => options.nice_len(48).literal_context_bits(3).position_bits(0),
        Content::Code => options.nice_len(64).literal_context_bits(3).position_bits(2),
    };
    let mut encoder = XzEncoder::new_stream(Vec::new(), Stream::new_lzma_encoder(&options)?);
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Returns a reader of what [`pack`] compressed; a dictionary larger than the largest is refused.
pub(super) fn unpack<R: io::BufRead>(packed: R) -> io::Result<impl Read + use<R>> {
    let memory_bytes = u64::from(DICTIONARY_BYTES_MAX) + DECODER_BYTES;
    Ok(liblzma::bufread::XzDecoder::new_stream(packed, Stream::new_lzma_decoder(memory_bytes)?))
}

/// Returns what [`pack`] takes in memory, input and output included.
pub(super) fn pack_memory_bytes(bytes: usize) -> u64 {
    u64::from(dictionary_bytes(bytes)) * 12 + bytes as u64 + (1 << 20)
}

fn dictionary_bytes(bytes: usize) -> u32 {
    let size = u32::try_from(bytes).unwrap_or(u32::MAX);
    size.checked_next_power_of_two().unwrap_or(u32::MAX).clamp(DICTIONARY_BYTES_MIN, DICTIONARY_BYTES_MAX)
}
