//! From method and path to what is asked for.

use percent_encoding::percent_decode_str;
use tender_http::hyper::Method;

/// Where everything lies.
const BASE: &str = "/cachingservice";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Entries(EntryCall),
    /// Anything about `cache-list`.
    Lists,
    Health,
    Info,
    OpenApi,
}

/// What is asked for about entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EntryCall {
    List,
    Get(String),
    Create,
    /// With the key of the path, when it has one.
    Update(Option<String>),
    Delete(String),
    DeleteAll,
}

/// Why nothing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unroutable {
    NoEndpoint,
    NoMethod { allowed: &'static str },
    BadKey,
}

/// Understands a request; a slash at the end does not matter.
pub(super) fn route(method: &Method, path: &str) -> Result<Call, Unroutable> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let rest = path.strip_prefix(BASE).ok_or(Unroutable::NoEndpoint)?;
    match rest {
        "/application/health" => return only_get(method, Call::Health),
        "/application/info" => return only_get(method, Call::Info),
        "/v3/api-docs" => return only_get(method, Call::OpenApi),
        _ => {}
    }
    let rest = rest.strip_prefix("/api/v1").ok_or(Unroutable::NoEndpoint)?;
    if rest == "/cache-list" || rest.starts_with("/cache-list/") {
        return Ok(Call::Lists);
    }
    if rest == "/cache" {
        return of_all(method).map(Call::Entries);
    }
    let key = rest.strip_prefix("/cache/").ok_or(Unroutable::NoEndpoint)?;
    let key = percent_decode_str(key).decode_utf8().map_err(|_| Unroutable::BadKey)?.into_owned();
    of_one(method, key).map(Call::Entries)
}

fn only_get(method: &Method, call: Call) -> Result<Call, Unroutable> {
    if matches!(*method, Method::GET | Method::HEAD) {
        Ok(call)
    } else {
        Err(Unroutable::NoMethod { allowed: "GET, HEAD" })
    }
}

fn of_all(method: &Method) -> Result<EntryCall, Unroutable> {
    match *method {
        Method::GET | Method::HEAD => Ok(EntryCall::List),
        Method::POST => Ok(EntryCall::Create),
        Method::PUT => Ok(EntryCall::Update(None)),
        Method::DELETE => Ok(EntryCall::DeleteAll),
        _ => Err(Unroutable::NoMethod { allowed: "GET, HEAD, POST, PUT, DELETE" }),
    }
}

fn of_one(method: &Method, key: String) -> Result<EntryCall, Unroutable> {
    match *method {
        Method::GET | Method::HEAD => Ok(EntryCall::Get(key)),
        // The published description has it so, the reference's code does not.
        Method::PUT => Ok(EntryCall::Update(Some(key))),
        Method::DELETE => Ok(EntryCall::Delete(key)),
        _ => Err(Unroutable::NoMethod { allowed: "GET, HEAD, PUT, DELETE" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(method: &str, path: &str) -> Result<Call, Unroutable> {
        route(&method.parse().unwrap(), path)
    }

    #[test]
    fn paths_of_the_reference_are_understood() {
        let entries = |call| Ok(Call::Entries(call));
        let key = || "a/b c".to_owned();
        for (method, path, expected) in [
            ("GET", "/cachingservice/api/v1/cache", entries(EntryCall::List)),
            ("GET", "/cachingservice/api/v1/cache/", entries(EntryCall::List)),
            ("POST", "/cachingservice/api/v1/cache", entries(EntryCall::Create)),
            ("PUT", "/cachingservice/api/v1/cache", entries(EntryCall::Update(None))),
            ("PUT", "/cachingservice/api/v1/cache/a%2Fb%20c", entries(EntryCall::Update(Some(key())))),
            ("DELETE", "/cachingservice/api/v1/cache", entries(EntryCall::DeleteAll)),
            ("GET", "/cachingservice/api/v1/cache/a%2fb%20c", entries(EntryCall::Get(key()))),
            ("DELETE", "/cachingservice/api/v1/cache/a%2Fb%20c", entries(EntryCall::Delete(key()))),
            ("POST", "/cachingservice/api/v1/cache-list/map", Ok(Call::Lists)),
            ("GET", "/cachingservice/application/health", Ok(Call::Health)),
            ("GET", "/cachingservice/v3/api-docs", Ok(Call::OpenApi)),
        ] {
            assert_eq!(routed(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn paths_and_methods_of_nobody_are_told_apart() {
        assert_eq!(routed("GET", "/"), Err(Unroutable::NoEndpoint));
        assert_eq!(routed("GET", "/cachingservice/api/v2/cache"), Err(Unroutable::NoEndpoint));
        assert_eq!(routed("GET", "/cachingservice/api/v1/cached"), Err(Unroutable::NoEndpoint));
        assert_eq!(routed("GET", "/cachingservice/api/v1/cache/%ff"), Err(Unroutable::BadKey));
        assert!(matches!(routed("PATCH", "/cachingservice/api/v1/cache"), Err(Unroutable::NoMethod { .. })));
        assert!(matches!(routed("POST", "/cachingservice/api/v1/cache/a"), Err(Unroutable::NoMethod { .. })));
        assert!(matches!(
            routed("POST", "/cachingservice/application/info"),
            Err(Unroutable::NoMethod { .. })
        ));
    }
}
