//! The audit log.
//!
//! A refusal is on disk, and has its number, before anybody hears of it: a thread waits for that, and several at once cost
//! one write. Grants are counted by the front and handed over once a second.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel};
use std::time::Duration;

use tender_saf::{AuditEntry, AuditError, AuditOptions, AuditReceipt, AuditWriter};

use crate::waker::Waker;

/// Refusals that may wait for the disk.
const WAITING_MAX: usize = 16_384;
/// How long the disk may take.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// A refusal that is written, or could not be.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) ticket: u64,
    /// The number of its record; why there is none.
    pub(crate) reference: Result<u64, String>,
}

#[derive(Debug)]
pub(crate) struct Audit {
    writer: Arc<AuditWriter>,
    refusals: SyncSender<(u64, AuditReceipt)>,
    written: Receiver<Written>,
    at_once: Sender<Written>,
    waker: Waker,
}

impl Audit {
    pub(crate) fn start(path: &Path, options: AuditOptions) -> Result<Self, AuditError> {
        let failed = |source: io::Error| AuditError::Io { step: "begin", path: path.to_owned(), source };
        let writer = Arc::new(AuditWriter::start(path, options)?);
        let (refusals, taken) = sync_channel::<(u64, AuditReceipt)>(WAITING_MAX);
        let (at_once, written) = channel();
        let waker = Waker::new().map_err(failed)?;
        let (for_thread, done, numbers) = (waker.clone(), at_once.clone(), Arc::clone(&writer));
        let run = move || {
            while let Ok((ticket, receipt)) = taken.recv() {
                let reference =
                    numbers.number(receipt, WRITE_MAX).map_err(|error| crate::role::chain(&error));
                if done.send(Written { ticket, reference }).is_err() {
                    return;
                }
                for_thread.wake();
            }
        };
        std::thread::Builder::new().name("refusals".to_owned()).spawn(run).map_err(failed)?;
        Ok(Self { writer, refusals, written, at_once, waker })
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Has a refusal, or what else must not be left out, written; [`Audit::written`] says when it is.
    pub(crate) fn refused(&self, ticket: u64, entry: &AuditEntry) {
        let handed =
            self.writer.record(entry).map_err(|error| crate::role::chain(&error)).and_then(|receipt| {
                self.refusals.try_send((ticket, receipt)).map_err(|error| match error {
                    TrySendError::Full(_) | TrySendError::Disconnected(_) => {
                        "too many refusals wait for the disk".to_owned()
                    }
                })
            });
        if let Err(why) = handed {
            self.at_once.send(Written { ticket, reference: Err(why) }).ok();
            self.waker.wake();
        }
    }

    /// Has grants written, some time soon.
    pub(crate) fn granted(&self, entry: &AuditEntry) -> Result<(), AuditError> {
        self.writer.record(entry).map(|_| ())
    }

    /// Returns a refusal that is written by now.
    pub(crate) fn written(&self) -> Option<Written> {
        match self.written.try_recv() {
            Ok(written) => Some(written),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                self.waker.reset();
                self.written.try_recv().ok()
            }
        }
    }

    /// Returns how many grants wait, and whether writing fails.
    pub(crate) fn backlog(&self) -> (usize, bool) {
        self.writer.backlog()
    }

    /// Waits until what waits is written.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), AuditError> {
        self.writer.flush(timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_saf::{AccessLevel, AuditLog, Compiled, Database, Subject};

    #[test]
    fn refusal_has_the_number_of_its_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let audit = Audit::start(&path, AuditOptions::default()).unwrap();
        let compiled = Compiled::new(&Database::initial());
        let question = super::super::rights::question("FACILITY", "ZWES.IS", AccessLevel::Read);
        let decision = compiled.decide(&Subject::default(), &question);
        let entry = AuditEntry::of(jiff::Timestamp::now(), &Subject::default(), &question, &decision);
        for ticket in 1..=3 {
            audit.refused(ticket, &entry);
        }
        let mut found = Vec::new();
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while found.len() < 3 {
            assert!(std::time::Instant::now() < deadline);
            found.extend(audit.written().map(|written| (written.ticket, written.reference.unwrap())));
        }
        assert_eq!(found, [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(AuditLog::verify(&path).unwrap().count, 3);
    }
}
