//! How a service trusts whom it asks, and follows what discovery knows.

use std::time::Duration;

use rustls::ClientConfig;
use tender_catalog::Outward;
use tender_certificate::tls::{Roots, client_config};
use tender_gateway::{DiscoveryEvent, Fetcher, FetcherSettings, Follower};
use tender_http::hyper::Uri;

use super::Named;
use super::options::Serving;
use crate::error::CommandError;

/// How long an answer of another service may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads what others are trusted by, and what is shown to them.
pub(crate) fn outward(named: Named, serving: &Serving) -> Result<Outward, CommandError> {
    let (roots, identity) = match &serving.tls {
        Some(files) => {
            let key = files.key().map_err(|fault| named.tls(fault))?;
            (files.roots().map_err(|fault| named.tls(fault))?, Some(key))
        }
        None => (Roots::of(Vec::new()), None),
    };
    Ok(Outward { mode: serving.verify, roots, identity, timeout: TIMEOUT })
}

/// Returns how TLS is spoken with others.
pub(crate) fn client(named: Named, outward: &Outward) -> Result<ClientConfig, CommandError> {
    client_config(outward.mode, outward.roots.clone(), outward.identity.as_ref())
        .map_err(|fault| named.outward(fault))
}

/// Keeps somebody up with discovery; what discovery knows now is taken over first, if it is there.
pub(crate) async fn follow(
    follower: impl Follower + Clone,
    discovery: Vec<Uri>,
    tls: ClientConfig,
    interval: Duration,
) {
    let mut fetcher = Fetcher::new(FetcherSettings { discovery, tls, interval, timeout: TIMEOUT });
    // Whoever finds the port open finds the services.
    fetcher.turn(&follower).await;
    tokio::spawn(fetcher.run(follower));
}

/// Writes what became of discovery as a line of the log.
pub(crate) fn discovery_line(event: &DiscoveryEvent) -> String {
    match event {
        DiscoveryEvent::Lost { .. } => format!("ZWEAM504W {event}"),
        DiscoveryEvent::Found { .. } => format!("ZWEAM009I {event}"),
    }
}
