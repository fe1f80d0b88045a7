//! The audit log.
//!
//! A refusal is on disk, and has its number, before anybody hears of it: a thread writes all that wait together. Grants are
//! counted by the front and handed over once a second; they go through the batches of [`AuditWriter`], which says how many
//! it had to leave out.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel};
use std::time::Duration;

use tender_saf::{AuditEntry, AuditError, AuditLog, AuditOptions, AuditWriter};

use crate::waker::Waker;

/// Refusals that may wait for the disk.
const WAITING_MAX: usize = 16_384;

/// A refusal that is written, or could not be.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) ticket: u64,
    /// The number of its record; why there is none.
    pub(crate) reference: Result<u64, String>,
}

#[derive(Debug)]
pub(crate) struct Audit {
    grants: Option<AuditWriter>,
    refusals: SyncSender<(u64, AuditEntry)>,
    written: Receiver<Written>,
    at_once: Sender<Written>,
    waker: Waker,
}

impl Audit {
    pub(crate) fn start(path: &Path, options: AuditOptions) -> Result<Self, AuditError> {
        let failed = |source: io::Error| AuditError::Io { step: "begin", path: path.to_owned(), source };
        let grants = AuditWriter::start(path, options)?;
        let log = AuditLog::open(path)?;
        let (refusals, taken) = sync_channel(WAITING_MAX);
        let (at_once, written) = channel();
        let waker = Waker::new().map_err(failed)?;
        let (for_thread, done) = (waker.clone(), at_once.clone());
        let run = move || write_refusals(log, &taken, &done, &for_thread);
        std::thread::Builder::new().name("refusals".to_owned()).spawn(run).map_err(failed)?;
        Ok(Self { grants: Some(grants), refusals, written, at_once, waker })
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Has a refusal written; [`Audit::written`] says when it is.
    pub(crate) fn refused(&self, ticket: u64, entry: AuditEntry) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.refusals.try_send((ticket, entry))
        {
            let reference = Err("too many refusals wait for the disk".to_owned());
            self.at_once.send(Written { ticket, reference }).ok();
            self.waker.wake();
        }
    }

    /// Has grants written, some time soon.
    pub(crate) fn granted(&self, entry: AuditEntry) -> Result<(), AuditError> {
        self.grants.as_ref().map_or(Ok(()), |grants| grants.record(entry))
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
        self.grants.as_ref().map_or((0, false), AuditWriter::backlog)
    }

    /// Writes what waits.
    pub(crate) fn stop(&mut self, timeout: Duration) -> Result<(), AuditError> {
        self.grants.take().map_or(Ok(()), |grants| grants.stop(timeout))
    }
}

fn write_refusals(
    mut log: AuditLog,
    taken: &Receiver<(u64, AuditEntry)>,
    done: &Sender<Written>,
    waker: &Waker,
) {
    while let Ok(first) = taken.recv() {
        let mut tickets = vec![first.0];
        let mut entries = vec![first.1];
        while let Ok((ticket, entry)) = taken.try_recv() {
            tickets.push(ticket);
            entries.push(entry);
            if entries.len() >= 1024 {
                break;
            }
        }
        let written = log.append(&entries);
        let first = log.head().count.saturating_sub(entries.len() as u64) + 1;
        for (number, ticket) in (first..).zip(tickets) {
            let reference = match &written {
                Ok(()) => Ok(number),
                Err(error) => Err(crate::role::chain(error)),
            };
            if done.send(Written { ticket, reference }).is_err() {
                return;
            }
        }
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_saf::{AccessLevel, Compiled, Database, Subject};

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
            audit.refused(ticket, entry.clone());
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
