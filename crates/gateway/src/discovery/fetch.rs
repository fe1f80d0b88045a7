//! Asking discovery what is registered, again and again; what was heard last stays in use while it is silent.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::{Request, StatusCode, Uri};
use rustls::ClientConfig;
use tender_http::{BoxError, Client, Reach};

use crate::registry::{self, Instance, ReadError};

/// The largest registry that is read, in bytes: ten thousand instances need a sixth of it.
const DOCUMENT_BYTES_MAX: usize = 256 << 20;
/// An answer that took this long was waited for: discovery says by itself when there is a change.
const WAITED: Duration = Duration::from_millis(200);
/// For how long instances stay that discovery knew before it was lost: clients tell one that begins anew of themselves with
/// their next heartbeat.
const KEPT: Duration = Duration::from_secs(90);
/// Between two answers that were waited for: changes that come together are fetched together.
const PAUSE: Duration = Duration::from_millis(50);

/// Where discovery is, and how it is asked.
#[derive(Debug, Clone)]
pub struct FetcherSettings {
    /// Addresses such as `https://host:7553/eureka`; the next is asked when one is silent.
    pub discovery: Vec<Uri>,
    /// How TLS is spoken with it.
    pub tls: ClientConfig,
    /// How often it is asked, unless it says that something has changed.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// Says why discovery gave no registry.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It cannot be reached, or breaks off.
    #[error("ask {address}")]
    Unreachable {
        /// Where.
        address: Uri,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// It takes too long.
    #[error("ask {address}: no answer after {} seconds", timeout.as_secs_f32())]
    Late {
        /// Where.
        address: Uri,
        /// How long was waited.
        timeout: Duration,
    },
    /// It refuses.
    #[error("ask {address}: it answers {status}")]
    Refused {
        /// Where.
        address: Uri,
        /// How.
        status: StatusCode,
    },
    /// What it says is no registry.
    #[error("ask {address}")]
    Document {
        /// Where.
        address: Uri,
        /// Why.
        #[source]
        source: ReadError,
    },
    /// No address was given.
    #[error("no address of discovery is configured")]
    NoAddress,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryEvent {
    /// It cannot be asked, and what was known stays in use; told once.
    Lost {
        /// Why, down to the cause.
        reason: String,
    },
    /// It answers: for the first time, or again.
    Found {
        /// How many instances it knows.
        instances: usize,
    },
}

impl fmt::Display for DiscoveryEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { reason } => {
                write!(f, "discovery cannot be asked, the last known instances stay in use: {reason}")
            }
            Self::Found { instances } => write!(f, "discovery answers, it knows {instances} instances"),
        }
    }
}

/// Whoever wants to know what discovery knows.
pub trait Follower: Send + Sync + 'static {
    /// Takes what is known from now on.
    fn replace(&self, instances: Vec<Instance>);
    /// What is known is still the same.
    fn confirm(&self);
    /// Hears what happened.
    fn tell(&self, event: DiscoveryEvent);
    /// Ends when discovery should be asked at once.
    fn refresh_asked(&self) -> impl Future<Output = ()> + Send;
}

/// Keeps a follower up with discovery.
#[derive(Debug)]
pub struct Fetcher {
    settings: FetcherSettings,
    client: Client,
    /// The address that answered last.
    current: usize,
    /// What it called the registry that we have.
    tag: Option<HeaderValue>,
    is_lost: bool,
    has_answered: bool,
    /// It has been seen to wait for a change.
    waits: bool,
    /// What it knew last.
    known: Vec<Instance>,
    /// What it knew before it was lost, and until when that stays.
    kept: Option<(Instant, Vec<Instance>)>,
}

enum Fetched {
    Unchanged,
    Instances(Vec<Instance>),
}

impl Fetcher {
    /// Makes ready to ask.
    #[must_use]
    pub fn new(settings: FetcherSettings) -> Self {
        let client = tender_http::client(settings.tls.clone(), settings.timeout, Reach::Configured);
        Self {
            settings,
            client,
            current: 0,
            tag: None,
            is_lost: false,
            has_answered: false,
            waits: false,
            known: Vec::new(),
            kept: None,
        }
    }

    /// Goes on for as long as it is polled.
    pub async fn run(mut self, follower: impl Follower) {
        loop {
            self.turn(&follower).await;
            let pause = if self.waits { PAUSE } else { self.settings.interval };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = follower.refresh_asked() => {}
            }
        }
    }

    /// Asks once; discovery that can waits until there is a change.
    pub async fn turn(&mut self, follower: &impl Follower) {
        let begun = Instant::now();
        if self.kept.take_if(|(until, _)| *until <= begun).is_some() {
            // All of it, without what was kept.
            self.tag = None;
        }
        let asked_before = self.current;
        let fetched = self.fetch().await;
        let has_waited = begun.elapsed() >= WAITED && self.tag.is_some();
        match fetched {
            Ok(Fetched::Unchanged) => {
                self.waits = has_waited;
                follower.confirm();
            }
            Ok(Fetched::Instances(instances)) => {
                self.waits |= has_waited;
                let count = instances.len();
                let was_lost = std::mem::take(&mut self.is_lost);
                let is_news = was_lost || !std::mem::replace(&mut self.has_answered, true);
                // Another may know less, for a while.
                if was_lost || self.current != asked_before {
                    self.kept = Some((begun + KEPT, std::mem::take(&mut self.known)));
                }
                follower.replace(self.with_kept(&instances));
                self.known = instances;
                if is_news {
                    follower.tell(DiscoveryEvent::Found { instances: count });
                }
            }
            Err(error) => {
                // Another, or itself after a new start, knows nothing of our tag.
                self.tag = None;
                self.waits = false;
                if !std::mem::replace(&mut self.is_lost, true) {
                    follower.tell(DiscoveryEvent::Lost { reason: tender_http::chain(&error) });
                }
            }
        }
    }

    /// Adds the instances that discovery knew before it was lost, and has not heard of again.
    fn with_kept(&self, instances: &[Instance]) -> Vec<Instance> {
        let known: HashSet<_> = instances.iter().map(|one| one.id.as_str()).collect();
        let kept = self.kept.iter().flat_map(|(_, kept)| kept).filter(|one| !known.contains(one.id.as_str()));
        instances.iter().chain(kept).cloned().collect()
    }

    async fn fetch(&mut self) -> Result<Fetched, FetchError> {
        let mut last = FetchError::NoAddress;
        for _ in 0..self.settings.discovery.len() {
            match self.fetch_from(&self.settings.discovery[self.current].clone()).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => {
                    last = error;
                    self.tag = None;
                    self.current = (self.current + 1) % self.settings.discovery.len();
                }
            }
        }
        Err(last)
    }

    async fn fetch_from(&mut self, base: &Uri) -> Result<Fetched, FetchError> {
        let timeout = self.settings.timeout;
        let late = |_| FetchError::Late { address: base.clone(), timeout };
        tokio::time::timeout(timeout, self.ask(base)).await.map_err(late)?
    }

    async fn ask(&mut self, base: &Uri) -> Result<Fetched, FetchError> {
        let unreachable = |source: BoxError| FetchError::Unreachable { address: base.clone(), source };
        let uri = format!("{}/apps", base.to_string().trim_end_matches('/'));
        let mut request = Request::get(uri).header(ACCEPT, "application/json");
        if let Some(tag) = &self.tag {
            let wait = self.settings.timeout.as_secs() / 2;
            request = request.header(IF_NONE_MATCH, tag).header("prefer", format!("wait={wait}"));
        }
        let request = request.body(Full::default()).map_err(|error| unreachable(error.into()))?;
        let answer = self.client.request(request).await.map_err(|error| unreachable(error.into()))?;
        match answer.status() {
            StatusCode::NOT_MODIFIED => return Ok(Fetched::Unchanged),
            StatusCode::OK => {}
            status => return Err(FetchError::Refused { address: base.clone(), status }),
        }
        let tag = answer.headers().get(ETAG).cloned();
        let document =
            Limited::new(answer.into_body(), DOCUMENT_BYTES_MAX).collect().await.map_err(unreachable)?;
        let instances = registry::read(&document.to_bytes());
        let instances = instances.map_err(|source| FetchError::Document { address: base.clone(), source })?;
        self.tag = tag;
        Ok(Fetched::Instances(instances))
    }
}
