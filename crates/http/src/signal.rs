//! What an operator or a supervisor says to a server by signals.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits until the process is told to end: SIGTERM, or SIGINT from a terminal.
#[derive(Debug)]
pub struct Termination {
    term: Signal,
    interrupt: Signal,
}

impl Termination {
    /// Begins to listen; from now on these signals do not end the process by themselves.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next of them.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Returns a stream of SIGHUP, by which an operator asks to read files again.
pub fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}
