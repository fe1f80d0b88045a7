//! Calls that a plug-in works on, and whether their callers still wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Whether a call was cancelled; set once.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Calls by their sequence, which is never used twice.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(Arc<Mutex<HashMap<u64, Cancelled>>>);

/// A place among the calls under way; dropped, it is given back.
#[derive(Debug)]
pub(super) struct Place {
    calls: UnderWay,
    sequence: u64,
    pub(super) cancelled: Cancelled,
}

impl UnderWay {
    pub(super) fn begin(&self, sequence: u64) -> Place {
        let cancelled = Cancelled::default();
        self.lock().insert(sequence, cancelled.clone());
        Place { calls: self.clone(), sequence, cancelled }
    }

    /// Nobody waits for this call any more; one that is answered already is none.
    pub(super) fn cancel(&self, sequence: u64) {
        if let Some(cancelled) = self.lock().get(&sequence) {
            cancelled.0.store(true, Ordering::Release);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Cancelled>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::UnderWay;

    #[test]
    fn cancel_reaches_the_call_that_it_names_as_long_as_it_is_under_way() {
        let calls = UnderWay::default();
        let (one, two) = (calls.begin(1), calls.begin(2));
        calls.cancel(1);
        calls.cancel(3);
        assert!(one.cancelled.is_set() && !two.cancelled.is_set());
        let kept = two.cancelled.clone();
        drop(two);
        calls.cancel(2);
        assert!(!kept.is_set());
        drop(one);
        assert!(calls.lock().is_empty());
    }
}
