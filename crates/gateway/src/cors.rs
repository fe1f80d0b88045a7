//! Requests that pages of other origins make: refused unless the service allows them. Source: the reference's 3.9.

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};

/// What a service says about other origins; by itself none may ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    pub(crate) is_enabled: bool,
    /// With commas between them; nothing for all.
    pub(crate) origins: Option<String>,
}

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It comes from no page, or from one of ours.
    Pass,
    /// The page may not.
    Refuse,
    /// A browser asks whether the page may: answer with these headers.
    Answer(StatusCode, HeaderMap),
    /// The page may; the answer gets these headers.
    Allow(HeaderMap),
}

/// Decides about a request; `own` is the origin by which the client knows us.
pub(crate) fn decide(method: &Method, headers: &HeaderMap, own: Option<&str>, policy: &Policy) -> Decision {
    let Some(origin) = headers.get(header::ORIGIN) else { return Decision::Pass };
    let Ok(text) = origin.to_str() else { return Decision::Refuse };
    if own.is_some_and(|own| own.eq_ignore_ascii_case(text)) {
        return Decision::Pass;
    }
    let is_listed =
        |list: &str| list.split(',').any(|one| one.trim() == "*" || one.trim().eq_ignore_ascii_case(text));
    if !policy.is_enabled || !policy.origins.as_deref().is_none_or(is_listed) {
        return Decision::Refuse;
    }
    let mut allowed = HeaderMap::new();
    allowed.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    allowed.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    allowed.insert(header::VARY, HeaderValue::from_static("Origin"));
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    if *method != Method::OPTIONS || wanted.is_none() {
        return Decision::Allow(allowed);
    }
    let methods = HeaderValue::from_static("GET,HEAD,POST,DELETE,PUT,PATCH,OPTIONS");
    allowed.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    allowed.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("1800"));
    if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        allowed.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    Decision::Answer(StatusCode::OK, allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(method: &str, origin: &str, is_enabled: bool, origins: Option<&str>) -> Decision {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, origin.parse().unwrap());
        headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT"));
        headers.insert(header::ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("x-a"));
        let method = method.parse().unwrap();
        let policy = Policy { is_enabled, origins: origins.map(str::to_owned) };
        decide(&method, &headers, Some("https://gateway:7554"), &policy)
    }

    #[test]
    fn page_of_another_origin_needs_the_consent_of_the_service() {
        assert_eq!(decided("POST", "https://gateway:7554", false, None), Decision::Pass);
        assert_eq!(decided("POST", "https://elsewhere", false, None), Decision::Refuse);
        assert_eq!(
            decided("POST", "https://elsewhere", true, Some("https://a, https://b")),
            Decision::Refuse
        );
        assert!(matches!(
            decided("POST", "https://b", true, Some("https://a, https://b")),
            Decision::Allow(_)
        ));
        assert!(matches!(decided("GET", "null", true, None), Decision::Allow(_)));
        let none = HeaderMap::new();
        assert_eq!(decide(&Method::POST, &none, None, &Policy::default()), Decision::Pass);
    }

    #[test]
    fn browser_that_asks_first_is_answered_without_the_service() {
        let Decision::Answer(status, headers) = decided("OPTIONS", "https://a", true, None) else { panic!() };
        assert_eq!(
            (status, &headers["access-control-allow-origin"]),
            (StatusCode::OK, &"https://a".parse().unwrap())
        );
        assert_eq!(headers["access-control-allow-headers"], "x-a");
    }
}
