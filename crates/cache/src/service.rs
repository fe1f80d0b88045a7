//! The caching service over HTTP.

mod answer;
mod entries;
mod owner;
mod route;

use std::sync::Arc;

use tender_http::hyper::header::{ALLOW, HeaderValue};
use tender_http::hyper::{Request, Response, StatusCode};
use tender_http::{Handler, Message, Peer, RequestBody, ResponseBody, chain};

use crate::limits::Limits;
use crate::store::Store;
pub use owner::OwnerRules;
use route::{Call, Unroutable};

/// What the API looks like, for catalogs and for those who write clients.
const OPEN_API: &str = include_str!("service/openapi.json");

/// Answers requests for entries.
#[derive(Debug)]
pub struct Caching {
    store: Arc<dyn Store>,
    limits: Limits,
    owners: OwnerRules,
}

impl Caching {
    /// Serves a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, limits: Limits, owners: OwnerRules) -> Self {
        Self { store, limits, owners }
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
        done.await.unwrap_or_else(answer::refused)
    }

    async fn health(&self) -> Response<ResponseBody> {
        match self.store.count().await {
            Ok(count) => answer::json(&serde_json::json!({
                "status": "UP", "details": { "entries": count, "entriesMax": self.limits.entries_max }
            })),
            Err(error) => {
                let text = serde_json::json!({ "status": "DOWN", "details": { "error": chain(&error) } });
                let mut answer = answer::json(&text);
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
