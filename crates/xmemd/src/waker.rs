//! Wakes an event loop from another thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::EventfdFlags;

/// Becomes readable when somebody calls [`Waker::wake`].
#[derive(Debug, Clone)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(Arc::new(rustix::event::eventfd(0, flags)?)))
    }

    /// Wakes the loop; several calls may count as one.
    pub(crate) fn wake(&self) {
        // It fails when the counter is full, and then the loop is awake already.
        rustix::io::write(&*self.0, &1_u64.to_ne_bytes()).ok();
    }

    /// Makes it unreadable again.
    pub(crate) fn reset(&self) {
        let mut counter = [0; 8];
        rustix::io::read(&*self.0, &mut counter).ok();
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
