//! The writer: many threads hand over entries, one writes them.
//!
//! ```text
//!            first entry                 linger over                 queue empty
//!   IDLE ──────────────► COLLECTING ──────────────────► WRITING ──────────────────► IDLE
//!                            ▲                             │ write fails
//!                            └────────── retry_ms ── FAILING ◄┘     (the batch stays in front of the queue)
//! ```
//!
//! While it is not idle nobody needs to wake it, so that handing over costs a lock and no system call.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{AuditEntry, AuditError, AuditLog, Verdict};

/// How an [`AuditWriter`] behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditOptions {
    /// Entries that may wait; grants use at most half of it.
    pub queue_entries_max: usize,
    /// How long entries are collected before they are written together, in milliseconds.
    pub linger_ms: u64,
    /// How long a refusal waits for room, in milliseconds.
    pub wait_ms: u64,
    /// How long after a failed write the next is tried, in milliseconds.
    pub retry_ms: u64,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { queue_entries_max: 16_384, linger_ms: 5, wait_ms: 2000, retry_ms: 500 }
    }
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<AuditEntry>,
    /// Entries taken out of the queue and not yet written.
    in_flight: usize,
    /// Grants left out since the last batch.
    dropped: u64,
    is_idle: bool,
    is_failing: bool,
    is_stopping: bool,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    options: AuditOptions,
    state: Mutex<State>,
    /// There is something to write, or the writer should end.
    work: Condvar,
    /// Something was written, or writing failed.
    progress: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes entries in batches from a thread of its own.
#[derive(Debug)]
pub struct AuditWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl AuditWriter {
    /// Opens a log and begins.
    pub fn start(path: &Path, options: AuditOptions) -> Result<Self, AuditError> {
        let log = AuditLog::open(path)?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            options,
            state: Mutex::new(State { is_idle: true, ..State::default() }),
            work: Condvar::new(),
            progress: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("audit".to_owned()).spawn(move || run(&for_thread, log));
        let failed = |source| AuditError::Io { step: "start the writer of", path: path.to_owned(), source };
        Ok(Self { shared, thread: Some(thread.map_err(failed)?) })
    }

    /// Hands an entry over.
    ///
    /// Errors: [`AuditError::Full`] for what must not be left out and found no room in time; then access must be refused.
    /// A grant never fails: it is left out, and that it was is written down.
    pub fn record(&self, entry: AuditEntry) -> Result<(), AuditError> {
        let max = self.shared.options.queue_entries_max;
        let mut state = self.shared.state();
        if entry.verdict == Verdict::Granted && state.queue.len() + state.in_flight >= max / 2 {
            state.dropped += entry.count;
            return Ok(());
        }
        let deadline = Instant::now() + Duration::from_millis(self.shared.options.wait_ms);
        while state.queue.len() + state.in_flight >= max {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(AuditError::Full {
                    path: self.shared.path.clone(),
                    is_failing: state.is_failing,
                });
            }
            state = self.shared.progress.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.queue.push_back(entry);
        if state.is_idle {
            state.is_idle = false;
            drop(state);
            self.shared.work.notify_one();
        }
        Ok(())
    }

    /// Waits until everything handed over so far is on disk.
    ///
    /// Errors: [`AuditError::Full`] when that does not happen in time.
    pub fn flush(&self, timeout: Duration) -> Result<(), AuditError> {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.state();
        while !state.queue.is_empty() || state.in_flight > 0 || state.dropped > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(AuditError::Full {
                    path: self.shared.path.clone(),
                    is_failing: state.is_failing,
                });
            }
            state = self.shared.progress.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Returns how many entries wait, and whether the last attempt to write failed.
    pub fn backlog(&self) -> (usize, bool) {
        let state = self.shared.state();
        (state.queue.len() + state.in_flight, state.is_failing)
    }

    /// Writes what waits and ends.
    ///
    /// Errors: [`AuditError::Full`] when the rest cannot be written; it is lost.
    pub fn stop(mut self, timeout: Duration) -> Result<(), AuditError> {
        let flushed = self.flush(timeout);
        self.end();
        flushed
    }

    fn end(&mut self) {
        self.shared.state().is_stopping = true;
        self.shared.work.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            // The panic was reported by the thread itself; there is nobody left to write.
            self.shared.state().is_failing = true;
        }
    }
}

impl Drop for AuditWriter {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(shared: &Shared, mut log: AuditLog) {
    let linger = Duration::from_millis(shared.options.linger_ms);
    let retry = Duration::from_millis(shared.options.retry_ms);
    loop {
        let mut state = shared.state();
        while state.queue.is_empty() && state.dropped == 0 && !state.is_stopping {
            state.is_idle = true;
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_idle = false;
        let pause = if state.is_failing { retry } else { linger };
        if !state.is_stopping {
            let until = |state: &mut State| !state.is_stopping;
            state =
                shared.work.wait_timeout_while(state, pause, until).unwrap_or_else(PoisonError::into_inner).0;
        }
        let is_last = state.is_stopping;
        let mut batch: Vec<AuditEntry> = state.queue.drain(..).collect();
        let dropped = std::mem::take(&mut state.dropped);
        if dropped > 0 {
            batch.push(AuditEntry::dropped(Timestamp::now(), dropped));
        }
        state.in_flight = batch.len();
        drop(state);

        let written = log.append(&batch);

        let mut state = shared.state();
        state.in_flight = 0;
        state.is_failing = written.is_err();
        if written.is_err() {
            // What was left out is counted anew, so that it does not fill the queue.
            if dropped > 0 {
                batch.pop();
                state.dropped += dropped;
            }
            for entry in batch.into_iter().rev() {
                state.queue.push_front(entry);
            }
        }
        shared.progress.notify_all();
        if is_last && (state.queue.is_empty() || written.is_err()) {
            return;
        }
    }
}
