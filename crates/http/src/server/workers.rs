//! Threads of a server's own: a connection stays with the one that it was given to.
//!
//! ```text
//!   accepted ──► the thread with the fewest connections ──► its own runtime: sockets, timers, tasks
//! ```
//!
//! While a request is answered nothing is handed from thread to thread: no other thread is woken for it, no lock is waited
//! for, and what it needs is in the processor's caches. What a handler spawns stays with the thread, too: it must not block.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

type Connection = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The threads; none when the runtime that the server runs in answers.
pub(super) struct Workers {
    workers: Vec<Worker>,
    /// Dropped when no connection is to go on.
    running: watch::Sender<()>,
}

struct Worker {
    to: mpsc::UnboundedSender<Connection>,
    connections: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

/// A connection that is counted until this is dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts so many threads; those that cannot be had are done without.
    pub(super) fn start(threads: usize) -> Self {
        let (running, is_running) = watch::channel(());
        let workers = (0..threads).map_while(|number| Worker::start(number, is_running.clone())).collect();
        Self { workers, running }
    }

    /// Gives a connection to a thread; `serve` is told its number.
    pub(super) fn give<F>(
        &self,
        stream: TcpStream,
        serve: impl FnOnce(TcpStream, usize) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let fewest = self.workers.iter().enumerate();
        let fewest = fewest.min_by_key(|(_, worker)| worker.connections.load(Ordering::Relaxed));
        let Some((number, worker)) = fewest else {
            tokio::spawn(serve(stream, 0));
            return;
        };
        // A socket belongs to the runtime that waits for it.
        let Ok(stream) = stream.into_std() else { return };
        let counted = Counted::new(&worker.connections);
        let connection = async move {
            if let Ok(stream) = TcpStream::from_std(stream) {
                serve(stream, number).await;
            }
            drop(counted);
        };
        // A thread ends only after the last connection was given.
        worker.to.send(Box::pin(connection)).unwrap_or_default();
    }

    /// Ends the threads, and what is still at work on them.
    pub(super) fn end(self) {
        drop(self.running);
        for Worker { to, thread, .. } in self.workers {
            drop(to);
            // It has nothing to say.
            thread.join().unwrap_or_default();
        }
    }
}

impl Worker {
    fn start(number: usize, is_running: watch::Receiver<()>) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let (to, given) = mpsc::unbounded_channel();
        let work = move || {
            runtime.block_on(answer(given, is_running));
            // What reads a file or looks up a name at this moment is not waited for.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name(format!("answers-{number}")).spawn(work).ok()?;
        Some(Self { to, connections: Arc::default(), thread })
    }
}

async fn answer(mut given: mpsc::UnboundedReceiver<Connection>, mut is_running: watch::Receiver<()>) {
    while let Some(connection) = given.recv().await {
        tokio::spawn(connection);
    }
    // Ready when nobody can say anything any more.
    is_running.changed().await.unwrap_or_default();
}
