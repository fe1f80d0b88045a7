//! The registry served: what answers the calls of clients.
//!
//! ```text
//!   request ──► route (path, method) ──► Access ──► Call ──► State: registry behind a short lock, documents ──► answer
//!                                                     ▲
//!   Tasks: leases that have ended, static definitions that have changed, the server's own lease
//! ```

mod announce;
mod answer;
mod clock;
mod cluster;
mod counters;
mod gateways;
mod guard;
mod negotiate;
mod own;
mod page;
mod peers;
mod read;
mod replicate;
mod route;
mod state;
mod statics;
mod tasks;
mod write;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tender_http::hyper::{Request, Response};
use tender_http::{Handler, Peer, RequestBody, ResponseBody};

pub use cluster::Cluster;
pub use gateways::Gateways;
pub use guard::Access;
pub use own::Own;
pub use peers::{Others, PeerError};

use super::event::{Event, EventSink};
use super::registry::Policy;
use super::rules::Rules;
use answer::Answer;
use cluster::Reach;
use counters::Kind;
use gateways::Notifier;
use guard::Denied;
use peers::Peers;
use route::Call;
use state::State;
use statics::Statics;

/// How discovery behaves.
#[derive(Clone)]
pub struct Settings {
    /// How the registry decides.
    pub policy: Policy,
    /// What clients must show.
    pub access: Access,
    /// Who may announce which service.
    pub rules: Rules,
    /// Where static definitions are.
    pub directories: Vec<PathBuf>,
    /// How often leases are looked at.
    pub eviction_interval: Duration,
    /// How often it is looked whether static definitions have changed.
    pub watch_interval: Duration,
    /// The etcd through which servers share one registry.
    pub cluster: Option<Cluster>,
    /// Other servers that are told what clients tell this one; those that share the registry are none.
    pub others: Option<Others>,
    /// Gateways are told of changes: those that ask seldom, and do not wait for them.
    pub gateways: Option<Gateways>,
    /// The instance by which the server itself is in its registry.
    pub own: Option<Own>,
    /// Gets what happens.
    pub events: EventSink,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("policy", &self.policy)
            .field("access", &self.access)
            .field("directories", &self.directories)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            access: Access::Certificate,
            rules: Rules::default(),
            directories: Vec::new(),
            eviction_interval: Duration::from_secs(10),
            watch_interval: Duration::from_secs(2),
            cluster: None,
            others: None,
            gateways: None,
            own: None,
            events: Arc::new(|_| {}),
        }
    }
}

/// Discovery: a handler, and tasks that go on beside it.
#[derive(Debug, Clone)]
pub struct Discovery(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    state: State,
    statics: Statics,
    rules: ArcSwap<Rules>,
    peers: Option<Peers>,
    notifier: Option<Arc<Notifier>>,
    reach: Reach,
}

impl Discovery {
    /// Makes it, with an empty registry.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let state = State::new(settings.policy, |started_ms| cluster::journal(&settings, started_ms));
        let rules = ArcSwap::from_pointee(settings.rules.clone());
        let peers = settings.others.clone().map(|others| Peers::new(others, settings.own.as_ref()));
        let notifier = settings.gateways.clone().map(|gateways| Arc::new(Notifier::new(gateways)));
        Self(Arc::new(Inner {
            settings,
            state,
            statics: Statics::default(),
            rules,
            peers,
            notifier,
            reach: Reach::default(),
        }))
    }

    /// Lets nobody wait for changes any more, so that a server can end.
    pub fn end_waiting(&self) {
        self.0.state.end_waiting();
    }

    /// Takes other rules, from the next request on.
    pub fn set_rules(&self, rules: Rules) {
        self.0.rules.store(Arc::new(rules));
    }

    /// Says whether whoever asks may announce or change a service; counts and tells it when not.
    fn is_forbidden(&self, app: &str, peer: &Peer) -> Option<Answer> {
        let why = self.0.rules.load().check(app, peer.certificate.as_ref()).err()?;
        self.0.state.counters.count(Kind::Refused);
        let subject = peer.certificate.as_ref().map(|certificate| certificate.subject().to_owned());
        self.tell(&Event::Forbidden { app: app.to_owned(), subject, why });
        Some(answer::denied(Denied::ByRule))
    }

    fn tell(&self, event: &Event) {
        (self.0.settings.events)(event);
    }

    async fn call(&self, call: Call, request: Request<RequestBody>, peer: &Arc<Peer>) -> Answer {
        let (head, body) = request.into_parts();
        if let Some(app) = call.changes()
            && let Some(forbidden) = self.is_forbidden(app, peer)
        {
            return forbidden;
        }
        let is_news = self.0.peers.is_some() && !write::is_replication(&head.headers);
        let news = if is_news { call.news() } else { None };
        let answer = match call {
            Call::Apps => self.document(super::Part::Whole, &head.headers).await,
            Call::Delta => self.document(super::Part::Delta, &head.headers).await,
            Call::App { app } => self.application(&app, &head.headers).await,
            Call::Instance { app, id } => self.instance(Some(&app), &id, &head.headers).await,
            Call::InstanceById { id } => self.instance(None, &id, &head.headers).await,
            Call::Vip { name, is_secure } => self.vip(&name, is_secure, &head.headers).await,
            Call::Register { app } => self.register(&app, &head.headers, body, peer).await,
            Call::Heartbeat { app, id } => self.heartbeat(&app, &id, head.uri.query(), &head.headers),
            Call::Cancel { app, id } => self.cancel(&app, &id),
            Call::SetStatus { app, id } => self.set_status(&app, &id, head.uri.query()),
            Call::RemoveStatus { app, id } => self.remove_status(&app, &id, head.uri.query()),
            Call::AddMetadata { app, id } => self.add_metadata(&app, &id, head.uri.query()),
            Call::Replicate => self.replicate(body, peer).await,
            Call::ServerStatus => answer::json(&self.0.state.server_status()),
            Call::Overrides => answer::json(&serde_json::json!(self.0.state.overrides())),
            Call::Page => self.page().await,
            Call::Health => answer::json(&self.health()),
            Call::Info => answer::json(&self.info()),
            Call::Metrics => self.metrics(),
            Call::Statics => answer::body("application/json", self.statics_document()),
            Call::ReadStatics => answer::json(&self.read_statics_again().await),
        };
        if let Some((app, id, news)) = news.filter(|_| answer.status().is_success()) {
            self.spread(&app, &id, news);
        }
        answer
    }
}

/// Says whether a call may be made by anybody.
fn is_open(call: &Call) -> bool {
    matches!(call, Call::Health | Call::Info)
}

impl Handler for Discovery {
    async fn handle(&self, request: Request<RequestBody>, peer: &Arc<Peer>) -> Response<ResponseBody> {
        let path = request.uri().path();
        let call = match route::route(request.method(), path) {
            Ok(call) => call,
            Err(why) => return answer::unroutable(&why, request.method().as_str(), path),
        };
        if !is_open(&call)
            && let Err(why) = self.0.settings.access.check(peer, request.headers())
        {
            self.0.state.counters.count(Kind::Refused);
            return answer::denied(why);
        }
        self.call(call, request, peer).await
    }
}
