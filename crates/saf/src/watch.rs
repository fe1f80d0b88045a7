//! Noticing that a database has changed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::inotify;

use crate::store::{Epoch, Store, StoreError};

/// Says that a database cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The kernel refused.
    #[error("watch `{}`", path.display())]
    Inotify {
        /// What was to be watched.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store could not say what state it is in.
    #[error("read the state of the authorisation database")]
    Store(#[source] StoreError),
}

/// Notices that a store has another state than the one last read.
///
/// Shape: the descriptor becomes readable when files change; poll it together with others, then ask [`Watch::changed`].
/// Several changes in a row may be one, and a change that is taken back is none.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    inotify: OwnedFd,
    seen: Epoch,
}

impl Watch {
    /// Begins to watch; `seen` is the state that the caller has read.
    ///
    /// A change between reading and watching is noticed by the first [`Watch::changed`].
    pub fn new(store: &dyn Store, seen: Epoch) -> Result<Self, WatchError> {
        let path = store.path();
        // A file is replaced or has a journal beside it, so its directory is watched.
        let directory = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("/")) };
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let failed = |error: rustix::io::Errno| WatchError::Inotify {
            path: directory.to_owned(),
            source: error.into(),
        };
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let inotify = inotify::init(flags).map_err(failed)?;
        // Not CLOSE_WRITE: reading a directory of text closes its lock file, and would wake itself for ever.
        let events = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::DELETE;
        inotify::add_watch(&inotify, directory, events).map_err(failed)?;
        Ok(Self { path: directory.to_owned(), inotify, seen })
    }

    /// Returns the state of the store if it is not the one seen last, and takes it as seen. Never waits for a change.
    pub fn changed(&mut self, store: &dyn Store) -> Result<Option<Epoch>, WatchError> {
        self.drain()?;
        let epoch = store.epoch().map_err(WatchError::Store)?;
        if epoch == self.seen {
            return Ok(None);
        }
        self.seen = epoch;
        Ok(Some(epoch))
    }

    /// Takes out what the kernel has to say; which file it was does not matter.
    fn drain(&self) -> Result<(), WatchError> {
        let mut buffer = [0; 4096];
        loop {
            match rustix::io::read(&self.inotify, &mut buffer) {
                Ok(0) | Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    return Err(WatchError::Inotify { path: self.path.clone(), source: error.into() });
                }
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
