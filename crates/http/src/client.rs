//! Asking other servers.

use std::time::Duration;

use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use crate::Bytes;
use crate::resolver::{Reach, Resolver};

/// Shorter than what servers usually keep a connection for: the end of one would meet a request on its way.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Idle connections kept to each server.
const IDLE_PER_HOST: usize = 8;

/// Makes connections, over TLS where an address begins with `https`.
pub type Connector = HttpsConnector<HttpConnector<Resolver>>;
/// Asks, over connections that are kept for the next question; clones share them.
pub type Client = legacy::Client<Connector, Full<Bytes>>;

/// Makes ready to connect within a time to whoever is within reach; HTTP/1.1 is spoken.
#[must_use]
pub fn connector(tls: ClientConfig, timeout: Duration, reach: Reach) -> Connector {
    let mut http = HttpConnector::new_with_resolver(Resolver::new(reach));
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(timeout));
    // What was sent and is not taken in this time is lost: the machine is gone, not slow.
    http.set_tcp_user_timeout(Some(timeout));
    HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http)
}

/// Makes ready to ask whoever is within reach; a connection may take `timeout`, and the answer what the caller lets it.
#[must_use]
pub fn client(tls: ClientConfig, timeout: Duration, reach: Reach) -> Client {
    legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_MAX)
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .build(connector(tls, timeout, reach))
}
