//! Seeing that files have changed.
//!
//! They are looked at every few seconds rather than watched by the kernel: key stores are replaced by renaming
//! directories and may lie on file systems that tell nothing about other hosts' changes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::{Identity, Tls, TlsFiles};
use crate::event::{Event, EventSink};

/// What tells a file from what it was: device, inode, size and time of change; nothing when it is not there.
pub(super) type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl TlsFiles {
    fn paths(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> = self.trust.iter().map(|one| one.file.clone()).collect();
        match &self.identity {
            Identity::Pem { key, certificate } => paths.extend([key.clone(), certificate.clone()]),
            Identity::Pkcs12 { file, .. } => paths.push(file.clone()),
        }
        paths
    }

    pub(super) fn stamps(&self) -> Vec<Stamp> {
        self.paths().iter().map(|path| stamp(path)).collect()
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

impl Tls {
    /// Reads certificates again whenever their files are others than those that were read, until it is dropped; looks every
    /// `period`. Tells each day that is one of the last of the certificate.
    ///
    /// Files that cannot be used, such as a key that does not fit its certificate yet, are told once for each change.
    pub async fn watch(self: Arc<Self>, period: Duration, events: EventSink) {
        let mut timer = tokio::time::interval(period);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            let this = Arc::clone(&self);
            // Files may lie on a slow file system, and opening a store takes as long as its password is meant to take.
            let seen = tokio::task::spawn_blocking(move || this.look()).await;
            seen.into_iter().flatten().for_each(|event| events(&event));
        }
    }

    /// Looks once; returns what there is to tell.
    fn look(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let now = self.files.stamps();
        if now != self.known().stamps && !now.contains(&None) {
            events.push(match self.reloaded(now) {
                Ok(loaded) => Event::Reloaded { days_left: loaded.days_left(), subject: loaded.subject },
                Err(source) => Event::NotReloaded { source },
            });
        }
        events.extend(self.known().expiring());
        events
    }
}
