//! The catalog over HTTP.

pub(crate) mod answer;
mod documents;
mod refresh;
mod route;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use hyper::header::{ALLOW, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use serde_json::json;
use tender_certificate::tls::TlsError;
use tender_gateway::{DiscoveryEvent, Follower, Instance};
use tender_http::Reach;
use tender_http::{Handler, Message, Peer, RequestBody, ResponseBody};

use crate::kept::Documents;
use crate::known::Known;
use crate::outward::{Asker, Outward};
use crate::page::{self, Asset, assets};
use crate::path::Unroutable;
use crate::session::{self, Sessions};
use crate::tile;
use route::Call;

/// What the API looks like.
const OPEN_API: &[u8] = include_bytes!("service/openapi.json");

/// Files of the pages.
const FILES: &[Asset] = assets![
    "index.html" from "catalog/index.html",
    "base.css" from "base.css",
    "catalog.css" from "catalog/catalog.css",
    "element.js" from "element.js",
    "server.js" from "server.js",
    "login.js" from "login.js",
    "catalog.js" from "catalog/catalog.js",
    "tiles.js" from "catalog/tiles.js",
    "service.js" from "catalog/service.js",
    "document.js" from "catalog/document.js",
    "schema.js" from "catalog/schema.js",
    "sample.js" from "catalog/sample.js",
    "trial.js" from "catalog/trial.js",
];

/// Where goes what is heard of discovery.
pub type EventSink = Arc<dyn Fn(&DiscoveryEvent) + Send + Sync>;

/// How the catalog behaves.
#[derive(Clone)]
pub struct Settings {
    /// How others are reached.
    pub outward: Outward,
    /// Gateways, as this machine reaches them; they are asked who somebody is, in this order.
    pub gateways: Vec<Uri>,
    /// The gateway as users reach it, unless one is registered that says so of itself.
    pub public: String,
    /// Discovery, such as `https://host:7553/eureka`: it is told to read static definitions again.
    pub discovery: Vec<Uri>,
    /// Everybody may read, without logging in.
    pub is_open: bool,
    /// Gets what happens.
    pub events: EventSink,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("gateways", &self.gateways)
            .field("public", &self.public)
            .field("discovery", &self.discovery)
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

/// The catalog. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Catalog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    sessions: Sessions,
    documents: Documents,
    discovery: Asker,
    state: RwLock<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    known: Arc<Known>,
    is_lost: bool,
    has_heard: bool,
}

impl Catalog {
    /// Makes a catalog that knows no services yet.
    ///
    /// Errors: [`TlsError`] when the key that is shown to others cannot be used.
    pub fn new(settings: Settings) -> Result<Self, TlsError> {
        let known = Known::new(Vec::new(), &Known::default(), &settings.public, 0);
        Ok(Self(Arc::new(Inner {
            sessions: Sessions::new(&settings.outward, settings.gateways.clone())?,
            documents: Documents::new(&settings.outward)?,
            discovery: Asker::new(&settings.outward, Reach::Configured)?,
            settings,
            state: RwLock::new(State { known: Arc::new(known), ..State::default() }),
        })))
    }

    fn state(&self) -> State {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.state.write().unwrap_or_else(PoisonError::into_inner));
    }

    async fn call(&self, call: Call, request: Request<RequestBody>) -> Response<ResponseBody> {
        let (head, body) = request.into_parts();
        let headers = &head.headers;
        match call {
            Call::ToPage => return answer::to_page(headers),
            Call::File(name) => return answer::file(FILES, &name, headers, page::PAGES),
            Call::Health => return self.health(),
            Call::Info => return answer::info(),
            Call::OpenApi => return answer::json_bytes(OPEN_API),
            Call::Session => return self.session(headers).await,
            Call::Login | Call::Logout if is_foreign(headers) => return answer::foreign(),
            Call::Login => return self.0.sessions.hand_on("login", headers, body).await,
            Call::Logout => return self.0.sessions.hand_on("logout", headers, body).await,
            _ => {}
        }
        if !self.0.settings.is_open
            && let Err(denied) = self.0.sessions.user(headers).await
        {
            return session::answer(&denied);
        }
        let state = self.state();
        match call {
            Call::Containers if state.known.tiles.is_empty() => answer::empty(StatusCode::NO_CONTENT),
            Call::Containers => answer::written(headers, state.known.all_tiles()),
            Call::Container(id) => self.container(&state.known, &id).await,
            Call::Services => answer::written(headers, state.known.all_services()),
            Call::Service(id) => match state.known.service(&id) {
                Some(service) => answer::json(&tile::details(service, &state.known.gateway)),
                None => answer::no_service(&id),
            },
            Call::Document { service, api } => {
                self.document(&state.known, &service, api.as_deref(), headers).await
            }
            Call::Refresh if is_foreign(headers) => answer::foreign(),
            Call::Refresh => self.refresh().await,
            _ => Message::no_endpoint(head.uri.path()).answer(StatusCode::NOT_FOUND),
        }
    }

    fn health(&self) -> Response<ResponseBody> {
        let state = self.state();
        let discovery = if state.has_heard && !state.is_lost { "UP" } else { "DOWN" };
        let services = state.known.services.len();
        answer::json(&json!({
            "status": if state.has_heard { "UP" } else { "DOWN" },
            "details": { "discovery": discovery, "services": services, "tiles": state.known.tiles.len() },
        }))
    }

    /// Tells a page for whom it is.
    async fn session(&self, headers: &HeaderMap) -> Response<ResponseBody> {
        let user = self.0.sessions.user(headers).await.ok();
        let state = self.state();
        answer::json(&json!({
            "user": user,
            "isOpen": self.0.settings.is_open,
            "isThroughGateway": headers.contains_key(PREFIX),
            "gateway": state.known.gateway,
            "isDiscoveryLost": state.is_lost || !state.has_heard,
        }))
    }
}

/// The gateway says by it how a request came.
pub(crate) const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Says whether a browser sends this for a page of somebody else.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    headers.get(FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none")
}

impl Follower for Catalog {
    fn replace(&self, instances: Vec<Instance>) {
        let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
        let before = self.state().known;
        let known = Known::new(instances, &before, &self.0.settings.public, now_ms);
        self.0.documents.retain(&known.services);
        self.change(|state| *state = State { known: Arc::new(known), is_lost: false, has_heard: true });
    }

    fn confirm(&self) {
        self.change(|state| state.is_lost = false);
    }

    fn tell(&self, event: DiscoveryEvent) {
        let is_lost = matches!(event, DiscoveryEvent::Lost { .. });
        self.change(|state| state.is_lost = is_lost);
        (self.0.settings.events)(&event);
    }

    async fn refresh_asked(&self) {
        // Discovery tells of changes by itself.
        std::future::pending::<()>().await;
    }
}

impl Handler for Catalog {
    async fn handle(&self, request: Request<RequestBody>, _peer: &Arc<Peer>) -> Response<ResponseBody> {
        let path = request.uri().path().to_owned();
        let method = request.method().clone();
        let answer = match route::route(&method, &path) {
            Ok(call) => self.call(call, request).await,
            Err(Unroutable::NoEndpoint) => Message::no_endpoint(&path).answer(StatusCode::NOT_FOUND),
            Err(Unroutable::NoMethod { allowed }) => no_method(&method, &path, allowed),
        };
        page::guarded(answer, page::PAGES)
    }
}

/// Says that a path does not take a method.
pub(crate) fn no_method(method: &Method, path: &str, allowed: &'static str) -> Response<ResponseBody> {
    let message = Message::method_not_allowed(method.as_str(), path);
    let mut answer = message.answer(StatusCode::METHOD_NOT_ALLOWED);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}
