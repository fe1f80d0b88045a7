//! What the gateway tells discovery of itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tender_gateway::{Entry, Registration, RegistrationEvent, RegistrationSettings};
use tender_http::hyper::Uri;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::serving::environment::Environment;
use crate::serving::neighbours::{external, own_address};
use crate::serving::options::{PlanError, Serving};
use crate::serving::run::tell;

/// How long discovery may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Options that say what discovery is told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Options {
    /// The address by which others reach this machine
    #[arg(long, value_name = "ADDRESS")]
    ip_address: Option<String>,
    /// The gateway as users reach it, such as `https://gateway.example.com`
    #[arg(long, value_name = "URL")]
    public: Option<String>,
    /// Seconds between two times that discovery is told that the gateway is there
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    registration_interval: u64,
    /// Tell discovery nothing of this gateway: others do not find it there
    #[arg(long, conflicts_with_all = ["ip_address", "public"])]
    no_registration: bool,
}

/// What is to be told.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) address: String,
    public: Option<String>,
    interval: Duration,
}

impl Options {
    /// Returns what is to be told; nothing when nothing is.
    pub(super) fn plan(
        &self,
        serving: &Serving,
        environment: &Environment<'_>,
    ) -> Result<Option<Planned>, PlanError> {
        if self.no_registration {
            return Ok(None);
        }
        let address = own_address(self.ip_address.as_deref(), serving, environment);
        let public = external(self.public.as_deref(), serving, environment)?;
        Ok(Some(Planned { address, public, interval: Duration::from_secs(self.registration_interval) }))
    }
}

/// An entry that is kept at discovery.
pub(super) struct Kept {
    ending: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Kept {
    /// Begins to keep the entry of a gateway that listens at `addresses`.
    pub(super) fn begin(
        planned: Planned,
        serving: &Serving,
        addresses: &[SocketAddr],
        (discovery, tls): (Vec<Uri>, rustls::ClientConfig),
    ) -> Self {
        let port = addresses.first().map_or(0, SocketAddr::port);
        let (host, is_secure) = (serving.host.clone(), serving.tls.is_some());
        let entry = Entry { host, address: planned.address, port, is_secure, public: planned.public };
        let settings =
            RegistrationSettings { discovery, tls, interval: planned.interval, timeout: TIMEOUT, entry };
        let ending = Arc::new(Notify::new());
        let ended = Arc::clone(&ending);
        let stop = async move { ended.notified().await };
        let task = tokio::spawn(Registration::new(settings).run(stop, |event| tell(&line(event))));
        Self { ending, task }
    }

    /// Returns what tells that the gateway ends.
    pub(super) fn ending(&self) -> impl Fn() + Send + Sync + use<> {
        let ending = Arc::clone(&self.ending);
        move || ending.notify_one()
    }

    /// Waits until the entry is taken back.
    pub(super) async fn ended(self) {
        // Whoever ends without having said so is waited for no longer than others.
        self.ending.notify_one();
        drop(self.task.await);
    }
}

fn line(event: &RegistrationEvent) -> String {
    match event {
        RegistrationEvent::Taken { .. } => format!("ZWEAG112I {event}"),
        RegistrationEvent::Untold { .. } => format!("ZWEAG113W {event}"),
    }
}
