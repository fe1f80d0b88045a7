//! Differences of large and native files as four solid streams, and their way back.
//!
//! * control: for each step where in the old bytes it starts, how many bytes it adds to and how many it inserts;
//! * runs:    inside the added bytes, by turns how many are equal and how many differ;
//! * diff:    the differences themselves, equal runs left out;
//! * extra:   the inserted bytes.
//!
//! Streams run through all files of a group, so that what one file teaches the coder helps the next.

use std::io::{self, BufRead, Read, Write};

use super::bytes::{put_number, put_signed, unfold};
use super::differ::Step;
use super::lzma::{self, Content};

/// Equal runs shorter than this stay in the differences as zeros: two numbers would cost more than they save.
const EQUAL_RUN_MIN: usize = 24;
const CHUNK_BYTES: usize = 64 * 1024;

/// How many streams a group has.
pub(super) const STREAMS: usize = 4;
/// What the streams hold, in their order.
pub(super) const STREAM_CONTENT: [Content; STREAMS] =
    [Content::Numbers, Content::Numbers, Content::Numbers, Content::Code];

/// The streams of a group before they are compressed.
#[derive(Debug, Clone, Default)]
pub(super) struct Streams {
    pub(super) control: Vec<u8>,
    pub(super) runs: Vec<u8>,
    pub(super) diff: Vec<u8>,
    pub(super) extra: Vec<u8>,
}

impl Streams {
    pub(super) fn append(&mut self, other: &Self) {
        self.control.extend_from_slice(&other.control);
        self.runs.extend_from_slice(&other.runs);
        self.diff.extend_from_slice(&other.diff);
        self.extra.extend_from_slice(&other.extra);
    }

    pub(super) fn in_order(&self) -> [&[u8]; STREAMS] {
        [&self.control, &self.runs, &self.diff, &self.extra]
    }
}

/// Writes the steps that make `new` of `old` as streams.
pub(super) fn encode(old: &[u8], new: &[u8], steps: &[Step]) -> Streams {
    let mut streams = Streams::default();
    let mut old_end = 0_i64;
    let mut new_at = 0;
    for step in steps {
        let old_at = i64::try_from(step.old_at).expect("a file is smaller than 2^63");
        put_signed(&mut streams.control, old_at - old_end);
        put_number(&mut streams.control, step.add as u64);
        put_number(&mut streams.control, step.insert as u64);
        let new_end = new_at + step.add;
        encode_added(&old[step.old_at..step.old_at + step.add], &new[new_at..new_end], &mut streams);
        streams.extra.extend_from_slice(&new[new_end..new_end + step.insert]);
        old_end = old_at + i64::try_from(step.add).expect("a file is smaller than 2^63");
        new_at = new_end + step.insert;
    }
    streams
}

fn encode_added(old: &[u8], new: &[u8], streams: &mut Streams) {
    let mut at = 0;
    while at < new.len() {
        let start = at + equal_run(&old[at..], &new[at..]);
        // A differing run ends where a long equal run, or the equal rest, begins.
        let mut end = start;
        let mut probe = start;
        while probe < new.len() {
            let equal = equal_run(&old[probe..], &new[probe..]);
            if equal >= EQUAL_RUN_MIN || probe + equal == new.len() {
                break;
            }
            probe += equal + 1;
            end = probe;
        }
        put_number(&mut streams.runs, (start - at) as u64);
        put_number(&mut streams.runs, (end - start) as u64);
        let pairs = new[start..end].iter().zip(&old[start..end]);
        streams.diff.extend(pairs.map(|(new, old)| new.wrapping_sub(*old)));
        at = end;
    }
}

fn equal_run(old: &[u8], new: &[u8]) -> usize {
    old.iter().zip(new).take_while(|(old, new)| old == new).count()
}

/// Reads the four streams of a group and makes its objects, one after the other.
pub(super) struct Decoder<'p> {
    control: Numbers<'p>,
    runs: Numbers<'p>,
    diff: Box<dyn Read + 'p>,
    extra: Box<dyn Read + 'p>,
    buffer: Vec<u8>,
}

impl<'p> Decoder<'p> {
    /// Takes the compressed streams in their order.
    pub(super) fn new(packed: [Box<dyn BufRead + 'p>; STREAMS]) -> io::Result<Self> {
        let [control, runs, diff, extra] = packed;
        Ok(Self {
            control: Numbers::new(Box::new(lzma::unpack(control)?)),
            runs: Numbers::new(Box::new(lzma::unpack(runs)?)),
            diff: Box::new(lzma::unpack(diff)?),
            extra: Box::new(lzma::unpack(extra)?),
            buffer: vec![0; CHUNK_BYTES],
        })
    }

    /// Makes the next object, of exactly `size` bytes, of `old`.
    pub(super) fn object(&mut self, old: &[u8], size: u64, into: &mut dyn Write) -> io::Result<()> {
        let mut left = size;
        let mut old_at = 0_i64;
        while left > 0 {
            old_at = old_at.checked_add(unfold(self.control.next()?)).ok_or_else(outside)?;
            let add = self.control.next()?;
            let insert = self.control.next()?;
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

    fn add(&mut self, mut old: &[u8], into: &mut dyn Write) -> io::Result<()> {
        while !old.is_empty() {
            let equal = self.run(old.len())?;
            into.write_all(&old[..equal])?;
            let differing = self.run(old.len() - equal)?;
            if equal + differing == 0 {
                return Err(io::Error::other("a run of its differences is empty"));
            }
            let (part, rest) = old[equal..].split_at(differing);
            for chunk in part.chunks(CHUNK_BYTES) {
                let made = &mut self.buffer[..chunk.len()];
                self.diff.read_exact(made)?;
                made.iter_mut().zip(chunk).for_each(|(made, old)| *made = made.wrapping_add(*old));
                into.write_all(made)?;
            }
            old = rest;
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

/// Reads numbers from a stream.
struct Numbers<'p> {
    stream: io::BufReader<Box<dyn Read + 'p>>,
}

impl<'p> Numbers<'p> {
    fn new(stream: Box<dyn Read + 'p>) -> Self {
        Self { stream: io::BufReader::with_capacity(CHUNK_BYTES, stream) }
    }

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

    fn packed(streams: &Streams) -> [Vec<u8>; STREAMS] {
        let plain = streams.in_order();
        std::array::from_fn(|i| lzma::pack(plain[i], STREAM_CONTENT[i]).unwrap())
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
            let streams = encode(&old, &new, &diff(&old, &new, usize::MAX));
            prop_assert_eq!(decode(&packed(&streams), &old, new.len()).unwrap(), new);
        }
    }

    #[test]
    fn delta_against_another_old_part_is_refused_or_differs() {
        let old: Vec<u8> = (0..9000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let new: Vec<u8> = old[500..].to_vec();
        let packed = packed(&encode(&old, &new, &diff(&old, &new, usize::MAX)));
        let error = decode(&packed, &old[..1000], new.len()).unwrap_err();
        assert!(error.to_string().contains("outside"), "{error}");
    }

    #[test]
    fn delta_that_makes_more_than_declared_is_refused() {
        let packed = packed(&encode(b"", b"hello", &diff(b"", b"hello", usize::MAX)));
        assert!(decode(&packed, b"", 4).is_err());
        assert!(decode(&packed, b"", 6).is_err());
    }
}
