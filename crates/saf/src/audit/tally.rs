//! Counting grants that are all alike.

use jiff::Timestamp;

use super::{AuditEntry, Verdict};

/// Counts grants that agree in everything but when they were given.
///
/// Shape: made from the entry of the first such grant; [`Self::hit`] costs an addition. Whoever keeps it hands over what
/// [`Self::take`] returns at least every second, and when the subject's connection ends or the rule changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTally {
    entry: AuditEntry,
    count: u64,
}

impl AuditTally {
    /// Begins with nothing counted; `None` for an entry that must stand alone, a refusal or a warning.
    pub fn new(entry: AuditEntry) -> Option<Self> {
        (entry.verdict == Verdict::Granted).then_some(Self { entry, count: 0 })
    }

    /// Counts one grant.
    pub fn hit(&mut self, at: Timestamp) {
        self.add(1, at, at);
    }

    /// Counts grants that somebody else has counted.
    ///
    /// Times may come in any order: a clock may be set back.
    pub fn add(&mut self, count: u64, first: Timestamp, last: Timestamp) {
        if count == 0 {
            return;
        }
        let is_first = self.count == 0;
        self.count = self.count.saturating_add(count);
        let since = self.entry.since.filter(|_| !is_first);
        self.entry.since = Some(since.map_or(first.min(last), |since| since.min(first).min(last)));
        self.entry.at = if is_first { first.max(last) } else { self.entry.at.max(first).max(last) };
    }

    /// Returns how many were counted since the last [`Self::take`].
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the entry of what was counted and begins anew; `None` when nothing was.
    pub fn take(&mut self) -> Option<AuditEntry> {
        if self.count == 0 {
            return None;
        }
        let mut entry = self.entry.clone();
        entry.count = std::mem::take(&mut self.count);
        if entry.count == 1 {
            entry.since = None;
        }
        Some(entry)
    }
}
