//! A server: it listens, takes connections within limits, and ends when it is told to.
//!
//! ```text
//!   open ──── told to end ───► closing: no new connection, no new request ──── grace is over ───► cut
//!                                  └─────────── all requests are answered ──────────────────────► ended
//! ```
//!
//! What clients have done already counts: connections that the system made are taken up, and one of HTTP/1.1 that waits for its
//! next request is kept for a moment, because that may be on its way. Its answer says that the connection ends with it.

mod count;
mod workers;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::access::AccessSink;
use crate::address::{self, BindError};
use crate::body::{RequestBody, ResponseBody};
use crate::connection::{self, Shared};
use crate::event::{Event, EventSink};
use crate::inherited;
use crate::limits::Limits;
use crate::peer::Peer;
use crate::ready;
use crate::tls::Tls;
use count::{Count, Full};
use workers::Workers;

/// Answers requests.
///
/// A request that asks for another protocol is answered with 101 after [`hyper::upgrade::on`] was called on it.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request of `peer`.
    fn handle(
        &self,
        request: Request<RequestBody>,
        peer: &Arc<Peer>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;

    /// Runs a server with this handler.
    ///
    /// All that a request goes through becomes one piece of machine code with the handler. A handler that defines this itself,
    /// by [`Server::run`], has that made in its own crate and by the settings for it, instead of where it is used.
    fn serve(self, server: Server, stop: Stop) -> Serving
    where
        Self: Sized,
    {
        Box::pin(server.run(self, stop))
    }
}

/// Ready when a server is to end.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;
/// A server at work.
pub type Serving = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// How bytes travel.
#[derive(Debug, Clone)]
pub enum Transport {
    /// As they are; for loopback and tests. HTTP/1.1 only.
    Plain,
    /// Over TLS, HTTP/2 or HTTP/1.1 as the client can.
    Tls(Arc<Tls>),
}

/// How a server behaves.
#[derive(Clone)]
pub struct Settings {
    /// How bytes travel.
    pub transport: Transport,
    /// What a client may cost.
    pub limits: Limits,
    /// How many threads of its own the server has; 0 when those of the runtime that it runs in answer.
    pub threads: usize,
    /// Gets each request that was answered.
    pub access: Option<AccessSink>,
    /// Gets what else happens.
    pub events: EventSink,
}

impl Settings {
    /// Makes settings with the usual limits that keep nothing of what happens.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self { transport, limits: Limits::default(), threads: 0, access: None, events: Arc::new(|_| {}) }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("transport", &self.transport)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Every request was answered within the time given.
    pub is_clean: bool,
}

/// What the server tells its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    Closing,
    Cut,
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    settings: Settings,
}

impl Server {
    /// Begins to listen at every address; connections wait until [`Server::run`].
    ///
    /// One that another of them has already, as `0.0.0.0` has every address of IPv4, is left out; `[::]` is for IPv6 alone
    /// when there are addresses of IPv4 with its port, and for both otherwise.
    ///
    /// Errors: [`BindError`] names the address and who has it; then none is listened at. Must be called in a runtime.
    pub fn bind(addresses: &[SocketAddr], settings: Settings) -> Result<Self, BindError> {
        let mut inherited = inherited::take();
        let places = address::places(addresses).into_iter();
        let listeners =
            places.map(|place| address::listen(place, &mut inherited)).collect::<Result<_, _>>()?;
        // Nobody takes connections from the others any more: clients are to be refused.
        for unused in inherited.iter().filter_map(|one| one.local_addr().ok()) {
            ready::keep_no_longer(&inherited::name(unused));
        }
        Ok(Self { listeners, settings })
    }

    /// Has whoever started this process keep the sockets for its next run: until that comes connections wait, and are not
    /// refused.
    pub fn keep(&self) {
        for listener in &self.listeners {
            if let Ok(address) = listener.local_addr() {
                ready::keep(&inherited::name(address), listener.as_fd());
            }
        }
    }

    /// Returns where it listens, in the order asked for; a port that was 0 is the one it got.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Answers requests until `stop` is ready, then ends as the diagram above says.
    pub async fn run(self, handler: impl Handler, stop: impl Future<Output = ()>) -> Ended {
        let (stage, _) = watch::channel(Stage::Open);
        let grace = self.settings.limits.grace;
        let count = Count::new(&self.settings.limits);
        let workers = Workers::start(self.settings.threads);
        let is_ending = AtomicBool::new(false);
        let shared = Arc::new(Shared { handler, settings: self.settings, is_ending });
        let (accepted_by, mut accepted) = mpsc::channel::<(TcpStream, SocketAddr)>(64);
        let (ending, is_ending) = watch::channel(false);
        for listener in self.listeners {
            let (to, events) = (accepted_by.clone(), Arc::clone(&shared.settings.events));
            tokio::spawn(accept(listener, to, events, is_ending.clone()));
        }
        drop(accepted_by);
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                connection = accepted.recv() => {
                    let Some((stream, client)) = connection else { break };
                    match count.take(client.ip()) {
                        Ok(held) => {
                            let (shared, told) = (Arc::clone(&shared), stage.subscribe());
                            workers.give(stream, move |stream, worker| {
                                connection::serve(shared, stream, (client, worker), held, told)
                            });
                        }
                        Err(Full { limit, is_of_address }) => {
                            (shared.settings.events)(&Event::TooMany { client, limit, is_of_address });
                        }
                    }
                }
            }
        }
        // What waits at the listeners is taken up before they close.
        ending.send_replace(true);
        while let Some((stream, client)) = accepted.recv().await {
            if let Ok(held) = count.take(client.ip()) {
                let (shared, told) = (Arc::clone(&shared), stage.subscribe());
                workers.give(stream, move |stream, worker| {
                    connection::serve(shared, stream, (client, worker), held, told)
                });
            }
        }
        shared.is_ending.store(true, Ordering::Relaxed);
        let ended = end(&stage, grace).await;
        workers.end();
        ended
    }
}

/// Lets requests come to their end, and cuts off what takes too long.
async fn end(stage: &watch::Sender<Stage>, grace: Duration) -> Ended {
    const CUT: Duration = Duration::from_secs(2);
    stage.send_replace(Stage::Closing);
    // Every connection holds a receiver until it is over.
    if tokio::time::timeout(grace, stage.closed()).await.is_ok() {
        return Ended { is_clean: true };
    }
    stage.send_replace(Stage::Cut);
    drop(tokio::time::timeout(CUT, stage.closed()).await);
    Ended { is_clean: false }
}

async fn accept(
    listener: TcpListener,
    to: mpsc::Sender<(TcpStream, SocketAddr)>,
    events: EventSink,
    mut is_ending: watch::Receiver<bool>,
) {
    /// The process has no descriptors left, perhaps: there will be some when connections have ended.
    const PAUSE: Duration = Duration::from_millis(100);
    let mut is_told = false;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = is_ending.changed() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(connection) => {
                is_told = false;
                if to.send(connection).await.is_err() {
                    return;
                }
            }
            // The client has gone already.
            Err(error) if is_of_the_client(&error) => {}
            Err(source) => {
                if !std::mem::replace(&mut is_told, true) {
                    events(&Event::Accept { source });
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    // Those that the system has made already would be reset.
    let Ok(listener) = listener.into_std() else { return };
    while let Ok((stream, client)) = listener.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = stream
            && to.send((stream, client)).await.is_err()
        {
            return;
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
