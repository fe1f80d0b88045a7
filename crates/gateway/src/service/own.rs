//! What the gateway answers itself.

use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::json;
use tender_http::{Peer, RequestBody, ResponseBody};

use super::{Gateway, answer, authority, origin};
use crate::{auth, services};

/// Discovery counts as lost when it was not heard of for this long.
const LOST_AFTER: Duration = Duration::from_secs(60);

/// A call for the gateway itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Health,
    Info,
    Version,
    /// All services, or one.
    Services(Option<String>),
    /// Discovery says that something has changed.
    Refresh,
    NoMethod,
}

/// Finds out whether a request is for the gateway itself, and what it asks.
pub(super) fn call(method: &Method, path: &str) -> Option<Call> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path == "/gateway/cache/services" || path.starts_with("/gateway/cache/services/") {
        return Some(if *method == Method::DELETE { Call::Refresh } else { Call::NoMethod });
    }
    let call = match path {
        "/application/health" | "/gateway/application/health" => Call::Health,
        "/application/info" | "/gateway/application/info" => Call::Info,
        "/application/version" | "/gateway/version" | "/gateway/api/v1/version" => Call::Version,
        _ => Call::Services(services_of(path)?),
    };
    Some(if matches!(*method, Method::GET | Method::HEAD) { call } else { Call::NoMethod })
}

/// Returns the service of a path below one of those for information about services, nothing inside for all.
fn services_of(path: &str) -> Option<Option<String>> {
    let bases = ["/gateway/api/v1/services", "/api/v1/gateway/services", "/gateway/services"];
    let rest = bases.iter().find_map(|base| path.strip_prefix(base))?;
    if rest.is_empty() {
        return Some(None);
    }
    rest.strip_prefix('/').filter(|id| !id.is_empty() && !id.contains('/')).map(|id| Some(id.to_owned()))
}

impl Gateway {
    pub(super) fn own(
        &self,
        call: Call,
        request: &Request<RequestBody>,
        peer: &Peer,
    ) -> Response<ResponseBody> {
        match call {
            Call::Health => self.health(),
            Call::Info => answer::json(&json!({
                "build": { "name": "tender-gateway", "version": env!("CARGO_PKG_VERSION") },
                "requests": self.0.counters.requests.load(Ordering::Relaxed),
                "failed": self.0.counters.failed.load(Ordering::Relaxed),
                "tunnels": self.0.counters.tunnels.load(Ordering::Relaxed),
            })),
            Call::Version => {
                let version = env!("CARGO_PKG_VERSION");
                answer::json(
                    &json!({ "apiml": { "version": version, "buildNumber": "0", "commitHash": "" } }),
                )
            }
            Call::NoMethod => {
                let message =
                    tender_http::Message::method_not_allowed(request.method().as_str(), request.uri().path());
                message.answer(StatusCode::METHOD_NOT_ALLOWED)
            }
            Call::Refresh if peer.is_tls && peer.certificate_of(request.headers()).is_none() => {
                answer::no_certificate()
            }
            Call::Refresh => {
                self.0.refresh.notify_one();
                answer::of_headers(StatusCode::OK, HeaderMap::new())
            }
            Call::Services(id) => self.services(id.as_deref(), request, peer),
        }
    }

    /// Answers whoever may not see what is registered: that takes a certificate that is trusted, or a log-in of a user who may.
    pub(super) async fn refusal_of(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Option<Response<ResponseBody>> {
        if peer.certificate_of(headers).is_some() {
            return None;
        }
        // Nobody can log in: then a certificate is asked for where there is TLS.
        let Some(settings) = &self.0.settings.auth else { return peer.is_tls.then(answer::no_certificate) };
        match auth::user(settings, headers, "gateway", auth::now_s()) {
            Ok((claims, _)) => {
                settings.hidden_from(&claims.sub, &|event| self.tell(event)).await.map(|refused| *refused)
            }
            Err(why) => Some(*auth::unaccepted(&why)),
        }
    }

    fn services(
        &self,
        id: Option<&str>,
        request: &Request<RequestBody>,
        peer: &Peer,
    ) -> Response<ResponseBody> {
        let table = self.table();
        let authority = authority(request.uri(), request.headers());
        let own = authority.and_then(|authority| origin(&authority, peer)).unwrap_or_default();
        let api_id = request.uri().query().and_then(|query| {
            query.split('&').find_map(|pair| pair.strip_prefix("apiId=").map(str::to_owned))
        });
        let document = match id {
            Some(id) => match services::one(&table, id, &own) {
                Some(document) => document,
                None => return answer::unknown(request.uri().path()),
            },
            None => services::all(&table, &own, api_id.as_deref()),
        };
        let is_empty = document.as_array().is_some_and(Vec::is_empty);
        let mut answer = answer::json(&document);
        answer.headers_mut().insert("content-version", hyper::header::HeaderValue::from_static("1"));
        if is_empty {
            *answer.status_mut() = StatusCode::NOT_FOUND;
        }
        answer
    }

    fn health(&self) -> Response<ResponseBody> {
        let known = self.0.known.load();
        let count = |service: &str| {
            let instances = known.table.services().get(service).map(|service| &service.instances);
            instances.map_or(0, |instances| instances.iter().filter(|one| one.is_up).count())
        };
        let word = |is_up: bool| if is_up { "UP" } else { "DOWN" };
        let age = known.confirmed.map(|at| at.elapsed());
        let has_discovery = age.is_some_and(|age| age < LOST_AFTER);
        let status = word(has_discovery);
        let mut answer = answer::json(&json!({
            "status": status,
            "components": { "gateway": { "status": status, "details": {
                "apicatalog": word(count("apicatalog") > 0),
                "discovery": status,
                // This one may not be registered.
                "gatewayCount": count("gateway").max(1),
                "registryAgeMs": age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            } } }
        }));
        if !has_discovery {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_calls_are_told_from_those_of_services() {
        let asked = |method: &str, path: &str| call(&method.parse().unwrap(), path);
        assert_eq!(asked("GET", "/application/health"), Some(Call::Health));
        assert_eq!(asked("GET", "/gateway/api/v1/services/"), Some(Call::Services(None)));
        assert_eq!(asked("GET", "/api/v1/gateway/services/a"), Some(Call::Services(Some("a".to_owned()))));
        assert_eq!(asked("DELETE", "/gateway/cache/services/a"), Some(Call::Refresh));
        assert_eq!(asked("POST", "/gateway/version"), Some(Call::NoMethod));
        assert_eq!(asked("GET", "/gateway/api/v1/servicesx"), None);
        assert_eq!(asked("GET", "/sample/api/v1/gateway/services"), None);
    }
}
