//! Keeps what a builder holds in memory within the limit it was given.
//!
//! What counts is memory of the process' own: tables, buffers and the lists of parts. Old and new files are mapped and
//! what is finished lies in a temporary file, so the system can drop both from memory when it needs room; they do not
//! count. From the limit follow the sizes of everything that is built in one go.

use std::sync::{Condvar, Mutex, PoisonError};

use super::{differ, lzma, text};

/// What the program itself takes, with small buffers and what the allocator does not give back at once.
const PROGRAM_BYTES: u64 = 10 << 20;
/// What each part of both trees takes in the trees, the lists that match them and the plan.
const BYTES_PER_PART: u64 = 1200;
/// Least memory for the work itself; below it the pieces get so small that the difference is no better than the whole.
const WORK_BYTES_MIN: u64 = 20 << 20;
/// Buffers of one comparison.
const BUFFERS_BYTES: u64 = 1 << 20;
/// What opening a deflate stream takes for each of its bytes, inflated: its tokens and copies of it.
const OPEN_BYTES_PER_PLAIN_BYTE: u64 = 9;
/// And what it takes however short it is.
const OPEN_BYTES: u64 = 3 << 20;

/// Sizes that follow from the memory allowed.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    capacity_bytes: u64,
    used_bytes: Mutex<u64>,
    freed: Condvar,
}

/// The limit is below the smallest that can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLittle {
    pub(super) smallest_bytes: u64,
}

impl MemoryBudget {
    /// Divides the memory allowed for two trees that have so many parts together.
    pub(super) fn new(memory_bytes_max: u64, parts: usize) -> Result<Self, TooLittle> {
        let held_bytes = PROGRAM_BYTES + parts as u64 * BYTES_PER_PART;
        let capacity_bytes = memory_bytes_max.saturating_sub(held_bytes);
        if capacity_bytes < WORK_BYTES_MIN {
            // Whole megabytes, so that it can be typed as it is told.
            let smallest_bytes = (held_bytes + WORK_BYTES_MIN).next_multiple_of(1 << 20);
            return Err(TooLittle { smallest_bytes });
        }
        Ok(Self { capacity_bytes, used_bytes: Mutex::new(0), freed: Condvar::new() })
    }

    /// Largest window of an old file that the differ may index.
    pub(super) fn window_bytes_max(&self) -> usize {
        let room = |table_bytes: u64| {
            self.capacity_bytes.saturating_sub(table_bytes + BUFFERS_BYTES) / differ::INDEX_BYTES_PER_OLD_BYTE
        };
        let large = room(differ::table_bytes(usize::MAX));
        let small = room(differ::table_bytes(0)).min(differ::LARGE_WINDOW_BYTES as u64 - 1);
        as_usize(large.max(small))
    }

    /// What comparing with an old file of this size takes.
    pub(super) fn delta_bytes(&self, old_bytes: usize) -> u64 {
        let window_bytes = old_bytes.min(self.window_bytes_max());
        let index_bytes = window_bytes as u64 * differ::INDEX_BYTES_PER_OLD_BYTE;
        index_bytes + differ::table_bytes(window_bytes) + BUFFERS_BYTES
    }

    /// Largest dictionary for compressing a stream.
    pub(super) fn dictionary_bytes_max(&self) -> u32 {
        let mut bytes = lzma::DICTIONARY_BYTES_MAX;
        while lzma::pack_memory_bytes(u64::from(bytes), bytes) > self.capacity_bytes {
            bytes /= 2;
        }
        bytes
    }

    /// Old and new bytes of a text group: as much as the compressor can index in the memory there is.
    pub(super) fn text_bytes_max(&self) -> usize {
        let mut bytes = text::GROUP_BYTES_MAX + as_usize(text::REFERENCE_BYTES_MAX);
        while text::pack_memory_bytes(bytes, bytes) > self.capacity_bytes {
            bytes = bytes.next_power_of_two() / 2;
        }
        bytes
    }

    /// Largest deflate stream, inflated, that may be opened.
    pub(super) fn stream_bytes_max(&self, most: usize) -> usize {
        most.min(as_usize((self.capacity_bytes - OPEN_BYTES) / OPEN_BYTES_PER_PLAIN_BYTE))
    }

    /// What opening streams of up to so many inflated bytes takes.
    pub(super) fn open_bytes(stream_bytes: usize) -> u64 {
        OPEN_BYTES + stream_bytes as u64 * OPEN_BYTES_PER_PLAIN_BYTE
    }

    /// Runs `work` when `bytes` are free; work that wants more than there is runs alone.
    pub(super) fn with<R>(&self, bytes: u64, work: impl FnOnce() -> R) -> R {
        let bytes = bytes.min(self.capacity_bytes);
        let mut used_bytes = self.used_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        while *used_bytes + bytes > self.capacity_bytes {
            used_bytes = self.freed.wait(used_bytes).unwrap_or_else(PoisonError::into_inner);
        }
        *used_bytes += bytes;
        drop(used_bytes);
        let result = work();
        *self.used_bytes.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
        self.freed.notify_all();
        result
    }
}

fn as_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_any_limit_fit_into_it() {
        for megabytes in (32..=1024).step_by(7) {
            let Ok(budget) = MemoryBudget::new(megabytes << 20, 100) else { panic!("{megabytes} is enough") };
            let capacity = budget.capacity_bytes;
            assert!(budget.delta_bytes(usize::MAX) <= capacity, "{megabytes}");
            let dictionary = budget.dictionary_bytes_max();
            assert!(lzma::pack_memory_bytes(u64::MAX / 2, dictionary) <= capacity, "{megabytes}");
            let text = budget.text_bytes_max();
            assert!(text::pack_memory_bytes(text, text / 2) <= capacity && text >= 1 << 18, "{megabytes}");
            assert!(MemoryBudget::open_bytes(budget.stream_bytes_max(usize::MAX)) <= capacity);
        }
    }

    #[test]
    fn limit_too_small_names_the_smallest_which_is_enough() {
        for parts in [0, 1, 777, 200_000] {
            let TooLittle { smallest_bytes } = MemoryBudget::new(4 << 20, parts).unwrap_err();
            assert!(MemoryBudget::new(smallest_bytes, parts).is_ok());
            assert!(MemoryBudget::new(smallest_bytes - (2 << 20), parts).is_err());
        }
    }

    #[test]
    fn work_of_all_memory_runs_alone() {
        let budget = MemoryBudget::new(64 << 20, 0).unwrap();
        let running = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    budget.with(u64::MAX, || {
                        assert_eq!(running.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    });
                });
            }
        });
        assert_eq!(*budget.used_bytes.lock().unwrap(), 0);
    }
}
