//! The writer: many threads hand over entries, one writes them.
//!
//! ```text
//!            first entry                 linger over                 queue empty
//!   IDLE ──────────────► COLLECTING ──────────────────► WRITING ──────────────────► IDLE
//!                            ▲                             │ write fails
//!                            └────────── retry_ms ── FAILING ◄┘     (the batch stays in front of the queue)
//! ```
//!
//! While it is not idle nobody needs to wake it, so that handing over costs a lock and no system call. What is handed over is
//! the text of the line; it is made before the lock is taken.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use super::line::Bodies;
use super::{AuditEntry, AuditError, AuditLog, Verdict, clipped, verdict_of, written};
use crate::decision::{Decision, Question, remedy};
use crate::subject::Subject;

/// Batches whose numbers are remembered.
const BATCHES_MAX: usize = 1024;

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

/// Says which entry was handed over; [`AuditWriter::number`] turns it into the number of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditReceipt {
    /// How many entries were handed over before; `None` for a grant that was left out.
    ordinal: Option<u64>,
}

/// Where entries that were handed over stand in the log.
#[derive(Debug, Clone, Copy)]
struct Batch {
    /// How many were handed over before the first of them.
    ordinal: u64,
    /// Its line.
    line: u64,
    count: u64,
}

#[derive(Debug, Default)]
struct State {
    queue: Bodies,
    /// Entries taken out of the queue and not yet written.
    in_flight: usize,
    /// Entries handed over so far.
    handed_over: u64,
    /// The last batches that were written, oldest first.
    batches: VecDeque<Batch>,
    /// Somebody waits for what is in the queue.
    is_hurried: bool,
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

impl State {
    /// Remembers where a batch stands.
    fn note(&mut self, batch: Batch) {
        if batch.count == 0 {
            return;
        }
        if self.batches.len() >= BATCHES_MAX {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
    }
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
    pub fn record(&self, entry: &AuditEntry) -> Result<AuditReceipt, AuditError> {
        self.hand_over(entry)
    }

    /// Hands over the entry of a decision: the same as [`AuditEntry::of`] and [`Self::record`] without keeping it.
    ///
    /// `actor` is on whose behalf the subject asks, `origin` where the question came from.
    pub fn record_decision(
        &self,
        at: Timestamp,
        subject: &Subject,
        question: &Question<'_>,
        decision: &Decision<'_>,
        (actor, origin): (Option<&str>, Option<&str>),
    ) -> Result<AuditReceipt, AuditError> {
        let verdict = verdict_of(decision);
        let rule = written(decision.rule);
        let remedy = (verdict == Verdict::Refused).then(|| remedy(decision, subject, question));
        self.hand_over(&AuditEntry {
            at,
            since: None,
            verdict,
            user: subject.user.as_ref().map(|user| user.as_str()),
            actor,
            origin,
            class: clipped(question.class),
            resource: clipped(question.resource),
            level: Some(question.level),
            rule: &*rule,
            remedy: remedy.as_deref(),
            count: 1,
        })
    }

    fn hand_over<S: Serialize + AsRef<str>>(
        &self,
        entry: &AuditEntry<S>,
    ) -> Result<AuditReceipt, AuditError> {
        let max = self.shared.options.queue_entries_max;
        let mut body = Bodies::with_room();
        body.push(entry);
        let mut state = self.shared.state();
        if entry.verdict == Verdict::Granted && state.queue.len() + state.in_flight >= max / 2 {
            state.dropped = state.dropped.saturating_add(entry.count);
            return Ok(AuditReceipt { ordinal: None });
        }
        if state.queue.len() + state.in_flight >= max {
            state = self.wait_for_room(state)?;
        }
        state.queue.append(&body);
        let receipt = AuditReceipt { ordinal: Some(state.handed_over) };
        state.handed_over += 1;
        if state.is_idle {
            state.is_idle = false;
            drop(state);
            self.shared.work.notify_one();
        }
        Ok(receipt)
    }

    /// Waits until another entry finds room.
    fn wait_for_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> Result<MutexGuard<'a, State>, AuditError> {
        let options = &self.shared.options;
        let deadline = Instant::now() + Duration::from_millis(options.wait_ms);
        while state.queue.len() + state.in_flight >= options.queue_entries_max {
            state = self.wait_until(state, deadline)?;
        }
        Ok(state)
    }

    /// Waits for progress.
    fn wait_until<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        deadline: Instant,
    ) -> Result<MutexGuard<'a, State>, AuditError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(AuditError::Full { path: self.shared.path.clone(), is_failing: state.is_failing });
        }
        Ok(self.shared.progress.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Waits until an entry is on disk and returns the number of its line.
    ///
    /// Shape:  the writer does not linger for it.
    /// Errors: [`AuditError::Full`] when it is not written in time; [`AuditError::Unnumbered`] for an entry that was left
    /// out, or written more than a thousand batches ago.
    pub fn number(&self, receipt: AuditReceipt, timeout: Duration) -> Result<u64, AuditError> {
        let unnumbered = || AuditError::Unnumbered { path: self.shared.path.clone() };
        let ordinal = receipt.ordinal.ok_or_else(unnumbered)?;
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.state();
        loop {
            let written = state.batches.back().map_or(0, |batch| batch.ordinal + batch.count);
            if ordinal < written {
                let at = state.batches.partition_point(|batch| batch.ordinal + batch.count <= ordinal);
                let batch = state.batches[at];
                let place = ordinal.checked_sub(batch.ordinal).ok_or_else(unnumbered)?;
                return Ok(batch.line + place);
            }
            if !state.is_hurried {
                state.is_hurried = true;
                self.shared.work.notify_one();
            }
            state = self.wait_until(state, deadline)?;
        }
    }

    /// Waits until everything handed over so far is on disk.
    ///
    /// Errors: [`AuditError::Full`] when that does not happen in time.
    pub fn flush(&self, timeout: Duration) -> Result<(), AuditError> {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.state();
        while !state.queue.is_empty() || state.in_flight > 0 || state.dropped > 0 {
            state = self.wait_until(state, deadline)?;
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
    // What is being written; it stays here until it is.
    let mut batch = Bodies::default();
    let mut written_ordinal = 0;
    loop {
        let mut state = shared.state();
        while batch.is_empty() && state.queue.is_empty() && state.dropped == 0 && !state.is_stopping {
            state.is_idle = true;
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_idle = false;
        let is_failing = state.is_failing;
        let pause = if is_failing { retry } else { linger };
        // Who waits for an entry does not make a disk that fails be tried without pause.
        let goes_on = |state: &mut State| !state.is_stopping && (is_failing || !state.is_hurried);
        state =
            shared.work.wait_timeout_while(state, pause, goes_on).unwrap_or_else(PoisonError::into_inner).0;
        let is_last = state.is_stopping;
        state.is_hurried = false;
        if batch.is_empty() {
            std::mem::swap(&mut batch, &mut state.queue);
        } else {
            batch.append(&state.queue);
            state.queue.clear();
        }
        let dropped = std::mem::take(&mut state.dropped);
        let (count, end) = (batch.len(), batch.bytes_len());
        state.in_flight = count;
        drop(state);
        if dropped > 0 {
            batch.push(&AuditEntry::dropped(Timestamp::now(), dropped));
        }

        let written = log.append_bodies(&batch);

        let mut state = shared.state();
        state.is_failing = written.is_err();
        match written {
            Ok(line) => {
                state.in_flight = 0;
                state.note(Batch { ordinal: written_ordinal, line, count: count as u64 });
                written_ordinal += count as u64;
                batch.clear();
            }
            // What was left out is counted anew, so that it does not fill the queue.
            Err(_) if dropped > 0 => {
                batch.pop(end);
                state.dropped = state.dropped.saturating_add(dropped);
            }
            Err(_) => {}
        }
        let is_done = batch.is_empty() && state.queue.is_empty();
        shared.progress.notify_all();
        if is_last && (is_done || state.is_failing) {
            return;
        }
    }
}
