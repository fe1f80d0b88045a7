//! One lock, and two threads that take turns.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something that the event loop and one other thread have in common.
///
/// A lock alone goes to whoever is quickest, again and again. Here the event loop comes next when it wants to, however much
/// the other thread has to do; and the other thread comes next when it has waited for a turn of the event loop.
#[derive(Debug)]
pub(super) struct Turns<T> {
    shared: Mutex<T>,
    /// The event loop wants it.
    is_wanted: AtomicBool,
    /// The other thread wants it.
    is_waiting: AtomicBool,
    /// Turns of the other thread.
    taken: AtomicU64,
}

impl<T> Turns<T> {
    pub(super) fn new(shared: T) -> Self {
        Self {
            shared: Mutex::new(shared),
            is_wanted: AtomicBool::new(false),
            is_waiting: AtomicBool::new(false),
            taken: AtomicU64::new(0),
        }
    }

    /// For the event loop.
    pub(super) fn lock_first(&self) -> MutexGuard<'_, T> {
        let taken = self.taken.load(Ordering::Relaxed);
        // One turn, and no more: the other thread may want the next one already when this looks again.
        while self.is_waiting.load(Ordering::Relaxed) && self.taken.load(Ordering::Relaxed) == taken {
            std::thread::yield_now();
        }
        self.is_wanted.store(true, Ordering::Relaxed);
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_wanted.store(false, Ordering::Relaxed);
        shared
    }

    /// For the other thread.
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.is_waiting.store(true, Ordering::Relaxed);
        while self.is_wanted.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.is_waiting.store(false, Ordering::Relaxed);
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_that_waits_comes_next_however_busy_the_event_loop_is() {
        const ROUNDS: u64 = 200;
        // Counts the turns of the event loop.
        let (turns, is_over) = (Turns::new(0_u64), AtomicBool::new(false));
        let passed_over = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Of a turn: whether the other thread waited when it began, and how often that had been its turn.
                let mut before = (false, 0);
                while !is_over.load(Ordering::Relaxed) {
                    let mut held = turns.lock_first();
                    *held += 1;
                    let waits = turns.is_waiting.load(Ordering::Relaxed);
                    let now = (waits, turns.taken.load(Ordering::Relaxed));
                    if waits && now == before {
                        passed_over.fetch_add(1, Ordering::Relaxed);
                    }
                    before = now;
                    // Long enough for the other thread to sleep meanwhile.
                    let begun = std::time::Instant::now();
                    while begun.elapsed() < std::time::Duration::from_micros(200) {
                        std::hint::spin_loop();
                    }
                    drop(held);
                }
            });
            while *turns.lock() < ROUNDS {}
            is_over.store(true, Ordering::Relaxed);
        });
        let passed_over = passed_over.into_inner();
        assert_eq!(passed_over, 0, "it waited through more than one turn of the event loop");
    }

    #[test]
    fn event_loop_comes_next_however_busy_the_other_thread_is() {
        let (turns, is_over) = (Turns::new(0_u64), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    *turns.lock() += 1;
                }
            });
            // It ends: no turn of the event loop is waited for in vain.
            for _ in 0..10_000 {
                drop(turns.lock_first());
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
