//! Small and textual files: one zstd stream a group, with the old counterparts as its reference.

use std::io;

use zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter, Strategy, get_error_name};

/// New bytes in one group: what a receiver holds in memory while it makes the group.
pub(super) const GROUP_BYTES_MAX: usize = 20 << 20;
/// Old bytes a group may refer to.
pub(super) const REFERENCE_BYTES_MAX: u64 = 48 << 20;

const WINDOW_LOG_MIN: u32 = 17;
const WINDOW_LOG_MAX: u32 = 27;
const CHAIN_LOG_MAX: u32 = 27;
const HASH_LOG_MAX: u32 = 24;
/// The coder's own state beyond its tables of positions.
const CODER_BYTES: u64 = 8 << 20;

/// Returns the logarithm of the window that spans `bytes`.
fn window_log(bytes: usize) -> u32 {
    bytes.max(1).next_power_of_two().ilog2().clamp(WINDOW_LOG_MIN, WINDOW_LOG_MAX)
}

/// Returns what compressing a group takes in memory: `bytes` old and new ones, of which `new_bytes` are new.
///
/// The bytes themselves are mapped; what comes out may be as large as the new ones.
pub(super) fn pack_memory_bytes(bytes: usize, new_bytes: usize) -> u64 {
    let log = window_log(bytes);
    (4 << (log + 1).min(CHAIN_LOG_MAX)) + (4 << log.min(HASH_LOG_MAX)) + CODER_BYTES + new_bytes as u64
}

/// Compresses `bytes` with `reference` as the bytes before them.
pub(super) fn pack(reference: &[u8], bytes: &[u8]) -> io::Result<Vec<u8>> {
    let log = window_log(reference.len() + bytes.len());
    let mut context = CCtx::create();
    for parameter in [
        CParameter::CompressionLevel(22),
        CParameter::WindowLog(log),
        // The tree of positions must hold two entries for every byte, or the far half of the reference is lost.
        CParameter::ChainLog((log + 1).min(CHAIN_LOG_MAX)),
        CParameter::HashLog(log.min(HASH_LOG_MAX)),
        CParameter::SearchLog(9),
        CParameter::MinMatch(3),
        CParameter::TargetLength(999),
        CParameter::Strategy(Strategy::ZSTD_btultra2),
        CParameter::EnableLongDistanceMatching(true),
        CParameter::ContentSizeFlag(false),
        CParameter::ChecksumFlag(false),
    ] {
        context.set_parameter(parameter).map_err(failed)?;
    }
    context.ref_prefix(reference).map_err(failed)?;
    let mut packed = Vec::with_capacity(zstd::zstd_safe::compress_bound(bytes.len()));
    context.compress2(&mut packed, bytes).map_err(failed)?;
    Ok(packed)
}

/// Decompresses a group of exactly `size` bytes.
///
/// The output is its own window, so nothing but the output is held in memory.
pub(super) fn unpack(reference: &[u8], packed: &[u8], size: usize) -> io::Result<Vec<u8>> {
    let mut context = DCtx::create();
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(failed)?;
    context.ref_prefix(reference).map_err(failed)?;
    let mut bytes = Vec::with_capacity(size);
    context.decompress(&mut bytes, packed).map_err(failed)?;
    if bytes.len() == size { Ok(bytes) } else { Err(io::Error::other("it has another size than declared")) }
}

fn failed(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_close_to_its_reference_takes_few_bytes() {
        let old: Vec<u8> =
            (0..40_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut new = old.clone();
        new.splice(70_000..70_000, *b"inserted");
        let packed = pack(&old, &new).unwrap();
        assert!(packed.len() < 200, "{}", packed.len());
        assert_eq!(unpack(&old, &packed, new.len()).unwrap(), new);
    }

    #[test]
    fn text_of_other_size_or_cut_short_is_refused() {
        let old = b"some text to refer to, long enough to be referred to".repeat(9);
        let packed = pack(&old, &old).unwrap();
        assert!(unpack(&old, &packed, old.len() - 1).is_err());
        assert!(unpack(&old, &packed, old.len() + 1).is_err());
        assert!(unpack(&old, &packed[..packed.len() - 1], old.len()).is_err());
    }
}
