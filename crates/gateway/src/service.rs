//! The gateway as a server sees it: a request in, an answer out.

mod answer;
mod own;
mod tunnel;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Uri};
use smallvec::smallvec;
use tender_http::{Handler, Peer, PeerCertificate, RequestBody, ResponseBody, Server, Serving, Stop, chain};
use tokio::sync::Notify;

use crate::auth::{self, Asked, AuthSettings, Claims, Credentials, Outcome, Scheme, Token, Unaccepted};
use crate::candidates::{Candidates, Ends};
use crate::cors::{self, Decision};
use crate::discovery::{DiscoveryEvent, Follower};
use crate::forward::{self, Failed, Outgoing};
use crate::headers::{self, INSTANCE, Seen, Way};
use crate::registry::Instance;
use crate::sticky::{Sticky, Visit};
use crate::table::{End, Found, NotFound, Table};
use crate::target;
use crate::upstream::{SharedBody, Unanswered, Upstream, UpstreamSettings};

pub(crate) use answer::json as json_answer;

/// Where events go.
pub type EventSink = Arc<dyn Fn(&Event) + Send + Sync>;

/// Something that an administrator may have to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// No instance of a service answered.
    Unanswered {
        /// The service.
        service: String,
        /// Why, down to the cause.
        reason: String,
    },
    /// The gateway could not make a ticket for an application, which is not for users to mend.
    NoTicket {
        /// Which.
        application: String,
        /// Why, down to the cause.
        reason: String,
    },
    /// Somebody asked who is to be let in, or what he may do, and whoever knows it does not answer.
    NobodyChecks {
        /// Why, down to the cause.
        reason: String,
    },
    /// A token ended here, and the store that gateways share does not know it yet.
    NotShared {
        /// Why, down to the cause.
        reason: String,
    },
    /// Discovery was lost, or found.
    Discovery(DiscoveryEvent),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered { service, reason } => {
                write!(f, "no instance of `{service}` answered: {reason}")
            }
            Self::NobodyChecks { reason } => {
                write!(f, "whoever checks passwords and rights does not answer: {reason}")
            }
            Self::NoTicket { application, reason } => {
                write!(f, "no ticket for application `{application}`: {reason}")
            }
            Self::NotShared { reason } => {
                write!(f, "other gateways do not know yet of a token that ended: {reason}")
            }
            Self::Discovery(event) => event.fmt(f),
        }
    }
}

/// How the gateway behaves.
#[derive(Clone)]
pub struct Settings {
    /// How instances are reached.
    pub upstream: UpstreamSettings,
    /// Paths may hold encoded slashes.
    pub allows_encoded_slashes: bool,
    /// Answers say which instance gave them.
    pub tells_instance: bool,
    /// The largest body of a request, in bytes.
    pub body_bytes: u64,
    /// How users log in; nothing leaves that to the services.
    pub auth: Option<AuthSettings>,
    /// Which user is with which instance, for services that ask for it.
    pub sticky: Arc<Sticky>,
    /// Gets what happens.
    pub events: EventSink,
}

impl Settings {
    /// Returns what the reference does by default.
    #[must_use]
    pub fn new(upstream: UpstreamSettings) -> Self {
        Self {
            upstream,
            allows_encoded_slashes: true,
            tells_instance: false,
            body_bytes: u64::MAX,
            auth: None,
            sticky: Arc::new(Sticky::new(None)),
            events: Arc::new(|_| {}),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

/// The gateway. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Gateway(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    upstream: Upstream,
    candidates: Candidates,
    known: ArcSwap<Known>,
    refresh: Notify,
    counters: Counters,
}

/// The table in use, and when discovery confirmed it last.
#[derive(Debug, Clone, Default)]
struct Known {
    table: Arc<Table>,
    confirmed: Option<Instant>,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    failed: AtomicU64,
    tunnels: AtomicU64,
}

impl Gateway {
    /// Makes a gateway that knows no services yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Inner {
            upstream: Upstream::new(&settings.upstream),
            settings,
            candidates: Candidates::default(),
            known: ArcSwap::default(),
            refresh: Notify::new(),
            counters: Counters::default(),
        }))
    }

    /// Uses what discovery knows from now on.
    pub fn replace(&self, table: Table) {
        let instances = table.services().values().flat_map(|service| &service.instances);
        let ids: std::collections::HashSet<_> = instances.map(|one| one.id.as_str()).collect();
        self.0.candidates.retain(|id| ids.contains(id));
        drop(ids);
        table.take_turns_of(&self.0.known.load().table);
        self.0.known.store(Arc::new(Known { table: Arc::new(table), confirmed: Some(Instant::now()) }));
    }

    /// Returns for how long discovery has not been heard of; nothing when it never was.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.0.known.load().confirmed.map(|at| at.elapsed())
    }

    pub(crate) fn tell(&self, event: &Event) {
        (self.0.settings.events)(event);
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.0.known.load().table)
    }

    /// Answers a request for a service.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "what waits is made where it stays instead of being moved there"
    )]
    fn route<'r>(
        &'r self,
        table: &'r Table,
        mut request: Request<RequestBody>,
        seen: Seen,
        peer: &'r Peer,
    ) -> impl Future<Output = Response<ResponseBody>> + Send + use<'r> {
        let is_upgrade = headers::is_upgrade(request.method(), request.headers(), seen);
        let upgrade = is_upgrade.then(|| hyper::upgrade::on(&mut request));
        let (Parts { method, uri, mut headers, .. }, body) = request.into_parts();
        let body = SharedBody::new(body.with_limit(self.0.settings.body_bytes));
        async move {
            let found = match self.find(table, uri.path()) {
                Ok(found) => found,
                Err(refused) => return *refused,
            };
            if let Some(to) = slash_after_ui(&found, &method, &uri) {
                return answer::redirect(&to);
            }
            if headers::has_gone_round(&headers, seen) {
                return answer::gone_round(found.id);
            }
            let authority = authority(&uri, &headers);
            let said = &found.service.said;
            let asker = (&headers, seen, authority.as_ref(), peer);
            let allowed = match decided(&method, asker, &said.cors) {
                Decision::Pass => None,
                Decision::Allow(allowed) => Some(allowed),
                Decision::Refuse => return answer::foreign_origin(),
                Decision::Answer(status, headers) => return answer::of_headers(status, headers),
            };
            let mut ends = match self.ends(&found, &headers, seen) {
                Ok(ends) => ends,
                Err(id) => return answer::unknown_instance(&id),
            };
            let user = self.user(&found, &headers);
            let visit = visit(&found, &user);
            if let Some(visit) = visit.as_ref().filter(|_| ends.len() > 1) {
                Box::pin(self.0.settings.sticky.lead(visit, &mut ends)).await;
            }
            let user = self.introduced(&said.scheme, user).await;
            let certificate = peer.certificate_of(&headers);
            headers::to_service(&mut headers, seen, &way(&found, peer, authority.as_ref(), is_upgrade));
            let nothing = introduce(&said.scheme, &user, &mut headers, certificate);
            // Path and query as they came, without what stood for the route.
            let target = uri.path_and_query().map_or("", |target| target.as_str());
            let mut outgoing = Outgoing {
                method,
                headers,
                body,
                rest: target.get(found.prefix.len()..).unwrap_or_default(),
                timeout: said.timeout,
                worker: peer.worker,
            };
            match forward::send(&self.0.upstream, &self.0.candidates, &ends, &mut outgoing).await {
                Ok((response, end)) => {
                    if let Some(visit) = visit {
                        self.0.settings.sticky.answered(visit, &end.instance.id, said.sticky_for);
                    }
                    let mut answer = tunnel::answer(self, response, upgrade);
                    self.finish(&mut answer, (&found, end), peer, authority.as_ref(), allowed);
                    if let Some(reason) = nothing.and_then(|reason| reason.parse().ok()) {
                        answer.headers_mut().insert(auth::FAILURE, reason);
                    }
                    answer
                }
                Err(failed) => self.failed(found.id, &failed),
            }
        }
    }

    /// Finds what a path leads to, or what is answered because it leads nowhere.
    fn find<'t, 'p>(
        &self,
        table: &'t Table,
        path: &'p str,
    ) -> Result<Found<'t, 'p>, Box<Response<ResponseBody>>> {
        if let Err(why) = target::check(path) {
            return Err(Box::new(answer::bad_path(why)));
        }
        if !self.0.settings.allows_encoded_slashes && target::has_encoded_slash(path) {
            return Err(Box::new(answer::encoded_slash()));
        }
        let found = table.find(path).map_err(|why| match why {
            NotFound::Nothing => answer::unknown(path),
            NotFound::NoInstance { service } => answer::no_instance(&service),
        })?;
        if found.service.said.refuses_encoded && target::has_encoded_character(path) {
            return Err(Box::new(answer::encoded_character(found.id)));
        }
        Ok(found)
    }

    /// Returns the ends of a route in the order in which they are tried.
    fn ends<'t>(&self, found: &Found<'t, '_>, headers: &HeaderMap, seen: Seen) -> Result<Ends<'t>, String> {
        let Some(wanted) = seen.has(Seen::INSTANCE).then(|| headers.get(INSTANCE)).flatten() else {
            return Ok(self.0.candidates.order(found.service.next_turn(), &found.route.ends, Instant::now));
        };
        let wanted = String::from_utf8_lossy(wanted.as_bytes()).into_owned();
        let of_id = |end: &&End| end.instance.id == wanted && end.instance.is_up;
        found.route.ends.iter().find(of_id).map(|end| smallvec![end]).ok_or(wanted)
    }

    /// Finds out who asks, for services that want to know; also by what the service itself does not want to see.
    fn user(&self, found: &Found<'_, '_>, headers: &HeaderMap) -> Result<(Claims, String), Unaccepted> {
        let said = &found.service.said;
        match &self.0.settings.auth {
            Some(settings) if said.scheme != Scheme::Bypass || said.is_sticky => {
                auth::user(settings, headers, found.id, auth::now_s())
            }
            _ => Err(Unaccepted::None),
        }
    }

    /// Makes of a user what the service is told of him.
    async fn introduced(
        &self,
        scheme: &Scheme,
        user: Result<(Claims, String), Unaccepted>,
    ) -> Result<auth::Introduced, Unaccepted> {
        match &self.0.settings.auth {
            // Seldom needed, and large: every request would carry the space for it.
            Some(settings) => {
                let tell = |event: &Event| self.tell(event);
                Ok(Box::pin(auth::introduced(settings, scheme, user?, &tell)).await)
            }
            None => Err(Unaccepted::None),
        }
    }

    /// Makes the head of an answer one of the gateway's.
    fn finish(
        &self,
        answer: &mut Response<ResponseBody>,
        (found, end): (&Found<'_, '_>, &End),
        peer: &Peer,
        authority: Option<&HeaderValue>,
        allowed: Option<HeaderMap>,
    ) {
        let is_upgrade = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let is_redirect = answer.status().is_redirection();
        let headers = answer.headers_mut();
        headers::to_client(headers, peer.is_tls, is_upgrade);
        if is_redirect
            && let Some(location) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok())
            && let Some(own) = authority.and_then(|authority| origin(authority, peer))
            && let Some(rewritten) = answer::location(location, found, &own)
        {
            headers.insert(header::LOCATION, rewritten);
        }
        for (name, value) in allowed.iter().flatten() {
            if *name == header::VARY {
                // What the answer varies by already stays.
                headers.append(name, value.clone());
            } else {
                headers.insert(name, value.clone());
            }
        }
        if self.0.settings.tells_instance
            && let Ok(id) = end.instance.id.parse()
        {
            headers.insert(INSTANCE, id);
        }
    }

    fn failed(&self, service: &str, failed: &Failed) -> Response<ResponseBody> {
        // A body that the client breaks off is no fault of the service.
        if !matches!(failed.why, Unanswered::Body(_)) {
            self.0.counters.failed.fetch_add(1, Ordering::Relaxed);
            self.tell(&Event::Unanswered { service: service.to_owned(), reason: chain(failed) });
        }
        answer::failed(service, failed)
    }
}

impl Handler for Gateway {
    fn handle(
        &self,
        request: Request<RequestBody>,
        peer: &Arc<Peer>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send {
        self.0.counters.requests.fetch_add(1, Ordering::Relaxed);
        async move {
            let seen = Seen::of(request.headers());
            if is_for_a_foreign_page(&request, seen, peer) {
                return answer::foreign_origin();
            }
            if let Some(settings) = &self.0.settings.auth
                && let Some(call) = auth::route(request.method(), request.uri().path())
            {
                let (head, body) = request.into_parts();
                let tell = |event: &Event| self.tell(event);
                let asked = Asked { headers: &head.headers, peer, body, tell: &tell };
                return Box::pin(settings.answer(call, asked)).await;
            }
            if let Some(call) = own::call(request.method(), request.uri().path()) {
                let (head, body) = request.into_parts();
                // Seldom needed, and large: every request would carry the space for it.
                if matches!(call, own::Call::Services(_))
                    && let Some(refusal) = Box::pin(self.refusal_of(&head.headers, peer)).await
                {
                    return refusal;
                }
                return self.own(call, &Request::from_parts(head, body), peer);
            }
            self.route(&self.table(), request, seen, peer).await
        }
    }

    fn serve(self, server: Server, stop: Stop) -> Serving {
        Box::pin(server.run(self, stop))
    }
}

impl Follower for Gateway {
    fn replace(&self, instances: Vec<Instance>) {
        self.replace(Table::new(instances));
    }

    fn confirm(&self) {
        let table = self.table();
        self.0.known.store(Arc::new(Known { table, confirmed: Some(Instant::now()) }));
    }

    fn tell(&self, event: DiscoveryEvent) {
        self.tell(&Event::Discovery(event));
    }

    async fn refresh_asked(&self) {
        self.0.refresh.notified().await;
    }
}

/// Returns who visits a service whose users stay with an instance.
fn visit(found: &Found<'_, '_>, user: &Result<(Claims, String), Unaccepted>) -> Option<Visit> {
    let (claims, _) = user.as_ref().ok().filter(|_| found.service.said.is_sticky)?;
    Some(Visit { user: claims.sub.clone(), service: found.id.to_owned() })
}

/// Tells a service of the user what its scheme asks for; returns why it is told nothing.
fn introduce(
    scheme: &Scheme,
    user: &Result<auth::Introduced, Unaccepted>,
    headers: &mut HeaderMap,
    certificate: Option<&PeerCertificate>,
) -> Option<String> {
    let credentials = Credentials {
        token: match user {
            Err(Unaccepted::None) => Token::None,
            Ok(user) => Token::Good(&user.token),
            Err(_) => Token::Bad,
        },
        ticket: user.as_ref().ok().and_then(auth::Introduced::ticket),
        certificate,
    };
    match scheme.apply(headers, &credentials) {
        Outcome::Done => None,
        Outcome::Nothing(reason) => Some(reason),
    }
}

/// Says whether a page of another origin asks the gateway itself: it could log somebody in as another.
fn is_for_a_foreign_page<B>(request: &Request<B>, seen: Seen, peer: &Peer) -> bool {
    let (method, path) = (request.method(), request.uri().path());
    seen.has(Seen::ORIGIN) && (own::call(method, path).is_some() || auth::route(method, path).is_some()) && {
        let authority = authority(request.uri(), request.headers());
        let nobody = cors::Policy::default();
        decided(method, (request.headers(), seen, authority.as_ref(), peer), &nobody) != Decision::Pass
    }
}

/// Decides whether a page may ask.
fn decided(
    method: &Method,
    (headers, seen, authority, peer): (&HeaderMap, Seen, Option<&HeaderValue>, &Peer),
    policy: &cors::Policy,
) -> Decision {
    // Most requests come from no page.
    if !seen.has(Seen::ORIGIN) {
        return Decision::Pass;
    }
    let own = authority.and_then(|authority| origin(authority, peer));
    cors::decide(method, headers, own.as_deref(), policy)
}

/// Returns the origin of the gateway's own pages, as the client knows it.
fn origin(authority: &HeaderValue, peer: &Peer) -> Option<String> {
    Some(format!("{}://{}", scheme(peer), authority.to_str().ok()?))
}

fn scheme(peer: &Peer) -> &'static str {
    if peer.is_tls { "https" } else { "http" }
}

/// Returns host and port as the client knows us.
fn authority(uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    match uri.authority() {
        Some(authority) => authority.as_str().try_into().ok(),
        None => headers.get(header::HOST).filter(|host| host.to_str().is_ok()).cloned(),
    }
}

/// Returns what a service is told of the way that a request came.
fn way<'r>(
    found: &Found<'r, '_>,
    peer: &'r Peer,
    authority: Option<&'r HeaderValue>,
    is_upgrade: bool,
) -> Way<'r> {
    Way {
        prefix: found.prefix_value(),
        client: peer.address_value(),
        authority,
        is_tls: peer.is_tls,
        port: peer.local.port(),
        ignored: &found.service.said.ignored,
        is_upgrade,
    }
}

/// Returns where a page without the slash at its end is: links on it lead elsewhere without.
fn slash_after_ui(found: &Found<'_, '_>, method: &Method, uri: &Uri) -> Option<String> {
    let is_page =
        found.rest.is_empty() && (found.route.gateway == "ui" || found.route.gateway.starts_with("ui/"));
    if !is_page || !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    // The path begins with one slash and a service: it cannot lead to another host.
    Some(format!("{}/{query}", found.prefix))
}
