//! The caching service over HTTP.

mod answer;
mod entries;
mod owner;
mod route;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tender_http::hyper::header::{ALLOW, HeaderValue};
use tender_http::hyper::{Request, Response, StatusCode};
use tender_http::{Handler, Message, Peer, RequestBody, ResponseBody};

use crate::limits::Limits;
use crate::store::{Store, StoreError};
use answer::Refusal;
pub use owner::OwnerRules;
use route::{Call, Unroutable};

/// What the API looks like, for catalogs and for those who write clients.
const OPEN_API: &str = include_str!("service/openapi.json");

/// What whoever runs the service should know of its store.
#[derive(Debug)]
pub enum StoreEvent<'a> {
    /// It does not answer, or refuses; told once.
    Lost(&'a StoreError),
    /// It answers again.
    Found,
}

/// Where events go.
pub type StoreEventSink = Arc<dyn Fn(&StoreEvent<'_>) + Send + Sync>;

/// Answers requests for entries.
pub struct Caching {
    store: Arc<dyn Store>,
    limits: Limits,
    owners: OwnerRules,
    events: StoreEventSink,
    is_lost: AtomicBool,
}

impl std::fmt::Debug for Caching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caching").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Caching {
    /// Serves a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, limits: Limits, owners: OwnerRules, events: StoreEventSink) -> Self {
        Self { store, limits, owners, events, is_lost: AtomicBool::new(false) }
    }

    async fn call(&self, call: Call, request: Request<RequestBody>, peer: &Peer) -> Response<ResponseBody> {
        let entry_call = match call {
            Call::Entries(entry_call) => entry_call,
            Call::Health => return self.health().await,
            Call::Info => return self.info(),
            Call::OpenApi => return answer::json_text(OPEN_API.to_owned()),
            // As the reference answers with every store that has no lists.
            Call::Lists => return answer::no_lists(),
        };
        let owner = match self.owners.owner(peer.certificate.as_ref(), request.headers()) {
            Ok(owner) => owner,
            Err(why) => return answer::no_owner(&why),
        };
        let done = entries::call(entry_call, self.store.as_ref(), &self.limits, &owner, request.into_body());
        let done = done.await;
        match &done {
            Err(Refusal::Store(error)) => self.tell(Some(error)),
            // What is refused before the store is asked says nothing of it.
            Err(_) => {}
            Ok(_) => self.tell(None),
        }
        done.unwrap_or_else(answer::refused)
    }

    /// Tells what became of the store, when that has changed.
    fn tell(&self, error: Option<&StoreError>) {
        if self.is_lost.swap(error.is_some(), Ordering::Relaxed) != error.is_some() {
            (self.events)(&error.map_or(StoreEvent::Found, StoreEvent::Lost));
        }
    }

    async fn health(&self) -> Response<ResponseBody> {
        let count = self.store.count().await;
        self.tell(count.as_ref().err());
        match count {
            Ok(count) => answer::json(&serde_json::json!({
                "status": "UP", "details": { "entries": count, "entriesMax": self.limits.entries_max }
            })),
            Err(_) => {
                let mut answer = answer::json(&serde_json::json!({
                    "status": "DOWN", "details": { "error": "the storage does not answer" }
                }));
                *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                answer
            }
        }
    }

    fn info(&self) -> Response<ResponseBody> {
        answer::json(&serde_json::json!({
            "build": { "name": "tender-cache", "version": env!("CARGO_PKG_VERSION") },
            "storage": { "size": self.limits.entries_max, "evictionStrategy": self.limits.eviction.to_string() },
        }))
    }
}

impl Handler for Caching {
    async fn handle(&self, request: Request<RequestBody>, peer: &Arc<Peer>) -> Response<ResponseBody> {
        let path = request.uri().path();
        match route::route(request.method(), path) {
            Ok(call) => self.call(call, request, peer).await,
            Err(Unroutable::NoEndpoint) => Message::no_endpoint(path).answer(StatusCode::NOT_FOUND),
            Err(Unroutable::NoMethod { allowed }) => {
                let message = Message::method_not_allowed(request.method().as_str(), path);
                let mut answer = message.answer(StatusCode::METHOD_NOT_ALLOWED);
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
                answer
            }
            Err(Unroutable::BadKey) => answer::bad_payload("the key in the path is no text in UTF-8"),
        }
    }
}
