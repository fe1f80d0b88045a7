//! Other servers of an installation: what clients tell here is told there, and what they know is fetched at the start.
//!
//! ```text
//!   call of a client ──► Outbox of each peer ──► items as the instance is now ──► peerreplication/batch
//!                           ▲                                                        │
//!                           └──────────── it does not know the instance ─────────────┘
//! ```
//!
//! Source: the peer replication of the Eureka protocol. What a peer tells is told to nobody else: every server tells all
//! the others itself.

mod items;
mod outbox;

use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tender_http::hyper::header::{ACCEPT, CONTENT_TYPE};
use tender_http::hyper::{Method, Request, StatusCode, Uri};
use tender_http::{BoxError, Bytes, Client, Reach};

use super::{Discovery, announce};
use crate::discovery::event::Event;
use crate::discovery::json as documents;
use crate::discovery::{Action, Own};
use items::Next;
use outbox::Outbox;

pub(super) use outbox::News;

/// Instances of one batch; a Java server sends as many.
const BATCH: usize = 250;
/// Bytes that the instances of one batch say of themselves, about.
const BATCH_BYTES: usize = 2 << 20;
/// News that come together are told together.
const PAUSE: Duration = Duration::from_millis(100);
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Bytes of a registry that is fetched, and of the answer to a batch.
const DOCUMENT_BYTES_MAX: usize = 256 << 20;
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Where other servers are, and how they are asked.
#[derive(Debug, Clone)]
pub struct Others {
    /// Addresses such as `https://host:7553/eureka`; the server's own may be among them.
    pub addresses: Vec<Uri>,
    /// How TLS is spoken with them.
    pub tls: ClientConfig,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// Says why a peer was not told or asked.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It cannot be reached, or breaks off.
    #[error("it cannot be reached")]
    Unreachable(#[source] BoxError),
    /// It takes too long.
    #[error("no answer came in {} seconds", timeout.as_secs_f32())]
    Late {
        /// How long was waited.
        timeout: Duration,
    },
    /// It refuses.
    #[error("it answers {status}")]
    Refused {
        /// How.
        status: StatusCode,
    },
    /// What it says is not understood.
    #[error("its answer is not understood")]
    Answer(#[from] serde_json::Error),
}

/// The other servers, with what each is still to be told.
pub(super) struct Peers {
    peers: Vec<(Uri, Outbox)>,
    client: Client,
    timeout: Duration,
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("peers", &self.peers).finish_non_exhaustive()
    }
}

impl Peers {
    /// Makes ready to tell them; the server's own address is left out.
    pub(super) fn new(others: Others, own: Option<&Own>) -> Self {
        let Others { addresses, tls, timeout } = others;
        let is_own = |uri: &Uri| {
            own.is_some_and(|own| {
                uri.port_u16() == Some(own.port)
                    && uri.host().is_some_and(|host| host.eq_ignore_ascii_case(&own.host))
            })
        };
        let client = tender_http::client(tls, timeout, Reach::Configured);
        let others = addresses.into_iter().filter(|uri| !is_own(uri));
        Self { peers: others.map(|uri| (uri, Outbox::default())).collect(), client, timeout }
    }

    async fn ask(&self, request: Request<Full<Bytes>>, most: usize) -> Result<Bytes, PeerError> {
        let asked = async {
            let answer = self.client.request(request).await;
            let answer = answer.map_err(|error| PeerError::Unreachable(error.into()))?;
            if !answer.status().is_success() {
                return Err(PeerError::Refused { status: answer.status() });
            }
            let body = Limited::new(answer.into_body(), most).collect().await;
            Ok(body.map_err(PeerError::Unreachable)?.to_bytes())
        };
        let timeout = self.timeout;
        tokio::time::timeout(timeout, asked).await.map_err(|_| PeerError::Late { timeout })?
    }
}

fn request(method: Method, base: &Uri, path: &str, body: Vec<u8>) -> Result<Request<Full<Bytes>>, PeerError> {
    let uri = format!("{}/{path}", base.to_string().trim_end_matches('/'));
    let builder = Request::builder().method(method).uri(uri).header(ACCEPT, "application/json");
    let builder =
        builder.header(CONTENT_TYPE, "application/json").header("DiscoveryIdentity-Name", "DefaultServer");
    builder.body(Full::new(body.into())).map_err(|error| PeerError::Unreachable(error.into()))
}

impl Discovery {
    /// Tells the peers news of an instance, soon.
    pub(super) fn spread(&self, app: &str, id: &str, news: News) {
        for (_, outbox) in self.0.peers.iter().flat_map(|peers| &peers.peers) {
            outbox.add((app.to_ascii_uppercase(), id.to_owned()), news);
        }
    }

    /// Takes over what the first peer that answers knows.
    pub(super) async fn fetch_from_peers(&self) {
        let Some(peers) = &self.0.peers else { return };
        for (address, _) in &peers.peers {
            match self.fetch_from(peers, address).await {
                Ok(instances) => {
                    return self.tell(&Event::PeerFetched { address: address.to_string(), instances });
                }
                Err(error) => self.lost(address, &error),
            }
        }
    }

    async fn fetch_from(&self, peers: &Peers, address: &Uri) -> Result<usize, PeerError> {
        let bytes = peers.ask(request(Method::GET, address, "apps", Vec::new())?, DOCUMENT_BYTES_MAX).await?;
        let now_ms = self.0.state.clock.now_ms();
        let read = tokio::task::spawn_blocking(move || documents::read_applications(&bytes, now_ms));
        let instances = read.await.expect("reading a registry does not fail")?;
        let mut count = 0;
        let mut registry = self.0.state.registry();
        for mut instance in instances.into_iter().filter_map(|one| announce::checked(one).ok()) {
            if instance.action != Action::Deleted {
                instance.is_coordinating = false;
                registry.register(instance, now_ms);
                count += 1;
            }
        }
        Ok(count)
    }

    /// Tells peers what is new, for as long as it is polled.
    pub(super) async fn tell_peers(&self) {
        let Some(peers) = &self.0.peers else { return };
        let mut tasks = tokio::task::JoinSet::new();
        for at in 0..peers.peers.len() {
            let this = self.clone();
            tasks.spawn(async move { this.tell_peer(at).await });
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn tell_peer(&self, at: usize) {
        let Some(peers) = &self.0.peers else { return };
        let (address, outbox) = &peers.peers[at];
        let mut retry: Option<Duration> = None;
        let mut refused = None;
        loop {
            let news = outbox.take(BATCH).await;
            match self.send(peers, address, outbox, &news).await {
                Ok(answered) => {
                    if retry.take().is_some() {
                        self.tell(&Event::PeerFound { address: address.to_string() });
                    }
                    if answered != refused
                        && let Some(code) = answered
                    {
                        self.tell(&Event::PeerRefuses { address: address.to_string(), code });
                    }
                    refused = answered.or(refused);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    news.into_iter().for_each(|(key, news)| outbox.add(key, news));
                    if retry.is_none() {
                        self.lost(address, &error);
                    }
                    let pause = retry.map_or(RETRY_MIN, |before| (before * 2).min(RETRY_MAX));
                    retry = Some(pause);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Sends a batch and does what follows from its answers; returns how the peer refuses, if it does.
    async fn send(
        &self,
        peers: &Peers,
        address: &Uri,
        outbox: &Outbox,
        news: &[(outbox::Key, News)],
    ) -> Result<Option<u64>, PeerError> {
        let (mut batch, mut keys, mut bytes) = (Vec::new(), Vec::new(), 0);
        {
            let registry = self.0.state.registry();
            for (key, of_key) in news {
                let weight = registry.get(&key.0, &key.1).map_or(0, |entry| entry.instance.weight());
                if bytes > 0 && bytes + weight > BATCH_BYTES {
                    outbox.add(key.clone(), *of_key);
                    continue;
                }
                bytes += weight;
                for item in items::of(&registry, key, *of_key) {
                    batch.push(item);
                    keys.push(key);
                }
            }
        }
        let document = json!({ "replicationList": batch });
        let body = document.to_string().into_bytes();
        let request = request(Method::POST, address, "peerreplication/batch/", body)?;
        let answer: Value = serde_json::from_slice(&peers.ask(request, ANSWER_BYTES_MAX).await?)?;
        let answers = answer["responseList"].as_array().map(Vec::as_slice).unwrap_or_default();
        let items = document["replicationList"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut refused = None;
        for ((item, answer), key) in items.iter().zip(answers).zip(keys) {
            match items::next(item, answer) {
                Next::Nothing => {}
                Next::Tell => outbox.add(key.clone(), News::CHANGED),
                Next::Adopt(entity) => self.adopt(&entity),
                Next::Refused(code) => refused = Some(code),
            }
        }
        Ok(refused)
    }

    /// Takes the newer state that a peer has of an instance.
    fn adopt(&self, entity: &Value) {
        let now_ms = self.0.state.clock.now_ms();
        let read = documents::read_value(entity, now_ms).ok();
        if let Some(mut instance) = read.and_then(|instance| announce::checked(instance).ok()) {
            instance.is_coordinating = false;
            self.0.state.registry().register(instance, now_ms);
        }
    }

    fn lost(&self, address: &Uri, error: &PeerError) {
        let reason = tender_http::chain(error);
        self.tell(&Event::PeerLost { address: address.to_string(), reason });
    }
}
