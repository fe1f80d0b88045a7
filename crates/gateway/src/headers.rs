//! Headers on their way to a service and back.
//!
//! What a client says about certificates is never passed on: only the gateway has seen one. What belongs to one connection
//! stays on it. Source: the reference's 3.2 to 3.4.

use std::net::IpAddr;

use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

/// What belongs to one connection.
const OF_A_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
const OF_A_CONNECTION_TOO: [&str; 3] = ["keep-alive", "proxy-connection", "http2-settings"];

/// What only the gateway itself says to a service.
const OF_THE_GATEWAY: [&str; 7] = [
    "forwarded",
    "x-forwarded-prefix",
    "x-certificate-public",
    "x-certificate-distinguishedname",
    "x-certificate-commonname",
    "client-cert",
    "x-zowe-auth-failure",
];

/// What is not for services: dates of the client, and what concerns origins, which the gateway decides about.
const NOT_FOR_SERVICES: [&str; 5] =
    ["date", "expires", "origin", "access-control-request-method", "access-control-request-headers"];

/// What is told of the way that a request came.
#[derive(Debug)]
pub(crate) struct Way<'a> {
    /// The part of the path that stood for the route.
    pub(crate) prefix: &'a str,
    pub(crate) client: IpAddr,
    /// Host and port as the client knows us.
    pub(crate) authority: Option<&'a str>,
    pub(crate) is_tls: bool,
    pub(crate) port: u16,
    /// Names of headers that the service does not want, with commas between them.
    pub(crate) ignored: &'a str,
    /// The connection is to become one of another protocol.
    pub(crate) is_upgrade: bool,
}

/// Makes the headers that a service gets.
pub(crate) fn to_service(headers: &HeaderMap, way: &Way<'_>) -> HeaderMap {
    let of_this_connection = named_by_connection(headers);
    let ignored: Vec<_> = way.ignored.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    let mut kept = HeaderMap::with_capacity(headers.len() + 6);
    for (name, value) in headers {
        let is_dropped = is_of_a_connection(name)
            || *name == header::HOST
            || *name == header::COOKIE
            || OF_THE_GATEWAY.contains(&name.as_str())
            || NOT_FOR_SERVICES.contains(&name.as_str())
            || of_this_connection.iter().any(|other| other.eq_ignore_ascii_case(name.as_str()))
            || ignored.iter().any(|other| other == name.as_str());
        if !is_dropped {
            kept.append(name, value.clone());
        }
    }
    if let Some(cookies) = cookies(headers) {
        kept.insert(header::COOKIE, cookies);
    }
    if way.is_upgrade {
        kept.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        kept.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    extend(&mut kept, "x-forwarded-for", &way.client.to_string());
    set(&mut kept, "x-forwarded-prefix", way.prefix);
    if let Some(authority) = way.authority {
        set(&mut kept, "x-forwarded-host", authority);
    }
    set(&mut kept, "x-forwarded-proto", if way.is_tls { "https" } else { "http" });
    set(&mut kept, "x-forwarded-port", &way.port.to_string());
    kept
}

/// Takes from the headers of an answer what is not for the client, and adds what browsers are to keep to.
pub(crate) fn to_client(headers: &mut HeaderMap, is_tls: bool, is_upgrade: bool) {
    if !is_upgrade {
        for name in named_by_connection(headers) {
            headers.remove(name);
        }
        OF_A_CONNECTION.iter().for_each(|name| {
            headers.remove(name);
        });
        OF_A_CONNECTION_TOO.iter().for_each(|name| {
            headers.remove(*name);
        });
    }
    let usual = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
    ];
    let secure = is_tls.then_some(("strict-transport-security", "max-age=31536000; includeSubDomains"));
    for (name, value) in usual.into_iter().chain(secure) {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Says whether a request asks for a `WebSocket`.
///
/// No other protocol is passed on: in a tunnel of another HTTP a client could ask for what it likes, in the gateway's name.
pub(crate) fn is_upgrade(method: &Method, headers: &HeaderMap) -> bool {
    let mut wanted = headers.get_all(header::UPGRADE).iter();
    let is_websocket = wanted.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    *method == Method::GET
        && is_websocket
        && wanted.next().is_none()
        && named_by_connection(headers).iter().any(|name| name.eq_ignore_ascii_case("upgrade"))
}

/// Joins cookies, which HTTP/2 may bring one by one; HTTP/1.1 knows one list only.
fn cookies(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(header::COOKIE).iter();
    let first = values.next()?;
    let joined = values.fold(first.as_bytes().to_vec(), |joined, next| {
        [&joined, b"; ".as_slice(), next.as_bytes()].concat()
    });
    HeaderValue::from_bytes(&joined).ok()
}

fn is_of_a_connection(name: &HeaderName) -> bool {
    OF_A_CONNECTION.contains(name) || OF_A_CONNECTION_TOO.contains(&name.as_str())
}

fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(','));
    names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Adds to a list that proxies before us may have begun.
fn extend(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let before: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    let whole = if before.is_empty() { value.to_owned() } else { format!("{}, {value}", before.join(", ")) };
    set(headers, name, &whole);
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way() -> Way<'static> {
        Way {
            prefix: "/a/api/v1",
            client: IpAddr::from([10, 0, 0, 1]),
            authority: Some("gateway:7554"),
            is_tls: true,
            port: 7554,
            ignored: "X-Unwanted, other",
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

    #[test]
    fn service_gets_what_is_meant_for_it_and_the_way_it_came() {
        let sent = map(&[
            ("host", "gateway:7554"),
            ("cookie", "a=b"),
            ("authorization", "Basic x"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-csrf-zosmf-header", "true"),
        ]);
        let got = to_service(&sent, &way());
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
        assert!(!got.contains_key("host"));
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
        let got = to_service(&sent, &way());
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
        assert!(is_upgrade(&Method::GET, &sent) && !is_upgrade(&Method::POST, &sent));
        let got = to_service(&sent, &Way { is_upgrade: true, ..way() });
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
        let got = to_service(&map(&[("cookie", "a=b"), ("cookie", "c=d")]), &way());
        assert_eq!(got.get_all("cookie").iter().collect::<Vec<_>>(), ["a=b; c=d"]);
    }
}
