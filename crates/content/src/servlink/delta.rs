//! Differences of large and native files as solid streams, and their way back.
//!
//! * seeks:   for each step, how far from the end of the last one it starts in the old bytes;
//! * adds:    for each step, to how many old bytes differences are added;
//! * inserts: for each step, how many new bytes follow;
//! * runs:    inside the added bytes, by turns how many are equal and how many differ;
//! * diff:    the differences themselves, equal runs left out;
//! * extra:   the inserted bytes.
//!
//! Streams run through all files of a group, so that what one file teaches the coder helps the next. Equal runs
//! are left out for speed: as zeros they compress to the same size, but the coder has ten times as much to read.

use std::io::{self, BufRead, Read, Write};

use super::bytes::{put_number, put_signed, unfold};
use super::differ::{Step, common_prefix};
use super::lzma::{self, Content};

/// Equal runs shorter than this stay in the differences as zeros: two numbers cost more than they save.
const EQUAL_RUN_MIN: usize = 4;
const CHUNK_BYTES: usize = 64 * 1024;

/// How many streams a group has.
pub(super) const STREAMS: usize = 6;
/// Names and kinds of the streams, in their order.
pub(super) const STREAM_KINDS: [(&str, Content); STREAMS] = [
    ("seeks", Content::Numbers),
    ("adds", Content::Numbers),
    ("inserts", Content::Numbers),
    ("runs", Content::Numbers),
    ("differences", Content::Numbers),
    ("new bytes", Content::Code),
];

/// Writes the steps that make one file of another as streams.
pub(super) struct Encoder<'b, W> {
    old: &'b [u8],
    new: &'b [u8],
    seeks: W,
    adds: W,
    inserts: W,
    runs: W,
    diff: W,
    extra: W,
    old_end: i64,
    new_at: usize,
    scratch: Vec<u8>,
}

impl<'b, W: Write> Encoder<'b, W> {
    /// Starts with the streams in their order.
    pub(super) fn new(old: &'b [u8], new: &'b [u8], streams: [W; STREAMS]) -> Self {
        let [seeks, adds, inserts, runs, diff, extra] = streams;
        Self { old, new, seeks, adds, inserts, runs, diff, extra, old_end: 0, new_at: 0, scratch: Vec::new() }
    }

    /// Returns the streams in their order.
    pub(super) fn finish(self) -> [W; STREAMS] {
        [self.seeks, self.adds, self.inserts, self.runs, self.diff, self.extra]
    }

    /// Writes the next step.
    pub(super) fn step(&mut self, step: Step) -> io::Result<()> {
        let old_at = i64::try_from(step.old_at).expect("a file is smaller than 2^63");
        self.scratch.clear();
        put_signed(&mut self.scratch, old_at - self.old_end);
        self.seeks.write_all(&self.scratch)?;
        number_into(&mut self.adds, step.add, &mut self.scratch)?;
        number_into(&mut self.inserts, step.insert, &mut self.scratch)?;
        let new_end = self.new_at + step.add;
        self.added(&self.old[step.old_at..step.old_at + step.add], &self.new[self.new_at..new_end])?;
        self.extra.write_all(&self.new[new_end..new_end + step.insert])?;
        self.old_end = old_at + i64::try_from(step.add).expect("a file is smaller than 2^63");
        self.new_at = new_end + step.insert;
        Ok(())
    }

    fn added(&mut self, old: &[u8], new: &[u8]) -> io::Result<()> {
        let mut at = 0;
        while at < new.len() {
            let start = at + common_prefix(&old[at..], &new[at..]);
            // A differing run ends where a long equal run, or the equal rest, begins.
            let mut end = start;
            let mut probe = start;
            while probe < new.len() {
                let equal = common_prefix(&old[probe..], &new[probe..]);
                if equal >= EQUAL_RUN_MIN || probe + equal == new.len() {
                    break;
                }
                probe += equal + 1;
                end = probe;
            }
            number_into(&mut self.runs, start - at, &mut self.scratch)?;
            number_into(&mut self.runs, end - start, &mut self.scratch)?;
            let pairs = new[start..end].iter().zip(&old[start..end]);
            self.scratch.clear();
            self.scratch.extend(pairs.map(|(new, old)| new.wrapping_sub(*old)));
            self.diff.write_all(&self.scratch)?;
            at = end;
        }
        Ok(())
    }
}

fn number_into(into: &mut impl Write, number: usize, scratch: &mut Vec<u8>) -> io::Result<()> {
    scratch.clear();
    put_number(scratch, number as u64);
    into.write_all(scratch)
}

/// Reads the streams of a group and makes its objects, one after the other.
pub(super) struct Decoder<'p> {
    seeks: Numbers<'p>,
    adds: Numbers<'p>,
    inserts: Numbers<'p>,
    runs: Numbers<'p>,
    diff: Buffered<'p>,
    extra: Buffered<'p>,
    buffer: Vec<u8>,
}

impl<'p> Decoder<'p> {
    /// Takes the compressed streams in their order.
    pub(super) fn new(packed: [Box<dyn BufRead + 'p>; STREAMS]) -> io::Result<Self> {
        let [seeks, adds, inserts, runs, diff, extra] = packed;
        Ok(Self {
            seeks: Numbers { stream: buffered(seeks)? },
            adds: Numbers { stream: buffered(adds)? },
            inserts: Numbers { stream: buffered(inserts)? },
            runs: Numbers { stream: buffered(runs)? },
            diff: buffered(diff)?,
            extra: buffered(extra)?,
            buffer: vec![0; CHUNK_BYTES],
        })
    }

    /// Makes the next object, of exactly `size` bytes, of `old`.
    pub(super) fn object(&mut self, old: &[u8], size: u64, into: &mut dyn Write) -> io::Result<()> {
        let mut left = size;
        let mut old_at = 0_i64;
        while left > 0 {
            old_at = old_at.checked_add(unfold(self.seeks.next()?)).ok_or_else(outside)?;
            let add = self.adds.next()?;
            let insert = self.inserts.next()?;
            left = add
                .checked_add(insert)
                .filter(|n| *n > 0)
                .and_then(|n| left.checked_sub(n))
                .ok_or_else(too_long)?;
            let start = usize::try_from(old_at).map_err(|_| outside())?;
            let end = usize::try_from(add).ok().and_then(|add| start.checked_add(add)).ok_or_else(outside)?;
            self.add(old.get(start..end).ok_or_else(outside)?, into)?;
            old_at = i64::try_from(end).map_err(|_| outside())?;
            self.insert(insert, into)?;
        }
        Ok(())
    }

    /// Writes old bytes with the differences of the runs added.
    fn add(&mut self, old: &[u8], into: &mut dyn Write) -> io::Result<()> {
        let (mut equal, mut differing) = (0, 0);
        let mut left = old.len();
        for chunk in old.chunks(CHUNK_BYTES) {
            let mut made = std::mem::take(&mut self.buffer);
            made[..chunk.len()].copy_from_slice(chunk);
            let mut at = 0;
            while at < chunk.len() {
                if equal + differing == 0 {
                    equal = self.run(left)?;
                    differing = self.run(left - equal)?;
                    if equal + differing == 0 {
                        return Err(io::Error::other("a run of its differences is empty"));
                    }
                    left -= equal + differing;
                }
                let step = equal.min(chunk.len() - at);
                (equal, at) = (equal - step, at + step);
                let step = if equal == 0 { differing.min(chunk.len() - at) } else { 0 };
                self.add_differences(&mut made[at..at + step])?;
                (differing, at) = (differing - step, at + step);
            }
            into.write_all(&made[..chunk.len()])?;
            self.buffer = made;
        }
        Ok(())
    }

    fn add_differences(&mut self, mut made: &mut [u8]) -> io::Result<()> {
        while !made.is_empty() {
            let differences = self.diff.fill_buf()?;
            if differences.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let count = differences.len().min(made.len());
            let (now, later) = made.split_at_mut(count);
            now.iter_mut()
                .zip(differences)
                .for_each(|(made, difference)| *made = made.wrapping_add(*difference));
            self.diff.consume(count);
            made = later;
        }
        Ok(())
    }

    fn run(&mut self, most: usize) -> io::Result<usize> {
        let run = usize::try_from(self.runs.next()?).ok().filter(|run| *run <= most);
        run.ok_or_else(|| io::Error::other("a run of its differences is longer than its step"))
    }

    fn insert(&mut self, mut count: u64, into: &mut dyn Write) -> io::Result<()> {
        while count > 0 {
            let chunk = usize::try_from(count).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            self.extra.read_exact(&mut self.buffer[..chunk])?;
            into.write_all(&self.buffer[..chunk])?;
            count -= chunk as u64;
        }
        Ok(())
    }
}

fn outside() -> io::Error {
    io::Error::other("a step of its difference leads outside the old part")
}

fn too_long() -> io::Error {
    io::Error::other("its difference makes more or fewer bytes than declared")
}

type Buffered<'p> = io::BufReader<Box<dyn Read + 'p>>;

fn buffered<'p>(packed: Box<dyn BufRead + 'p>) -> io::Result<Buffered<'p>> {
    Ok(io::BufReader::with_capacity(CHUNK_BYTES, Box::new(lzma::unpack(packed)?)))
}

/// Reads numbers from a stream.
struct Numbers<'p> {
    stream: Buffered<'p>,
}

impl Numbers<'_> {
    fn next(&mut self) -> io::Result<u64> {
        let mut number = 0_u64;
        for shift in (0..63).step_by(7) {
            let mut byte = [0];
            match self.stream.buffer().first() {
                Some(first) => {
                    byte = [*first];
                    self.stream.consume(1);
                }
                None => self.stream.read_exact(&mut byte)?,
            }
            number |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(number);
            }
        }
        Err(io::Error::other("a number in its difference is too large"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::servlink::differ::diff;

    fn packed(old: &[u8], new: &[u8]) -> [Vec<u8>; STREAMS] {
        let mut encoder = Encoder::new(old, new, std::array::from_fn(|_| Vec::new()));
        diff(old, new, usize::MAX, |step| encoder.step(step)).unwrap();
        let plain = encoder.finish();
        std::array::from_fn(|i| lzma::pack(&plain[i], STREAM_KINDS[i].1).unwrap())
    }

    fn decode(packed: &[Vec<u8>; STREAMS], old: &[u8], size: usize) -> io::Result<Vec<u8>> {
        let readers = packed.each_ref().map(|p| Box::new(&p[..]) as Box<dyn BufRead + '_>);
        let mut made = Vec::new();
        Decoder::new(readers)?.object(old, size as u64, &mut made)?;
        Ok(made)
    }

    proptest! {
        #[test]
        fn delta_through_streams_makes_new(
            old in prop::collection::vec(any::<u8>(), 0..5000),
            changes in prop::collection::vec((0_usize..5000, any::<u8>()), 0..60),
            cut in 0_usize..5000,
        ) {
            let mut new = old.clone();
            for (at, byte) in changes {
                if let Some(slot) = new.get_mut(at) {
                    *slot = byte;
                }
            }
            new.rotate_left(cut.min(old.len()));
            prop_assert_eq!(decode(&packed(&old, &new), &old, new.len()).unwrap(), new);
        }
    }

    #[test]
    fn delta_against_another_old_part_is_refused_or_differs() {
        let old: Vec<u8> = (0..9000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let new: Vec<u8> = old[500..].to_vec();
        let packed = packed(&old, &new);
        let error = decode(&packed, &old[..1000], new.len()).unwrap_err();
        assert!(error.to_string().contains("outside"), "{error}");
    }

    #[test]
    fn delta_that_makes_more_than_declared_is_refused() {
        let packed = packed(b"", b"hello");
        assert!(decode(&packed, b"", 4).is_err());
        assert!(decode(&packed, b"", 6).is_err());
    }
}
