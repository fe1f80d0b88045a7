//! How long work tells how far it is; this crate knows no terminal.

/// Hears how far a long operation is.
///
/// One piece of work is announced with [`Progress::begin`], moves with [`Progress::advance`] from any thread, and
/// ends with [`Progress::end`]; then the next may begin.
pub trait Progress: Sync {
    /// Announces work: a phrase for people and its size in bytes or items; 0 when it is not known.
    fn begin(&self, what: &str, total: u64);
    /// Tells that `by` more bytes or items are done.
    fn advance(&self, by: u64);
    /// Tells that the work last announced is over.
    fn end(&self);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _what: &str, _total: u64) {}
    fn advance(&self, _by: u64) {}
    fn end(&self) {}
}
