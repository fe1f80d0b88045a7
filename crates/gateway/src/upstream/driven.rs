//! The work of a connection, done by whoever waits for what comes over it.
//!
//! A task of its own would be woken to send a request, and would wake the one that waits for the answer, for every request.
//! Here the one that waits does the work, and is woken by the socket alone. So what it waits for need not wake it: it looks
//! after each piece of work whether that is there ([`quietly`]).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A connection to work on.
pub(super) struct Driven(Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>);

impl Driven {
    pub(super) fn new(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Self {
        Self(Some(Box::pin(connection)))
    }

    /// Sends and receives what can be; whoever asks is woken when more can be.
    pub(super) fn work(&mut self, context: &mut Context<'_>) {
        // How it ends, its requests are told.
        if self.0.as_mut().is_some_and(|connection| connection.as_mut().poll(context).is_ready()) {
            self.0 = None;
        }
    }

    /// The same for nobody: afterwards nobody is woken.
    pub(super) fn rest(&mut self) {
        self.work(&mut Context::from_waker(Waker::noop()));
    }
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Driven" } else { "Driven (ended)" })
    }
}

/// Looks whether something is there; nobody is woken by it.
pub(super) fn quietly<T>(look: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    look(&mut Context::from_waker(Waker::noop()))
}
