//! Headers on their way to a service and back.
//!
//! What a client says about certificates is never passed on: only the gateway has seen one. What belongs to one connection
//! stays on it. Source: the reference's 3.2 to 3.4.

use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use tender_http::FORWARDED_PREFIX;

/// Which of the headers that decide about a request it has.
///
/// One look through all of them is cheaper than a search for each, which most requests have not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen(u8);

impl Seen {
    pub(crate) const CONNECTION: Self = Self(1);
    pub(crate) const COOKIE: Self = Self(1 << 1);
    pub(crate) const FORWARDED_FOR: Self = Self(1 << 2);
    pub(crate) const INSTANCE: Self = Self(1 << 3);
    pub(crate) const ORIGIN: Self = Self(1 << 4);
    pub(crate) const UPGRADE: Self = Self(1 << 5);

    /// Looks through headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        headers.keys().fold(Self::default(), |seen, name| Self(seen.0 | Self::by(name).0))
    }

    /// Says whether such a header is there.
    pub(crate) fn has(self, header: Self) -> bool {
        self.0 & header.0 != 0
    }

    fn by(name: &HeaderName) -> Self {
        match name.as_str() {
            "connection" => Self::CONNECTION,
            "cookie" => Self::COOKIE,
            "origin" => Self::ORIGIN,
            "upgrade" => Self::UPGRADE,
            "x-forwarded-for" => Self::FORWARDED_FOR,
            "x-instanceid" => Self::INSTANCE,
            _ => Self::default(),
        }
    }
}

/// Chooses an instance by its id.
pub(crate) const INSTANCE: HeaderName = HeaderName::from_static("x-instanceid");

/// Says whether a header belongs to one connection.
fn is_of_a_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Says whether only the gateway itself says this to a service.
fn is_of_the_gateway(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "client-cert"
            | "forwarded"
            | "x-certificate-commonname"
            | "x-certificate-distinguishedname"
            | "x-certificate-public"
            | "x-forwarded-prefix"
            | "x-zowe-auth-failure"
    )
}

/// Says whether a header is not for services: whom the client takes us for, its dates, and what concerns origins, which the
/// gateway decides.
fn is_not_for_services(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "access-control-request-headers"
            | "access-control-request-method"
            | "date"
            | "expires"
            | "host"
            | "origin"
    )
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What browsers are to keep to, unless the service knows better.
const FOR_BROWSERS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
    (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
];
const OVER_TLS: (HeaderName, HeaderValue) =
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000; includeSubDomains"));

/// So many are added to those of a request: five that say how it came, and whom it is for.
const ADDED: usize = 6;

/// What is told of the way that a request came.
#[derive(Debug)]
pub(crate) struct Way<'a> {
    /// The part of the path that stood for the route.
    pub(crate) prefix: HeaderValue,
    /// The address of the client.
    pub(crate) client: &'a HeaderValue,
    /// Host and port as the client knows us.
    pub(crate) authority: Option<&'a HeaderValue>,
    pub(crate) is_tls: bool,
    pub(crate) port: u16,
    /// Headers that the service does not want.
    pub(crate) ignored: &'a [HeaderName],
    /// The connection is to become one of another protocol.
    pub(crate) is_upgrade: bool,
}

/// Proxies that a request may have come through. More than any way has, and few enough for gateways that lead to each other.
const PROXIES_MAX: usize = 16;

/// Says whether a request came through so many proxies that it must have gone round.
pub(crate) fn has_gone_round(headers: &HeaderMap, seen: Seen) -> bool {
    // Most requests come straight from their client.
    seen.has(Seen::FORWARDED_FOR) && {
        let lists = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
        lists.flat_map(|list| list.split(|byte| *byte == b',')).count() > PROXIES_MAX
    }
}

/// Makes the headers that a service gets of those that came.
pub(crate) fn to_service(headers: &mut HeaderMap, seen: Seen, way: &Way<'_>) {
    let is_dropped =
        |name: &HeaderName| is_of_a_connection(name) || is_of_the_gateway(name) || is_not_for_services(name);
    drop_from(headers, is_dropped);
    for name in way.ignored {
        headers.remove(name);
    }
    headers.reserve(ADDED);
    if seen.has(Seen::COOKIE) {
        join_cookies(headers);
    }
    if way.is_upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    if seen.has(Seen::FORWARDED_FOR) {
        extend(headers, FORWARDED_FOR, way.client);
    } else {
        headers.insert(FORWARDED_FOR, way.client.clone());
    }
    headers.insert(FORWARDED_PREFIX, way.prefix.clone());
    if let Some(authority) = way.authority {
        headers.insert(FORWARDED_HOST, authority.clone());
    }
    let scheme = if way.is_tls { "https" } else { "http" };
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    headers.insert(FORWARDED_PORT, HeaderValue::from(way.port));
}

/// Takes from the headers of an answer what is not for the client, and adds what browsers are to keep to.
pub(crate) fn to_client(headers: &mut HeaderMap, is_tls: bool, is_upgrade: bool) {
    if !is_upgrade {
        drop_from(headers, is_of_a_connection);
    }
    for (name, value) in FOR_BROWSERS.into_iter().chain(is_tls.then_some(OVER_TLS)) {
        headers.entry(name).or_insert(value);
    }
}

/// Says whether a request asks for a `WebSocket`.
///
/// No other protocol is passed on: in a tunnel of another HTTP a client could ask for what it likes, in the gateway's name.
pub(crate) fn is_upgrade(method: &Method, headers: &HeaderMap, seen: Seen) -> bool {
    if !seen.has(Seen::UPGRADE) || *method != Method::GET {
        return false;
    }
    let mut wanted = headers.get_all(header::UPGRADE).iter();
    let is_websocket = wanted.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    is_websocket
        && wanted.next().is_none()
        && named_by_connection(headers).any(|name| name == header::UPGRADE)
}

/// Joins cookies, which HTTP/2 may bring one by one; HTTP/1.1 knows one list only.
fn join_cookies(headers: &mut HeaderMap) {
    let mut values = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(_)) = (values.next(), values.next()) else { return };
    let others = headers.get_all(header::COOKIE).iter().skip(1);
    let joined = others.fold(first.as_bytes().to_vec(), |joined, next| {
        [&joined, b"; ".as_slice(), next.as_bytes()].concat()
    });
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(header::COOKIE, joined);
    }
}

/// Drops headers, and what the connection names as its own.
fn drop_from(headers: &mut HeaderMap, is_dropped: impl Fn(&HeaderName) -> bool) {
    let mut named = Vec::new();
    // There are few, so that looking again from the beginning costs less than a list of them.
    while let Some(name) = headers.keys().find(|name| is_dropped(name)).cloned() {
        if name == header::CONNECTION {
            named.extend(named_by_connection(headers));
        }
        headers.remove(name);
    }
    for name in named {
        headers.remove(name);
    }
}

/// Returns what a connection names as its own; what is no name is on no header.
fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter();
    // Usually it is one of these: no header, or one that is dropped in any case.
    let values = values.filter(|value| !matches!(value.as_bytes(), b"keep-alive" | b"close"));
    let names =
        values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim);
    let names =
        names.filter(|name| !name.eq_ignore_ascii_case("keep-alive") && !name.eq_ignore_ascii_case("close"));
    names.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
}

/// Adds to a list that proxies before us have begun.
fn extend(headers: &mut HeaderMap, name: HeaderName, value: &HeaderValue) {
    let before = headers.get_all(&name).iter().filter(|value| value.to_str().is_ok());
    let whole: Vec<_> = before.chain([value]).map(HeaderValue::as_bytes).collect();
    let whole = HeaderValue::from_bytes(&whole.join(&b", "[..]));
    headers.insert(name, whole.unwrap_or_else(|_| value.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way() -> Way<'static> {
        static CLIENT: HeaderValue = HeaderValue::from_static("10.0.0.1");
        static AUTHORITY: HeaderValue = HeaderValue::from_static("gateway:7554");
        static IGNORED: [HeaderName; 2] =
            [HeaderName::from_static("x-unwanted"), HeaderName::from_static("other")];
        Way {
            prefix: HeaderValue::from_static("/a/api/v1"),
            client: &CLIENT,
            authority: Some(&AUTHORITY),
            is_tls: true,
            port: 7554,
            ignored: &IGNORED,
            is_upgrade: false,
        }
    }

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn sent_on(sent: &HeaderMap, way: &Way<'_>) -> HeaderMap {
        let mut headers = sent.clone();
        to_service(&mut headers, Seen::of(sent), way);
        headers
    }

    #[test]
    fn service_gets_what_is_meant_for_it_and_the_way_it_came() {
        let sent = map(&[
            ("host", "gateway:7554"),
            ("cookie", "a=b"),
            ("authorization", "Basic x"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-csrf-zosmf-header", "true"),
        ]);
        let got = sent_on(&sent, &way());
        assert!(!got.contains_key("host"));
        assert_eq!(got["x-forwarded-for"], "192.0.2.1, 10.0.0.1");
        assert_eq!(got["x-forwarded-prefix"], "/a/api/v1");
        assert_eq!(
            (&got["x-forwarded-host"], &got["x-forwarded-proto"]),
            (&"gateway:7554".parse().unwrap(), &"https".parse().unwrap())
        );
        assert!(
            got.contains_key("cookie")
                && got.contains_key("authorization")
                && got.contains_key("x-csrf-zosmf-header")
        );
    }

    #[test]
    fn request_that_came_through_too_many_proxies_has_gone_round() {
        let through = |count: usize| {
            let mut headers = HeaderMap::new();
            let list = vec!["10.0.0.1"; count - 1].join(", ");
            headers.append(FORWARDED_FOR, list.try_into().unwrap());
            headers.append(FORWARDED_FOR, HeaderValue::from_static("10.0.0.2"));
            has_gone_round(&headers, Seen::of(&headers))
        };
        assert!(!has_gone_round(&HeaderMap::new(), Seen::default()));
        assert!(!through(PROXIES_MAX) && through(PROXIES_MAX + 1));
    }

    #[test]
    fn what_a_client_says_in_the_place_of_the_gateway_is_dropped() {
        let sent = map(&[
            ("x-certificate-distinguishedname", "CN=admin"),
            ("x-certificate-public", "x"),
            ("client-cert", "x"),
            ("forwarded", "for=127.0.0.1;host=evil"),
            ("x-forwarded-prefix", "/evil"),
            ("http2-settings", "x"),
            ("x-unwanted", "x"),
            ("other", "x"),
            ("origin", "https://elsewhere"),
            ("connection", "close, X-Of-This"),
            ("x-of-this", "x"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("keep-alive", "timeout=5"),
        ]);
        let got = sent_on(&sent, &way());
        let names: Vec<_> =
            got.keys().map(HeaderName::as_str).filter(|name| !name.starts_with("x-forwarded")).collect();
        assert_eq!(names, [""; 0]);
        assert_eq!(got["x-forwarded-prefix"], "/a/api/v1");
    }

    #[test]
    fn answer_loses_what_is_of_its_connection_and_gains_what_browsers_keep_to() {
        let mut headers = map(&[
            ("connection", "x-of-this"),
            ("x-of-this", "x"),
            ("x-frame-options", "DENY"),
            ("set-cookie", "a=b"),
        ]);
        to_client(&mut headers, true, false);
        assert!(!headers.contains_key("connection") && !headers.contains_key("x-of-this"));
        assert_eq!(headers["x-frame-options"], "DENY", "the service knows better");
        assert!(headers.contains_key("strict-transport-security") && headers.contains_key("set-cookie"));
    }

    #[test]
    fn upgrade_keeps_its_two_headers() {
        let sent = map(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "x"),
        ]);
        let is_upgrade = |method: &Method, sent: &HeaderMap| is_upgrade(method, sent, Seen::of(sent));
        assert!(is_upgrade(&Method::GET, &sent) && !is_upgrade(&Method::POST, &sent));
        let got = sent_on(&sent, &Way { is_upgrade: true, ..way() });
        assert_eq!(
            (&got["connection"], &got["upgrade"]),
            (&"upgrade".parse().unwrap(), &"websocket".parse().unwrap())
        );
        assert!(!is_upgrade(&Method::GET, &map(&[("upgrade", "websocket")])));
        for other in ["h2c", "websocket, h2c", "TLS/1.0"] {
            let mut sent = map(&[("connection", "upgrade, http2-settings")]);
            sent.insert("upgrade", other.parse().unwrap());
            assert!(!is_upgrade(&Method::GET, &sent), "{other}");
        }
    }

    #[test]
    fn cookies_that_came_one_by_one_are_one_list() {
        let got = sent_on(&map(&[("cookie", "a=b"), ("cookie", "c=d")]), &way());
        assert_eq!(got.get_all("cookie").iter().collect::<Vec<_>>(), ["a=b; c=d"]);
    }
}
