//! Gateways are told that something has changed: those of other makers look only every half minute.
//!
//! Ours wait for changes and need it not. Source: the reference's 1.9, point 5.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use rustls::ClientConfig;
use tender_http::hyper::{Method, Request, Uri};
use tender_http::{Client, Reach, bracketed, may_be_host};
use tokio::task::JoinSet;

use super::{Discovery, PeerError};
use crate::discovery::event::Event;
use crate::discovery::instance::{Instance, Status};

/// By which name gateways are registered.
const APP: &str = "GATEWAY";
/// Changes that come together are told together.
const PAUSE: Duration = Duration::from_millis(100);
/// Gateways that are told; nobody has more, unless somebody wants discovery to be busy.
const GATEWAYS_MAX: usize = 256;
/// Of them at the same time.
const AT_ONCE: usize = 32;

/// How gateways are told.
#[derive(Debug, Clone)]
pub struct Gateways {
    /// How TLS is spoken with them.
    pub tls: ClientConfig,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// Tells gateways.
#[derive(Debug)]
pub(super) struct Notifier {
    client: Client,
    timeout: Duration,
}

impl Notifier {
    pub(super) fn new(Gateways { tls, timeout }: Gateways) -> Self {
        Self { client: tender_http::client(tls, timeout, Reach::Registered), timeout }
    }

    /// Tells one gateway that it should look again.
    async fn tell(&self, address: Uri) -> Result<(), PeerError> {
        let request = Request::builder().method(Method::DELETE).uri(address).body(Full::default());
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
    if gateway.status != Status::Up || !may_be_host(&gateway.host) {
        return None;
    }
    let (scheme, port) = if gateway.secure_port.is_enabled {
        ("https", gateway.secure_port.number)
    } else {
        ("http", Some(gateway.port).filter(|port| port.is_enabled)?.number)
    };
    let authority = format!("{}:{port}", bracketed(&gateway.host));
    Uri::builder().scheme(scheme).authority(authority).path_and_query("/gateway/cache/services").build().ok()
}

/// Gateways that are to be told, and those that are being told.
#[derive(Debug, Default)]
struct Round {
    due: BTreeMap<String, Uri>,
    busy: BTreeSet<String>,
    /// Those that did not take it last time: complained of once.
    silent: BTreeSet<String>,
}

impl Round {
    /// Takes those that can be told now: a slow one holds up no other.
    fn next(&mut self) -> Option<(String, Uri)> {
        if self.busy.len() >= AT_ONCE {
            return None;
        }
        let id = self.due.keys().find(|id| !self.busy.contains(*id))?.clone();
        self.busy.insert(id.clone());
        self.due.remove_entry(&id)
    }

    /// Notes what came of it; says whether that is to be complained of.
    fn told(&mut self, id: &str, has_taken_it: bool) -> bool {
        self.busy.remove(id);
        if has_taken_it {
            self.silent.remove(id);
            return false;
        }
        self.silent.insert(id.to_owned())
    }
}

impl Discovery {
    /// Tells gateways of changes, for as long as it is polled.
    pub(super) async fn notify_gateways(&self) {
        let Some(notifier) = &self.0.notifier else { return };
        let mut changes = self.0.state.changes();
        let (mut round, mut known) = (Round::default(), None);
        let mut under_way = JoinSet::<(String, Result<(), PeerError>)>::new();
        loop {
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() || *changes.borrow_and_update() {
                        return;
                    }
                    tokio::time::sleep(PAUSE).await;
                    changes.mark_unchanged();
                    let registry = self.0.state.registry();
                    // What is forgotten wakes, too, and is no change.
                    if known.replace(registry.version()) != Some(registry.version()) {
                        let gateways = registry.of(APP).filter_map(|one| Some((one.id.clone(), address(one)?)));
                        round.due = gateways.take(GATEWAYS_MAX).collect();
                        round.silent.retain(|id| round.due.contains_key(id));
                    }
                }
                Some(Ok((id, outcome))) = under_way.join_next(), if !under_way.is_empty() => {
                    if round.told(&id, outcome.is_ok())
                        && let Err(error) = outcome
                    {
                        self.tell(&Event::GatewayNotTold { id, reason: tender_http::chain(&error) });
                    }
                }
            }
            while let Some((id, address)) = round.next() {
                let notifier = Arc::clone(notifier);
                under_way.spawn(async move { (id, notifier.tell(address).await) });
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
        for host in ["169.254.169.254", "[fe80::1]", "0.0.0.0", "a/b", "a b", "x@169.254.169.254"] {
            assert_eq!(told(host, true), None, "{host}");
        }
        let down = Instance { status: Status::Down, ..gateway("a", true) };
        assert_eq!(address(&down), None);
        let mut closed = gateway("a", false);
        closed.port.is_enabled = false;
        assert_eq!(address(&closed), None);
    }

    #[test]
    fn gateway_that_is_slow_is_told_again_afterwards_and_holds_up_no_other() {
        let due = || {
            let gateways = ["a", "b"].map(|id| (id.to_owned(), Uri::from_static("http://h/")));
            BTreeMap::from(gateways)
        };
        let mut round = Round { due: due(), ..Round::default() };
        let taken =
            |round: &mut Round| std::iter::from_fn(|| round.next()).map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(taken(&mut round), ["a", "b"]);
        assert!(!round.told("b", true));
        round.due = due();
        assert_eq!(taken(&mut round), ["b"], "the other one has not answered");
        assert!(round.told("a", false));
        assert_eq!(taken(&mut round), ["a"]);
        assert!(!round.told("a", false), "complained of once");
        assert!(!round.told("a", true) && round.told("a", false));
    }

    #[test]
    fn only_so_many_are_told_at_once() {
        let gateways = (0..AT_ONCE + 1).map(|id| (id.to_string(), Uri::from_static("http://h/")));
        let mut round = Round { due: gateways.collect(), ..Round::default() };
        assert_eq!(std::iter::from_fn(|| round.next()).count(), AT_ONCE);
        round.told("0", true);
        assert!(round.next().is_some() && round.next().is_none());
    }
}
