//! A line: number and digest of the line before, then the entry.
//!
//! ```text
//! {"seq":7,"prev":"<digest of line 6>",  "at":"2026-11-29T12:00:00Z","verdict":"granted",…}
//! └──── head, added by who writes ─────┘ └──── body, made by who hands over ──────────────┘
//! ```
//!
//! The body is made where the entry is made, so that handing over moves bytes and neither allocates for each text nor frees
//! on another thread what was allocated on this one.

use std::io::Write as _;

use serde::{Deserialize, Serialize};

use super::AuditEntry;

/// The longest line that is believed.
pub(super) const LINE_BYTES_MAX: usize = 1 << 16;
/// The longest body: a line less what stands before it.
const BODY_BYTES_MAX: usize = LINE_BYTES_MAX - 128;

/// One line as it is read.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    /// Number of the line, from 1.
    pub(super) seq: u64,
    /// Digest of the line before; of nothing for the first.
    pub(super) prev: String,
    #[serde(flatten)]
    pub(super) entry: AuditEntry,
}

/// Entries made ready to be written, each a JSON object on a line of its own.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    bytes: Vec<u8>,
    count: usize,
}

impl Bodies {
    /// Makes an empty one with room for an ordinary entry.
    pub(super) fn with_room() -> Self {
        Self { bytes: Vec::with_capacity(512), count: 0 }
    }

    /// Adds an entry; one that is too long has its texts cut.
    pub(super) fn push<S: Serialize + AsRef<str>>(&mut self, entry: &AuditEntry<S>) {
        let start = self.bytes.len();
        serde_json::to_writer(&mut self.bytes, entry).expect("plain fields always become JSON");
        if self.bytes.len() - start > BODY_BYTES_MAX {
            self.bytes.truncate(start);
            serde_json::to_writer(&mut self.bytes, &entry.clipped())
                .expect("plain fields always become JSON");
        }
        self.bytes.push(b'\n');
        self.count += 1;
    }

    /// Adds all of another.
    pub(super) fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.count += other.count;
    }

    /// Takes the last entry out again, which began where the length was `bytes`.
    pub(super) fn pop(&mut self, bytes: usize) {
        self.bytes.truncate(bytes);
        self.count -= 1;
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// Returns how many entries there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns how many bytes they have.
    pub(super) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the bodies, each beginning with its brace.
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split(|byte| *byte == b'\n').filter(|body| !body.is_empty())
    }

    /// Writes them as lines that go on a chain; returns the digest of the last.
    pub(super) fn write_chain(
        &self,
        bytes: &mut Vec<u8>,
        mut seq: u64,
        mut prev: blake3::Hash,
    ) -> blake3::Hash {
        bytes.reserve(self.bytes.len() + 96 * self.count);
        for body in self.iter() {
            seq += 1;
            let start = bytes.len();
            write!(bytes, "{{\"seq\":{seq},\"prev\":\"{}\",", prev.to_hex())
                .expect("memory takes everything");
            bytes.extend_from_slice(&body[1..]);
            prev = blake3::hash(&bytes[start..]);
            bytes.push(b'\n');
        }
        prev
    }
}
