//! TLS handshakes: their work is done one at a time in each thread, so that many that come at once do not hold requests up.
//!
//! ```text
//!   connected ──► its hello has come ──► its turn: keys and a signature ──► the client's answer has come ──► TLS
//! ```
//!
//! Whoever waits for bytes takes nobody's turn. Between two turns everything that is ready is done.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// Whose turn it is, for each thread.
#[derive(Debug)]
pub(crate) struct Turns(Vec<Semaphore>);

impl Turns {
    /// Makes turns for so many threads of a server; when there are none, for all threads of the runtime together.
    pub(crate) fn new(threads: usize) -> Self {
        if threads == 0 {
            let all = std::thread::available_parallelism().map_or(1, usize::from);
            return Self(vec![Semaphore::new(all)]);
        }
        Self((0..threads).map(|_| Semaphore::new(1)).collect())
    }

    /// Makes TLS of a connection of the thread `worker`.
    ///
    /// Errors: what the connection or TLS says; what TLS says the client was told.
    pub(crate) async fn accept<S>(
        &self,
        stream: S,
        config: Arc<ServerConfig>,
        worker: usize,
    ) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let turn = self.0[worker % self.0.len()].acquire().await;
        let turn = turn.expect("nobody closes the semaphore");
        let mut accepted = pin!(hello.into_stream(config));
        // The first look does the work; the client's answer is waited for without the turn.
        let first = poll_fn(|context| Poll::Ready(accepted.as_mut().poll(context))).await;
        // Those that are ready come first; whose hello has come meanwhile waits for the turn, and not among them.
        tokio::task::yield_now().await;
        drop(turn);
        match first {
            Poll::Ready(accepted) => accepted,
            Poll::Pending => accepted.await,
        }
    }
}
