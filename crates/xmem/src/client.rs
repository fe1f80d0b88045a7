//! A client of the cross-memory server.
//!
//! ```text
//!   absent ──connect──► linked ──GOODBYE 30──► draining: calls under way finish here, new ones on a new link
//!     ▲                   │ end of the connection
//!     └───────────────────┴── not sent: sent again · repeatable: repeated · else 98, once
//! ```
//!
//! A [`Client`] may be used by many threads at once; their calls are under way together on one connection. There is no
//! thread behind it: of the threads that wait, one reads and hands out what belongs to the others; when it has its own
//! answer it hands on the reading too.

mod call;
mod connect;
mod deadline;
mod direct;
mod error;
mod link;
mod reader;
mod services;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use call::{Call, Canceller, InFlight, Reply};
pub use error::{CallError, CallFailure, ServiceError};
pub use services::{ActorHandle, Services};

use crate::code::CmsCode;
use crate::frame::ANY_VERSION;
use crate::handshake::{ServerName, Welcome};
use crate::service::ServiceId;
use crate::socket::run_directory;
use deadline::Deadline;
use link::Link;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the client calls itself, for the server's log; at most 64 bytes.
    pub client: String,
    /// Services that it can not do without: connecting fails when one is not granted.
    pub requires: Vec<String>,
    /// Deadline of a connect, and of a call that has none of its own, in ms.
    pub deadline_ms: u32,
    /// How long a call waits for a server that is away, in ms; 0: not at all. A first connect never waits.
    pub reconnect_ms: u32,
    /// Whether to ask for a ring of shared memory. If the server has none to give, the socket is used.
    pub ring: bool,
    /// Capacity of each direction of the ring in bytes, a power of two; 0: the server's own.
    pub ring_bytes: u32,
    /// How long to look for an answer before sleeping, in µs, when there is a ring; 0: not at all.
    pub spin_us: u32,
    /// The directory below which servers have theirs.
    pub run_directory: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client: String::new(),
            requires: Vec::new(),
            deadline_ms: 30_000,
            reconnect_ms: 5_000,
            ring: false,
            ring_bytes: 0,
            spin_us: 20,
            run_directory: run_directory(),
        }
    }
}

/// A connection to a server, made anew when it is lost.
#[derive(Debug)]
pub struct Client {
    server: ServerName,
    options: Options,
    current: Mutex<Option<Arc<Link>>>,
    /// Held while connecting, so that it is done once.
    connecting: Mutex<()>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`CallError`]: 12 the server was never started here, 64 it is down, 30 it is not ready, 33 the gate or a required
    /// service is not granted, 96 it did not answer in time.
    pub fn connect(server: ServerName, options: Options) -> Result<Self, CallError> {
        let deadline = Instant::now() + Duration::from_millis(options.deadline_ms.into());
        let link = connect::connect(&server, &options, deadline)?;
        Ok(Self { server, options, current: Mutex::new(Some(link)), connecting: Mutex::new(()) })
    }

    /// Calls a service with any version and no actor.
    ///
    /// # Errors
    ///
    /// [`CallError`] when the call was not made, or it is not known whether it was. A service that answers with a code of
    /// its own is not an error here: see [`Reply::service_code`].
    pub fn call(&self, service: u16, payload: &[u8]) -> Result<Reply, CallError> {
        self.call_with(Call::new(service, payload))
    }

    /// Calls a service.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub fn call_with(&self, call: Call<'_>) -> Result<Reply, CallError> {
        let mut deadline = Deadline::after(self.time_of(&call));
        let current = self.lock().clone();
        if let Some(link) = current
            && let Some(outcome) = link.exchange(&call, &mut deadline)
            && let Some(reply) = call::settle(&call, &link, outcome)
        {
            return reply;
        }
        InFlight::start(self, call, deadline.at())?.wait()
    }

    /// Sends a call; the answer is waited for later. Dropping what is returned cancels the call.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub fn start<'a>(&'a self, call: Call<'a>) -> Result<InFlight<'a>, CallError> {
        let deadline = Instant::now() + self.time_of(&call);
        InFlight::start(self, call, deadline)
    }

    /// The built-in services with types.
    #[must_use]
    pub const fn services(&self) -> Services<'_> {
        Services::new(self)
    }

    /// What the server said of itself when it was connected to last; `None` while there is no connection.
    #[must_use]
    pub fn welcome(&self) -> Option<Welcome> {
        self.lock().as_ref().map(|link| link.welcome().clone())
    }

    /// Whether calls go through a ring now.
    #[must_use]
    pub fn has_ring(&self) -> bool {
        self.lock().as_ref().is_some_and(|link| link.has_ring())
    }

    /// The server's name.
    #[must_use]
    pub const fn server(&self) -> &ServerName {
        &self.server
    }

    /// The version of a service that is installed, from WELCOME.
    #[must_use]
    pub fn version_of(&self, service: ServiceId) -> Option<u32> {
        let welcome = self.welcome()?;
        welcome.services.iter().find(|entry| entry.id == service.number()).map(|entry| entry.version)
    }

    fn time_of(&self, call: &Call<'_>) -> Duration {
        let own_ms = if call.deadline_ms == 0 { self.options.deadline_ms } else { call.deadline_ms };
        Duration::from_millis(own_ms.into())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Link>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link for a new call; connects if there is none, and tries again while the server is away.
    fn link(&self, deadline: Instant) -> Result<Arc<Link>, CallError> {
        if let Some(link) = self.usable() {
            return Ok(link);
        }
        let connecting = self.connecting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = self.usable() {
            return Ok(link);
        }
        let until = deadline.min(Instant::now() + Duration::from_millis(self.options.reconnect_ms.into()));
        let mut pause = Duration::from_millis(1);
        loop {
            match connect::connect(&self.server, &self.options, deadline) {
                Ok(link) => {
                    *self.lock() = Some(Arc::clone(&link));
                    drop(connecting);
                    return Ok(link);
                }
                Err(error) if is_away(&error) && Instant::now() + pause < until => {
                    // There is nothing to wait for but time: the socket of a new server has no name yet.
                    std::thread::park_timeout(pause);
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The present link, if new calls may go there.
    fn usable(&self) -> Option<Arc<Link>> {
        let mut current = self.lock();
        match current.as_ref() {
            Some(link) if link.takes_calls() => Some(Arc::clone(link)),
            _ => {
                // Calls that are under way keep it until they are answered.
                let ended = current.take();
                drop(current);
                drop(ended);
                None
            }
        }
    }
}

/// Whether the server may come back soon.
fn is_away(error: &CallError) -> bool {
    matches!(
        error.code(),
        Some(
            CmsCode::ServerUnknown
                | CmsCode::ServerDown
                | CmsCode::ServerNotReady
                | CmsCode::ServerUnavailable
        )
    )
}

impl Default for Call<'_> {
    fn default() -> Self {
        Self {
            service: 0,
            version: ANY_VERSION,
            payload: &[],
            actor: None,
            repeatable: false,
            deadline_ms: 0,
            descriptors_max: 0,
        }
    }
}
