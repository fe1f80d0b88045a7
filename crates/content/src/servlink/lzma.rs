//! LZMA streams, the strongest coder whose decoding still keeps up with the disk.

use std::io::{self, Read, Write};

use liblzma::stream::{LzmaOptions, MatchFinder, Mode, Stream};
use liblzma::write::XzEncoder;

/// Largest dictionary: what a receiver needs in memory for a stream, and a tenth of what the builder needs.
pub(super) const DICTIONARY_BYTES_MAX: u32 = 16 << 20;
const DICTIONARY_BYTES_MIN: u32 = 1 << 16;
/// The decoder's own state beyond the dictionary.
const DECODER_BYTES: u64 = 1 << 20;
/// The encoder's own state beyond what grows with the dictionary, buffers included.
const ENCODER_BYTES: u64 = 2 << 20;
const BUFFER_BYTES: usize = 128 * 1024;

/// What the bytes are, which decides how hard to look for repetitions and whether their places matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Differences of bytes, or numbers of varying length.
    Numbers,
    /// Machine code and other data, often in words of four bytes.
    Code,
}

/// Compresses `bytes`.
#[cfg(test)]
pub(super) fn pack(bytes: &[u8], content: Content) -> io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    pack_into(&mut &bytes[..], bytes.len() as u64, content, DICTIONARY_BYTES_MAX, &mut packed)?;
    Ok(packed)
}

/// Compresses the `bytes` bytes that `plain` gives, with a dictionary of at most `dictionary_bytes_max`.
pub(super) fn pack_into(
    plain: &mut dyn Read,
    bytes: u64,
    content: Content,
    dictionary_bytes_max: u32,
    into: &mut dyn Write,
) -> io::Result<()> {
    let mut options = LzmaOptions::new_preset(6)?;
    options
        .dict_size(dictionary_bytes(bytes, dictionary_bytes_max))
        .mode(Mode::Normal)
        .match_finder(MatchFinder::BinaryTree4);
    match content {
        Content::Numbers => options.nice_len(48).literal_context_bits(3).position_bits(0),
        Content::Code => options.nice_len(64).literal_context_bits(3).position_bits(2),
    };
    let mut encoder = XzEncoder::new_stream(into, Stream::new_lzma_encoder(&options)?);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match plain.read(&mut buffer)? {
            0 => break,
            count => encoder.write_all(&buffer[..count])?,
        }
    }
    encoder.finish().map(|_| ())
}

/// Returns a reader of what `pack` compressed; a dictionary larger than the largest is refused.
pub(super) fn unpack<R: io::BufRead>(packed: R) -> io::Result<impl Read + use<R>> {
    let memory_bytes = u64::from(DICTIONARY_BYTES_MAX) + DECODER_BYTES;
    Ok(liblzma::bufread::XzDecoder::new_stream(packed, Stream::new_lzma_decoder(memory_bytes)?))
}

/// Returns what [`pack_into`] takes in memory.
pub(super) fn pack_memory_bytes(bytes: u64, dictionary_bytes_max: u32) -> u64 {
    u64::from(dictionary_bytes(bytes, dictionary_bytes_max)) * 12 + ENCODER_BYTES
}

fn dictionary_bytes(bytes: u64, most: u32) -> u32 {
    let size = u32::try_from(bytes).unwrap_or(u32::MAX);
    size.checked_next_power_of_two().unwrap_or(u32::MAX).min(most).max(DICTIONARY_BYTES_MIN)
}
