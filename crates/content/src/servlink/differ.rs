//! Finds how new bytes are made of old ones: runs that are nearly alike, and what is between.
//!
//! The search is bsdiff's: exact matches come from a suffix array of the old bytes; a match is extended both ways as
//! long as at least half of the bytes agree, because rebuilt code is the same code with other addresses in it.

use libsais::SuffixArrayConstruction;

/// One step: add `add` bytes of old at `old_at` to a difference, then take `insert` new bytes as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) old_at: usize,
    pub(super) add: usize,
    pub(super) insert: usize,
}

/// A match must beat the run under way by this many bytes, or it is not worth a new step.
const GAIN_MIN: usize = 8;
/// So many bytes exactly right, and the run goes on without a search.
const CARRY_MIN: usize = 16;
/// Memory of the differ for each byte of the old window: its suffix array.
pub(super) const INDEX_BYTES_PER_OLD_BYTE: u64 = 4;
/// From this size on the table is made for three bytes instead of two.
pub(super) const LARGE_WINDOW_BYTES: usize = 4 << 20;

/// Returns the memory of the table for an old window of this size.
pub(super) fn table_bytes(window_bytes: usize) -> u64 {
    if window_bytes < LARGE_WINDOW_BYTES { 1 << 18 } else { 4 << 24 }
}

/// Longest old window: the suffix array counts in 32 bits.
const WINDOW_BYTES_MAX: usize = i32::MAX as usize;

/// Finds the steps that make `new` of `old` and hands them on in order; stops when `emit` fails.
///
/// When `old` is larger than `window_bytes_max`, `new` is cut into pieces and each looks only at the part of `old`
/// around its own place, so that memory stays within bounds.
pub(super) fn diff<E>(
    old: &[u8],
    new: &[u8],
    window_bytes_max: usize,
    mut emit: impl FnMut(Step) -> Result<(), E>,
) -> Result<(), E> {
    let window_bytes = window_bytes_max.clamp(64 * 1024, WINDOW_BYTES_MAX);
    if old.is_empty() || new.is_empty() {
        return emit(Step { old_at: 0, add: 0, insert: new.len() });
    }
    if old.len() <= window_bytes {
        return Scan::new(old, new, emit).run();
    }
    // Each piece advances by three quarters of a window, so what moved by less than an eighth is still in sight.
    let pieces = old.len().div_ceil(window_bytes / 4 * 3);
    let piece_bytes = new.len().div_ceil(pieces);
    for (index, piece) in new.chunks(piece_bytes).enumerate() {
        let centre = (index * piece_bytes + piece.len() / 2) * old.len() / new.len();
        let start = centre.saturating_sub(window_bytes / 2).min(old.len() - window_bytes);
        let window = &old[start..start + window_bytes];
        Scan::new(window, piece, |step: Step| emit(Step { old_at: step.old_at + start, ..step })).run()?;
    }
    Ok(())
}

struct Scan<'b, F> {
    old: &'b [u8],
    new: &'b [u8],
    index: Index<'b>,
    emit: F,
    /// Where the run under way starts in new and old.
    run_new: usize,
    run_old: usize,
}

/// An exact match: `len` bytes of old at `old_at`.
#[derive(Clone, Copy)]
struct Match {
    old_at: usize,
    len: usize,
}

impl<'b, E, F: FnMut(Step) -> Result<(), E>> Scan<'b, F> {
    fn new(old: &'b [u8], new: &'b [u8], emit: F) -> Self {
        Self { old, new, index: Index::new(old), emit, run_new: 0, run_old: 0 }
    }

    /// Returns how many bytes from `new_at` on the run under way has exactly right.
    fn run_agreement(&self, new_at: usize) -> usize {
        let old = self.old.get(self.run_old + (new_at - self.run_new)..).unwrap_or_default();
        common_prefix(&self.new[new_at..], old)
    }

    /// Tells whether the run under way, carried on to `new_at`, has the right byte there.
    fn run_agrees(&self, new_at: usize) -> bool {
        self.old.get(self.run_old + (new_at - self.run_new)) == Some(&self.new[new_at])
    }

    fn run(mut self) -> Result<(), E> {
        let mut at = 0;
        let mut found = Match { old_at: 0, len: 0 };
        while at < self.new.len() {
            at += found.len;
            let mut agreeing = 0;
            let mut counted = at;
            found.len = 0;
            while at < self.new.len() {
                let carried = self.run_agreement(at);
                if carried >= CARRY_MIN {
                    // The run goes on exactly: no search, as one that found more elsewhere would hardly pay.
                    at += carried;
                    (agreeing, counted) = (0, at);
                    continue;
                }
                found = self.index.longest(&self.new[at..]);
                while counted < at + found.len {
                    agreeing += usize::from(self.run_agrees(counted));
                    counted += 1;
                }
                if (found.len == agreeing && found.len != 0) || found.len > agreeing + GAIN_MIN {
                    break;
                }
                if counted > at {
                    agreeing -= usize::from(self.run_agrees(at));
                }
                at += 1;
                counted = counted.max(at);
                found.len = 0;
            }
            if found.len != agreeing || at >= self.new.len() {
                self.end_run(at.min(self.new.len()), found)?;
            }
        }
        Ok(())
    }

    /// Ends the run under way before the match found at `at`, and starts the next one at that match.
    fn end_run(&mut self, at: usize, found: Match) -> Result<(), E> {
        let is_last = at >= self.new.len();
        let mut forward = self.forward(at);
        let mut backward = if is_last { 0 } else { self.backward(at, found.old_at) };
        let gap = at - self.run_new;
        if forward + backward > gap {
            let overlap = forward + backward - gap;
            let kept = self.split_overlap(at, found.old_at, forward, backward, overlap);
            forward = forward + kept - overlap;
            backward -= kept;
        }
        let insert = gap - forward - backward;
        if forward + insert > 0 {
            (self.emit)(Step { old_at: self.run_old, add: forward, insert })?;
        }
        self.run_new = at - backward;
        self.run_old = found.old_at.saturating_sub(backward);
        Ok(())
    }

    /// How far the run under way reaches with at least half of its bytes agreeing.
    fn forward(&self, at: usize) -> usize {
        let pairs = self.new[self.run_new..at].iter().zip(&self.old[self.run_old.min(self.old.len())..]);
        best_reach(pairs.map(|(new, old)| new == old))
    }

    /// The same, backwards from the match found.
    fn backward(&self, at: usize, old_at: usize) -> usize {
        let pairs = self.new[self.run_new..at].iter().rev().zip(self.old[..old_at].iter().rev());
        best_reach(pairs.map(|(new, old)| new == old))
    }

    /// How many bytes of the overlap the earlier run keeps for the most agreement.
    fn split_overlap(
        &self,
        at: usize,
        old_at: usize,
        forward: usize,
        backward: usize,
        overlap: usize,
    ) -> usize {
        let (mut score, mut best, mut kept) = (0_i64, 0, 0);
        for i in 0..overlap {
            let offset = forward - overlap + i;
            score += i64::from(self.new[self.run_new + offset] == self.old[self.run_old + offset]);
            score -= i64::from(self.new[at - backward + i] == self.old[old_at - backward + i]);
            if score > best {
                (best, kept) = (score, i + 1);
            }
        }
        kept
    }
}

/// A suffix array with a table of where the suffixes of each first few bytes start.
///
/// The table saves the first steps of every search, which are the ones that miss the processor's caches.
struct Index<'b> {
    old: &'b [u8],
    suffixes: Vec<i32>,
    starts: Vec<u32>,
    prefix_bytes: usize,
}

impl<'b> Index<'b> {
    fn new(old: &'b [u8]) -> Self {
        let suffixes = SuffixArrayConstruction::for_text(old).in_owned_buffer32().single_threaded().run();
        let suffixes =
            suffixes.expect("the window fits the array's indices and its memory is there").into_vec();
        let prefix_bytes = if old.len() < LARGE_WINDOW_BYTES { 2 } else { 3 };
        let mut starts = vec![0_u32; (1 << (8 * prefix_bytes)) + 1];
        for at in 0..old.len() {
            starts[prefix_of(&old[at..], prefix_bytes) + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Self { old, suffixes, starts, prefix_bytes }
    }

    fn suffix(&self, rank: usize) -> usize {
        usize::try_from(self.suffixes[rank]).expect("a suffix starts inside the window")
    }

    /// Returns the longest match of the start of `wanted`; one of less than two or three bytes counts as none.
    fn longest(&self, wanted: &[u8]) -> Match {
        let mut best = Match { old_at: 0, len: 0 };
        if wanted.len() < self.prefix_bytes {
            return best;
        }
        let prefix = prefix_of(wanted, self.prefix_bytes);
        let (mut low, mut high) = (self.starts[prefix] as usize, self.starts[prefix + 1] as usize);
        let (mut low_len, mut high_len) = (self.prefix_bytes, self.prefix_bytes);
        while low < high {
            let middle = low + (high - low) / 2;
            let old_at = self.suffix(middle);
            if old_at + self.prefix_bytes > self.old.len() {
                // Too short for the prefix, so it stands before all that have it.
                low = middle + 1;
                continue;
            }
            // All between the bounds share at least what both bounds share with what is wanted.
            let known = low_len.min(high_len);
            let len = known + common_prefix(&wanted[known..], &self.old[old_at + known..]);
            if len > best.len {
                best = Match { old_at, len };
            }
            if len == wanted.len() {
                break;
            }
            if self.old.get(old_at + len).is_none_or(|old| *old < wanted[len]) {
                (low, low_len) = (middle + 1, len);
            } else {
                (high, high_len) = (middle, len);
            }
        }
        best
    }
}

/// Returns the first bytes as a number; what is missing counts as zeros, which sort first as it does.
fn prefix_of(bytes: &[u8], prefix_bytes: usize) -> usize {
    (0..prefix_bytes).fold(0, |prefix, at| prefix << 8 | usize::from(bytes.get(at).copied().unwrap_or(0)))
}

/// Returns how many bytes two slices have in common at their start.
pub(super) fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let mut len = 0;
    for (a, b) in one.chunks_exact(8).zip(other.chunks_exact(8)) {
        let a = u64::from_le_bytes(a.try_into().expect("a chunk is eight bytes"));
        let b = u64::from_le_bytes(b.try_into().expect("a chunk is eight bytes"));
        if a != b {
            return len + ((a ^ b).trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    len + one[len..].iter().zip(&other[len..]).take_while(|(a, b)| a == b).count()
}

/// Returns the length where twice the agreeing bytes less the length is greatest.
fn best_reach(agrees: impl Iterator<Item = bool>) -> usize {
    let (mut score, mut best, mut reach) = (0_i64, 0, 0);
    for (i, agrees) in agrees.enumerate() {
        score += if agrees { 1 } else { -1 };
        if score > best {
            (best, reach) = (score, i + 1);
        }
    }
    reach
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps_of(old: &[u8], new: &[u8], window_bytes_max: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let emitted = diff(old, new, window_bytes_max, |step| {
            steps.push(step);
            Ok::<_, ()>(())
        });
        emitted.unwrap();
        steps
    }

    fn patch(old: &[u8], new: &[u8], steps: &[Step]) -> Vec<u8> {
        let mut made = Vec::new();
        for step in steps {
            for i in 0..step.add {
                let difference = new[made.len()].wrapping_sub(old[step.old_at + i]);
                made.push(old[step.old_at + i].wrapping_add(difference));
            }
            let at = made.len();
            made.extend_from_slice(&new[at..at + step.insert]);
        }
        made
    }

    #[test]
    fn diff_of_moved_blocks_inserts_almost_nothing() {
        let old: Vec<u8> =
            (0..40_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut new = old[80_000..].to_vec();
        new.extend(&old[..80_000]);
        for at in (0..new.len()).step_by(500) {
            new[at] ^= 0x55;
        }
        let steps = steps_of(&old, &new, usize::MAX);
        assert_eq!(patch(&old, &new, &steps), new);
        assert!(steps.iter().map(|s| s.insert).sum::<usize>() < 1000);
    }

    proptest! {
        #[test]
        fn diff_of_anything_makes_new(
            old in prop::collection::vec(0_u8..4, 0..3000),
            new in prop::collection::vec(0_u8..4, 0..3000),
            cut in 0_usize..3000,
        ) {
            let mut mixed = new.clone();
            mixed.extend(&old[cut.min(old.len())..]);
            mixed.extend(&new);
            let steps = steps_of(&old, &mixed, usize::MAX);
            prop_assert_eq!(patch(&old, &mixed, &steps), mixed);
        }
    }

    #[test]
    fn diff_of_large_windows_inserts_only_what_is_new() {
        let old = (0..1_100_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes());
        let old: Vec<u8> = old.collect();
        assert!(old.len() >= LARGE_WINDOW_BYTES);
        let mut new = old[2_000_000..].to_vec();
        new.extend([9; 333]);
        new.extend(&old[..2_000_000]);
        let steps = steps_of(&old, &new, usize::MAX);
        assert_eq!(patch(&old, &new, &steps), new);
        assert!(steps.iter().map(|s| s.insert).sum::<usize>() < 400);
    }

    #[test]
    fn diff_in_windows_makes_new() {
        let old: Vec<u8> =
            (0..300_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut new = old.clone();
        new.splice(1000..1000, [9; 777]);
        let steps = steps_of(&old, &new, 200_000);
        assert_eq!(patch(&old, &new, &steps), new);
        assert!(steps.iter().map(|s| s.insert).sum::<usize>() < 20_000);
    }
}
