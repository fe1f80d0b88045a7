//! The memory of a ring: a sealed memfd, mapped.

use std::ops::RangeInclusive;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::io::Errno;

use super::memory::Lane;
use crate::sys::Mapping;

/// Capacity of a direction when nobody asks for another: what stays in a processor's cache.
pub const CAPACITY_DEFAULT: u32 = 64 * 1024;
/// Possible capacities of a direction, powers of two.
pub const CAPACITY_RANGE: RangeInclusive<u32> = 4096..=1024 * 1024;

const MAGIC: u64 = u64::from_le_bytes(*b"TNXMRING");
const VERSION: u32 = 1;
/// Offsets, in words of eight bytes.
const WORD_BYTES: usize = 8;
const CONTROL_WORDS: usize = 4096 / WORD_BYTES;
const VERSION_AT: usize = 8 / WORD_BYTES;
const CAPACITY_AT: usize = 16 / WORD_BYTES;
/// Head and flag of each direction, each on a line of its own (two lines, since processors fetch pairs).
const HEAD_AT: [usize; 2] = [128 / WORD_BYTES, 384 / WORD_BYTES];
const ASLEEP_AT: [usize; 2] = [256 / WORD_BYTES, 512 / WORD_BYTES];

/// One direction of a mapped ring.
#[derive(Clone, Debug)]
pub struct SharedLane {
    mapping: Arc<Mapping>,
    /// 0 client → server, 1 server → client.
    direction: usize,
    /// First word of its records, and how many there are. Private: never read from the memory.
    first: usize,
    words: usize,
}

impl Lane for SharedLane {
    fn words(&self) -> usize {
        self.words
    }

    #[inline]
    fn word(&self, index: usize) -> &AtomicU64 {
        self.mapping.word(self.first + index)
    }

    #[inline]
    fn run(&self, first: usize, count: usize) -> &[AtomicU64] {
        self.mapping.run(self.first + first, count)
    }

    fn head(&self) -> &AtomicU64 {
        self.mapping.word(HEAD_AT[self.direction])
    }

    fn asleep(&self) -> &AtomicU32 {
        self.mapping.half(ASLEEP_AT[self.direction])
    }
}

const fn file_bytes(capacity: u32) -> usize {
    CONTROL_WORDS * WORD_BYTES + 2 * capacity as usize
}

fn lanes(file: &OwnedFd, capacity: u32) -> std::io::Result<[SharedLane; 2]> {
    let mapping = Arc::new(Mapping::new(file.as_fd(), file_bytes(capacity) / WORD_BYTES)?);
    let words = capacity as usize / WORD_BYTES;
    let lane = |direction| SharedLane {
        mapping: Arc::clone(&mapping),
        direction,
        first: CONTROL_WORDS + direction * words,
        words,
    };
    Ok([lane(0), lane(1)])
}

/// Makes the memory of a ring: client → server, server → client.
pub(super) fn create(capacity: u32) -> std::io::Result<(OwnedFd, [SharedLane; 2])> {
    if !capacity.is_power_of_two() || !CAPACITY_RANGE.contains(&capacity) {
        return Err(Errno::INVAL.into());
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match memfd_create("tender-xmem-ring", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create("tender-xmem-ring", flags)?,
        file => file?,
    };
    ftruncate(&file, file_bytes(capacity) as u64)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    let lanes = lanes(&file, capacity)?;
    lanes[0].mapping.half(VERSION_AT).store(VERSION, Ordering::Relaxed);
    lanes[0].mapping.half(CAPACITY_AT).store(capacity, Ordering::Relaxed);
    lanes[0].mapping.word(0).store(MAGIC, Ordering::Release);
    Ok((file, lanes))
}

/// Maps the memory that a server sent.
pub(super) fn open(file: &OwnedFd, capacity: u32) -> std::io::Result<[SharedLane; 2]> {
    let needed = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    let sealed = fcntl_get_seals(file)?.contains(needed);
    let size = fstat(file)?.st_size;
    let possible = capacity.is_power_of_two() && CAPACITY_RANGE.contains(&capacity);
    if !sealed || !possible || u64::try_from(size) != Ok(file_bytes(capacity) as u64) {
        return Err(Errno::INVAL.into());
    }
    let lanes = lanes(file, capacity)?;
    let mapping = &lanes[0].mapping;
    let version = mapping.half(VERSION_AT).load(Ordering::Relaxed);
    if mapping.word(0).load(Ordering::Acquire) != MAGIC || version != VERSION {
        return Err(Errno::PROTO.into());
    }
    Ok(lanes)
}
