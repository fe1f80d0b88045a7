//! Asking others: the gateway, discovery, and services for their documents.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tender_certificate::KeyEntry;
use tender_certificate::tls::{Roots, TlsError, VerifyMode, client_config};
use tender_http::{BoxError, Bytes};

/// How others are reached, and by what they are trusted.
#[derive(Debug, Clone)]
pub struct Outward {
    /// How much of their certificates is checked.
    pub mode: VerifyMode,
    /// Authorities that are trusted.
    pub roots: Roots,
    /// What is shown to them.
    pub identity: Option<KeyEntry>,
    /// How long a whole answer may take.
    pub timeout: Duration,
}

/// Connections to others, kept for the next question.
#[derive(Debug)]
pub(crate) struct Asker {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    timeout: Duration,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silence {
    #[error("it cannot be reached")]
    Unreachable(#[source] Error),
    #[error("there is no whole answer after {} seconds", .0.as_secs_f32())]
    Late(Duration),
    #[error("the answer has more than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the answer broke off")]
    Broken(#[source] BoxError),
}

/// Whom connections may be made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Whoever is configured.
    Configured,
    /// Whoever somebody registered: not addresses that are nobody's service.
    Registered,
}

impl Asker {
    pub(crate) fn new(outward: &Outward, reach: Reach) -> Result<Self, TlsError> {
        let tls = client_config(outward.mode, outward.roots.clone(), outward.identity.as_ref())?;
        let mut http = HttpConnector::new_with_resolver(Resolver(reach));
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(outward.timeout));
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(4))
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(8)
            .build(https);
        Ok(Self { client, timeout: outward.timeout })
    }

    /// Asks, and reads the answer to its end; redirects are answers like others.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>, limit: usize) -> Result<Told, Silence> {
        let whole = async {
            let (head, body) = self.client.request(request).await.map_err(understood)?.into_parts();
            let body = Limited::new(body, limit).collect().await.map_err(|error| {
                let is_limit = error.is::<LengthLimitError>();
                if is_limit { Silence::TooLarge { limit } } else { Silence::Broken(error) }
            })?;
            Ok(Told { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        tokio::time::timeout(self.timeout, whole).await.map_err(|_| Silence::Late(self.timeout))?
    }
}

fn understood(error: Error) -> Silence {
    if error.is_connect() { Silence::Unreachable(error) } else { Silence::Broken(error.into()) }
}

/// Says whether requests may be sent to an address that somebody registered: addresses of clouds' own services, of all
/// hosts at once and of none are never those of a service.
pub(crate) fn may_be_asked(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !(address.is_link_local()
                || address.is_multicast()
                || address.is_unspecified()
                || address.is_broadcast())
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => may_be_asked(IpAddr::V4(address)),
            None => !(address.is_unicast_link_local() || address.is_multicast() || address.is_unspecified()),
        },
    }
}

/// Finds the addresses of hosts, as far as connections may be made to them.
#[derive(Debug, Clone, Copy)]
struct Resolver(Reach);

impl tower_service::Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<vec::IntoIter<SocketAddr>>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let may = |address: &SocketAddr| reach == Reach::Configured || may_be_asked(address.ip());
            let allowed: Vec<_> = found.filter(may).collect();
            if allowed.is_empty() {
                let what = format!("`{name}` has no address that requests may be sent to");
                return Err(io::Error::other(what));
            }
            Ok(allowed.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_nobodys_service_are_not_asked() {
        for address in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:169.254.169.254",
        ] {
            assert!(!may_be_asked(address.parse().unwrap()), "{address}");
        }
        for address in ["127.0.0.1", "10.0.0.1", "192.0.2.7", "::1", "2001:db8::1"] {
            assert!(may_be_asked(address.parse().unwrap()), "{address}");
        }
    }
}
