//! Keeps what runs at the same time within the memory allowed.

use std::sync::{Condvar, Mutex, PoisonError};

use super::{differ, text};

/// Sizes that follow from the memory allowed.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    capacity_bytes: u64,
    used_bytes: Mutex<u64>,
    freed: Condvar,
}

impl MemoryBudget {
    pub(super) fn new(memory_bytes_max: u64) -> Self {
        // A sixth stays for the streams that wait to be compressed and for the program itself.
        let capacity_bytes = memory_bytes_max - memory_bytes_max / 6;
        Self { capacity_bytes, used_bytes: Mutex::new(0), freed: Condvar::new() }
    }

    /// Largest window of an old file that the differ may index beside both files.
    pub(super) fn window_bytes_max(&self, old_bytes: usize, new_bytes: usize) -> usize {
        let files_bytes = old_bytes as u64 + new_bytes as u64 + differ::TABLE_BYTES;
        let index_bytes = self.capacity_bytes.saturating_sub(files_bytes).max(self.capacity_bytes / 4);
        as_usize(index_bytes / differ::INDEX_BYTES_PER_OLD_BYTE)
    }

    /// New bytes in one delta group.
    pub(super) fn delta_group_bytes(&self) -> u64 {
        (self.capacity_bytes / 6).min(120 << 20)
    }

    /// Old and new bytes of a text group: as much as the compressor can index in the memory there is.
    pub(super) fn text_bytes_max(&self) -> usize {
        let most = text::GROUP_BYTES_MAX + as_usize(text::REFERENCE_BYTES_MAX);
        let mut bytes = most;
        while bytes > 1 << 20 && text::pack_memory_bytes(bytes) + bytes as u64 > self.capacity_bytes {
            bytes = (bytes / 2).next_power_of_two();
        }
        bytes
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
