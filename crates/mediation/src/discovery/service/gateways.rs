//! Gateways are told that something has changed: those of other makers look only every half minute.
//!
//! Ours wait for changes and need it not. Source: the reference's 1.9, point 5.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Empty;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use tender_http::hyper::{Method, Request, Uri};
use tender_http::{Bytes, Reach, Resolver, may_be_asked};
use tokio::task::JoinSet;

use super::{Discovery, PeerError};
use crate::discovery::event::Event;
use crate::discovery::instance::{Instance, Status};

/// By which name gateways are registered.
const APP: &str = "GATEWAY";
/// Changes that come together are told together.
const PAUSE: Duration = Duration::from_millis(100);

/// How gateways are told.
#[derive(Debug, Clone)]
pub struct Gateways {
    /// How TLS is spoken with them.
    pub tls: ClientConfig,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// Tells gateways.
pub(super) struct Notifier {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Empty<Bytes>>,
    timeout: Duration,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Notifier {
    pub(super) fn new(Gateways { tls, timeout }: Gateways) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver::new(Reach::Registered));
        http.enforce_http(false);
        http.set_connect_timeout(Some(timeout));
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Self { client: Client::builder(TokioExecutor::new()).build(https), timeout }
    }

    /// Tells one gateway that it should look again.
    async fn tell(&self, address: Uri) -> Result<(), PeerError> {
        let request = Request::builder().method(Method::DELETE).uri(address).body(Empty::new());
        let request = request.map_err(|error| PeerError::Unreachable(error.into()))?;
        let timeout = self.timeout;
        let answered = tokio::time::timeout(timeout, self.client.request(request)).await;
        let answer = answered.map_err(|_| PeerError::Late { timeout })?;
        match answer.map_err(|error| PeerError::Unreachable(error.into()))?.status() {
            status if status.is_success() => Ok(()),
            status => Err(PeerError::Refused { status }),
        }
    }
}

/// Returns where a gateway is told; nothing where nobody may be sent to.
fn address(gateway: &Instance) -> Option<Uri> {
    let host = gateway.host.trim_start_matches('[').trim_end_matches(']');
    let literal = host.parse().ok();
    if gateway.status != Status::Up || !literal.is_none_or(may_be_asked) {
        return None;
    }
    let (scheme, port) = if gateway.secure_port.is_enabled {
        ("https", gateway.secure_port.number)
    } else {
        ("http", gateway.port.number)
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let authority = format!("{host}:{port}");
    Uri::builder().scheme(scheme).authority(authority).path_and_query("/gateway/cache/services").build().ok()
}

impl Discovery {
    /// Tells gateways of changes, for as long as it is polled.
    pub(super) async fn notify_gateways(&self) {
        let Some(notifier) = &self.0.notifier else { return };
        let mut changes = self.0.state.changes();
        // Those that did not take it last time: told of once.
        let mut silent = BTreeSet::new();
        while changes.changed().await.is_ok() && !*changes.borrow_and_update() {
            tokio::time::sleep(PAUSE).await;
            changes.mark_unchanged();
            let gateways: Vec<(String, Uri)> = {
                let registry = self.0.state.registry();
                let found = registry.of(APP).filter_map(|one| Some((one.id.clone(), address(one)?)));
                found.collect()
            };
            silent.retain(|id| gateways.iter().any(|(known, _)| known == id));
            let mut told = JoinSet::new();
            for (id, address) in gateways {
                let notifier = Arc::clone(notifier);
                told.spawn(async move { (id, notifier.tell(address).await) });
            }
            while let Some(Ok((id, outcome))) = told.join_next().await {
                match outcome {
                    Ok(()) => drop(silent.remove(&id)),
                    Err(error) => {
                        if silent.insert(id.clone()) {
                            let reason = tender_http::chain(&error);
                            self.tell(&Event::GatewayNotTold { id, reason });
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::Own;

    fn gateway(host: &str, is_secure: bool) -> Instance {
        Own { host: host.to_owned(), address: "10.0.0.1".to_owned(), port: 7554, is_secure }.instance(0)
    }

    #[test]
    fn gateway_is_told_where_it_is_registered_unless_nobody_may_be_sent_there() {
        let told = |host: &str, is_secure| address(&gateway(host, is_secure)).map(|uri| uri.to_string());
        assert_eq!(told("a", true).unwrap(), "https://a:7554/gateway/cache/services");
        assert_eq!(told("::1", false).unwrap(), "http://[::1]:7554/gateway/cache/services");
        for host in ["169.254.169.254", "[fe80::1]", "0.0.0.0", "a/b", "a b"] {
            assert_eq!(told(host, true), None, "{host}");
        }
        let down = Instance { status: Status::Down, ..gateway("a", true) };
        assert_eq!(address(&down), None);
    }
}
