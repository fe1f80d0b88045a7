//! Discovery as the gateway asks it: what is registered, and the gateway's own entry.

mod fetch;
mod registration;

use std::time::Duration;

use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use tender_http::Bytes;

pub use fetch::{DiscoveryEvent, FetchError, Fetcher, FetcherSettings, Follower};
pub use registration::{Entry, Registration, RegistrationEvent, RegistrationSettings};

/// Whoever asks discovery.
type Asker = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Makes ready to ask; a connection may take `timeout`.
fn asker(tls: ClientConfig, timeout: Duration) -> Asker {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(timeout));
    let https =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
    Client::builder(TokioExecutor::new()).build(https)
}
