//! The memory of one direction, as the algorithm sees it.

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// The memory of one direction: words of records, the reader's position, the reader's flag.
///
/// Behind it is a mapping in earnest, and the heap for loom, Miri and tests of the algorithm. A lane never gives out
/// anything but atomics.
pub trait Lane {
    /// Words of records; a power of two, at least 16.
    fn words(&self) -> usize;

    /// Word `index` of the records, which is below [`Lane::words`].
    fn word(&self, index: usize) -> &AtomicU64;

    /// The `count` words from `first` on, all of them below [`Lane::words`].
    fn run(&self, first: usize, count: usize) -> &[AtomicU64];

    /// How far the reader has read, in bytes since the beginning.
    fn head(&self) -> &AtomicU64;

    /// 1 when the reader sleeps and wants to be woken.
    fn asleep(&self) -> &AtomicU32;
}

/// A lane on the heap.
#[derive(Debug)]
pub struct HeapLane {
    words: Vec<AtomicU64>,
    head: AtomicU64,
    asleep: AtomicU32,
}

impl HeapLane {
    /// A lane of `bytes` bytes, a power of two, at least 128.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        assert!(bytes.is_power_of_two() && bytes >= 128, "a lane has a power of two of bytes, at least 128");
        let words = (0..bytes / 8).map(|_| AtomicU64::new(0)).collect();
        Self { words, head: AtomicU64::new(0), asleep: AtomicU32::new(0) }
    }
}

impl Lane for HeapLane {
    fn words(&self) -> usize {
        self.words.len()
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        &self.words[index]
    }

    fn run(&self, first: usize, count: usize) -> &[AtomicU64] {
        &self.words[first..first + count]
    }

    fn head(&self) -> &AtomicU64 {
        &self.head
    }

    fn asleep(&self) -> &AtomicU32 {
        &self.asleep
    }
}

impl<L: Lane> Lane for std::sync::Arc<L> {
    fn words(&self) -> usize {
        L::words(self)
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        L::word(self, index)
    }

    fn run(&self, first: usize, count: usize) -> &[AtomicU64] {
        L::run(self, first, count)
    }

    fn head(&self) -> &AtomicU64 {
        L::head(self)
    }

    fn asleep(&self) -> &AtomicU32 {
        L::asleep(self)
    }
}
