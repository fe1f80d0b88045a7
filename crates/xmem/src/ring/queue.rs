//! One direction of a ring: one writer, one reader, no lock.

use super::memory::{AtomicU64, Lane, Ordering, fence};
use super::{LINE_BYTES, RingError};
use crate::frame::{Flags, HEADER_WORDS, Header};

const WORD_BYTES: usize = 8;
/// Words of a line before the header.
const PREFIX_WORDS: usize = 2;
const LINE_WORDS: usize = LINE_BYTES / WORD_BYTES;
/// More lines than this are not taken in advance.
const READY_LINES_MAX: usize = 4;

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// No room until the reader has read more.
    Full,
    /// Written; the reader is awake and will find it.
    Awake,
    /// Written; the reader sleeps and must be woken.
    Asleep,
}

/// What was popped; the payload is in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Popped {
    /// The header.
    pub header: Header,
    /// Processor that wrote the record, a hint for who wonders whether to spin.
    pub processor: u32,
}

/// The writing end.
#[derive(Debug)]
pub struct Producer<L> {
    lane: L,
    /// Where the next record begins, in bytes since the beginning.
    tail: u64,
    /// How far the reader is known to have read.
    head: u64,
}

/// The reading end.
#[derive(Debug)]
pub struct Consumer<L> {
    lane: L,
    /// Where the next record begins, in bytes since the beginning.
    head: u64,
}

/// Lines that a record with this much payload takes.
const fn lines(payload: usize) -> usize {
    1 + payload.div_ceil(LINE_BYTES)
}

/// Index of the word `words` behind position `position`.
fn index<L: Lane>(lane: &L, position: u64, words: usize) -> usize {
    // The mask makes the truncation of a position harmless: capacities are powers of two.
    #[expect(clippy::cast_possible_truncation, reason = "masked")]
    let first = position as usize / WORD_BYTES;
    first.wrapping_add(words) & (lane.words() - 1)
}

/// The words of the header of the record at `position`. The first line of a record never wraps.
fn first_line<L: Lane>(lane: &L, position: u64) -> &[AtomicU64] {
    lane.run(index(lane, position, PREFIX_WORDS), LINE_WORDS - PREFIX_WORDS)
}

/// The first `count` words of the payload of the record at `position`: up to the end of the lane, and on from its
/// beginning. `count` is less than the lane has.
fn payload_runs<L: Lane>(lane: &L, position: u64, count: usize) -> [&[AtomicU64]; 2] {
    let first = index(lane, position, LINE_WORDS);
    let before = count.min(lane.words() - first);
    [lane.run(first, before), lane.run(0, count - before)]
}

/// Writes word by word; both are of one length.
#[inline]
fn store(words: &[AtomicU64], chunks: &[[u8; WORD_BYTES]]) {
    for (word, chunk) in words.iter().zip(chunks) {
        word.store(u64::from_ne_bytes(*chunk), Ordering::Relaxed);
    }
}

/// Reads word by word, each once; both are of one length.
#[inline]
fn load(words: &[AtomicU64], chunks: &mut [[u8; WORD_BYTES]]) {
    for (word, chunk) in words.iter().zip(chunks) {
        *chunk = word.load(Ordering::Relaxed).to_ne_bytes();
    }
}

impl<L: Lane> Producer<L> {
    /// The writing end of a lane on which nothing was written yet.
    pub const fn new(lane: L) -> Self {
        Self { lane, tail: 0, head: 0 }
    }

    /// Most bytes of payload: half of the lane, so that a full ring is never the fault of one record.
    pub fn payload_bytes_max(&self) -> usize {
        self.lane.words() * WORD_BYTES / 2 - LINE_BYTES
    }

    /// Writes a record, if there is room. `header.length` is set to the length of the payload.
    ///
    /// # Errors
    ///
    /// [`RingError::TooLarge`], and [`RingError::Corrupt`] when the reader's position is not possible.
    #[inline]
    pub fn push(&mut self, mut header: Header, payload: &[u8], processor: u32) -> Result<Pushed, RingError> {
        let max = self.payload_bytes_max();
        let too_large = RingError::TooLarge { bytes: payload.len(), max };
        if payload.len() > max {
            return Err(too_large);
        }
        header.length = u32::try_from(payload.len()).map_err(|_| too_large)?;
        let lines = lines(payload.len());
        let bytes = (lines * LINE_BYTES) as u64;
        if !self.has_room(bytes)? {
            return Ok(Pushed::Full);
        }
        // The stamp behind this record first: who finds this record's stamp looks there next.
        self.word(bytes_to_words(bytes)).store(0, Ordering::Relaxed);
        let (encoded, (whole, rest)) = (header.to_words(), payload.as_chunks::<WORD_BYTES>());
        let [before, behind] = payload_runs(&self.lane, self.tail, whole.len());
        let (to_the_end, from_the_beginning) = whole.split_at(before.len());
        store(before, to_the_end);
        store(behind, from_the_beginning);
        if !rest.is_empty() {
            let mut chunk = [0; WORD_BYTES];
            chunk[..rest.len()].copy_from_slice(rest);
            self.word(LINE_WORDS + whole.len()).store(u64::from_ne_bytes(chunk), Ordering::Relaxed);
        }
        // The reader looks at the first line all the time: it is taken from it once, for header and stamp together.
        for (word, value) in first_line(&self.lane, self.tail).iter().zip(encoded) {
            word.store(value.to_le(), Ordering::Relaxed);
        }
        let stamp = lines as u64 | u64::from(processor) << 32;
        self.word(0).store(stamp, Ordering::Release);
        self.tail += bytes;
        let pushed = if self.must_wake() { Pushed::Asleep } else { Pushed::Awake };
        self.make_ready(lines);
        Ok(pushed)
    }

    /// Takes the lines behind the next record's first from the reader's processor, now that there is time: one more record like
    /// the last is likely. The first itself the reader looks at, and would take back.
    fn make_ready(&self, lines: usize) {
        let lines = lines.min(READY_LINES_MAX);
        let capacity = (self.lane.words() * WORD_BYTES) as u64;
        // What the reader has not read yet, as far as that is known, is not touched.
        if capacity - (self.tail - self.head) > ((lines + 1) * LINE_BYTES) as u64 {
            for line in 1..=lines {
                self.word(line * LINE_WORDS).store(0, Ordering::Relaxed);
            }
        }
    }

    /// Whether the reader sleeps; its flag is taken down, so that it is woken once.
    pub fn must_wake(&self) -> bool {
        // Pairs with the fence in `Consumer::arm`: either we see the flag, or the reader sees the record.
        fence(Ordering::SeqCst);
        let asleep = self.lane.asleep();
        asleep.load(Ordering::Relaxed) != 0 && asleep.swap(0, Ordering::AcqRel) != 0
    }

    /// The lane.
    pub const fn lane(&self) -> &L {
        &self.lane
    }

    /// Whether a record of this many bytes fits, with a clear line behind it.
    fn has_room(&mut self, bytes: u64) -> Result<bool, RingError> {
        let capacity = (self.lane.words() * WORD_BYTES) as u64;
        let needed = bytes + LINE_BYTES as u64;
        if capacity - (self.tail - self.head) >= needed {
            return Ok(true);
        }
        let head = self.lane.head().load(Ordering::Acquire);
        if head < self.head || head > self.tail || !head.is_multiple_of(LINE_BYTES as u64) {
            return Err(RingError::Corrupt { what: "the reader's position is not where a record ends" });
        }
        self.head = head;
        Ok(capacity - (self.tail - self.head) >= needed)
    }

    fn word(&self, words: usize) -> &AtomicU64 {
        self.lane.word(index(&self.lane, self.tail, words))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a record is smaller than its lane, which is memory")]
const fn bytes_to_words(bytes: u64) -> usize {
    bytes as usize / WORD_BYTES
}

impl<L: Lane> Consumer<L> {
    /// The reading end of a lane of which nothing was read yet.
    pub const fn new(lane: L) -> Self {
        Self { lane, head: 0 }
    }

    /// Whether there is a record.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.word(0).load(Ordering::Acquire) != 0
    }

    /// Takes the next record, if there is one. The payload replaces what was in `buffer`.
    ///
    /// # Errors
    ///
    /// [`RingError::Corrupt`] when stamp, header and length are not possible together.
    #[inline]
    pub fn pop(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Popped>, RingError> {
        let stamp = self.word(0).load(Ordering::Acquire);
        if stamp == 0 {
            return Ok(None);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the stamp")]
        let (count, processor) = (stamp as u32 as usize, (stamp >> 32) as u32);
        let capacity = self.lane.words() * WORD_BYTES / LINE_BYTES;
        if count == 0 || count >= capacity {
            return Err(RingError::Corrupt { what: "a record has an impossible size" });
        }
        let mut words = [0; HEADER_WORDS];
        for (value, word) in words.iter_mut().zip(first_line(&self.lane, self.head)) {
            *value = u64::from_le(word.load(Ordering::Relaxed));
        }
        let header = Header::of_words(words)
            .map_err(|_| RingError::Corrupt { what: "a record does not begin with a header" })?;
        let length = header.length as usize;
        if header.flags.contains(Flags::MEMFD) || lines(length) != count {
            return Err(RingError::Corrupt { what: "a record's header and size are not of one mind" });
        }
        // Without clearing it first: only what is beyond the last payload has to be filled before it is written over.
        buffer.resize(length.next_multiple_of(WORD_BYTES), 0);
        let chunks = buffer.as_chunks_mut::<WORD_BYTES>().0;
        let [before, behind] = payload_runs(&self.lane, self.head, chunks.len());
        let (to_the_end, from_the_beginning) = chunks.split_at_mut(before.len());
        load(before, to_the_end);
        load(behind, from_the_beginning);
        buffer.truncate(length);
        self.head += (count * LINE_BYTES) as u64;
        self.lane.head().store(self.head, Ordering::Release);
        Ok(Some(Popped { header, processor }))
    }

    /// Says that this end is about to sleep. `true`: there is a record after all, do not sleep.
    pub fn arm(&self) -> bool {
        // Swapped and not stored: it then comes after the writer's own swap of an earlier round, for loom as well.
        self.lane.asleep().swap(1, Ordering::AcqRel);
        // Pairs with the fence in `Producer::must_wake`.
        fence(Ordering::SeqCst);
        let ready = self.is_ready();
        if ready {
            self.disarm();
        }
        ready
    }

    /// Says that this end is awake.
    pub fn disarm(&self) {
        self.lane.asleep().swap(0, Ordering::AcqRel);
    }

    /// The lane.
    pub const fn lane(&self) -> &L {
        &self.lane
    }

    fn word(&self, words: usize) -> &AtomicU64 {
        self.lane.word(index(&self.lane, self.head, words))
    }
}
