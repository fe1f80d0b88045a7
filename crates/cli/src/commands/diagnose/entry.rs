//! A message that is explained.

use serde::Serialize;

/// One message.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    /// Its id.
    pub(super) id: &'static str,
    /// What it means.
    pub(super) meaning: &'static str,
    /// What to do.
    pub(super) action: &'static str,
}

/// Explains a message.
pub(super) const fn entry(id: &'static str, meaning: &'static str, action: &'static str) -> Entry {
    Entry { id, meaning, action }
}
