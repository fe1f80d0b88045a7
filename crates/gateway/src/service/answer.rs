//! Answers that no service gave, with the numbers and keys that clients of the reference know.

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use tender_http::{Message, ResponseBody};

use crate::forward::Failed;
use crate::table::Found;
use crate::target::BadPath;
use crate::upstream::Unanswered;

pub(crate) fn json(value: &serde_json::Value) -> Response<ResponseBody> {
    let mut answer = Response::new(ResponseBody::from(value.to_string().into_bytes()));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

pub(super) fn of_headers(status: StatusCode, headers: HeaderMap) -> Response<ResponseBody> {
    let mut answer = Response::new(ResponseBody::Empty);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

pub(super) fn redirect(to: &str) -> Response<ResponseBody> {
    let mut headers = HeaderMap::new();
    if let Ok(to) = HeaderValue::from_str(to) {
        headers.insert(header::LOCATION, to);
    }
    of_headers(StatusCode::FOUND, headers)
}

pub(super) fn bad_path(why: BadPath) -> Response<ResponseBody> {
    Message::bad_request(format!("The path of the request goes nowhere: {why}"))
        .answer(StatusCode::BAD_REQUEST)
}

pub(super) fn encoded_slash() -> Response<ResponseBody> {
    let text = "The path of the request holds an encoded slash, which this gateway does not take";
    error("ZWEAG702E", "org.zowe.apiml.gateway.requestContainEncodedSlash", text, StatusCode::BAD_REQUEST)
}

pub(super) fn encoded_character(service: &str) -> Response<ResponseBody> {
    let text = format!("The service `{}` takes no encoded characters in paths", escaped(service));
    error("ZWEAG701E", "org.zowe.apiml.gateway.requestContainEncodedCharacter", text, StatusCode::BAD_REQUEST)
}

pub(super) fn foreign_origin() -> Response<ResponseBody> {
    let mut answer = Response::new(ResponseBody::from("Invalid CORS request"));
    *answer.status_mut() = StatusCode::FORBIDDEN;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

pub(super) fn unknown(path: &str) -> Response<ResponseBody> {
    let text = format!("No service is registered for the path `{}`", escaped(path));
    error("ZWEAM104E", "org.zowe.apiml.common.endPointNotFound", text, StatusCode::NOT_FOUND)
}

pub(super) fn no_instance(service: &str) -> Response<ResponseBody> {
    let text = format!("No instance of the service `{}` is up", escaped(service));
    error("ZWEAG710E", "org.zowe.apiml.gateway.serviceUnavailable", text, StatusCode::SERVICE_UNAVAILABLE)
}

pub(super) fn gone_round(service: &str) -> Response<ResponseBody> {
    let text = format!(
        "The request came through too many proxies: the service `{}` leads back here",
        escaped(service)
    );
    error("ZWEAG712E", "org.zowe.apiml.gateway.loopDetected", text, StatusCode::LOOP_DETECTED)
}

pub(super) fn unknown_instance(id: &str) -> Response<ResponseBody> {
    let text = format!("The instance `{}` of the header X-InstanceId is not up", escaped(id));
    error("ZWEAG711E", "org.zowe.apiml.gateway.instanceNotFound", text, StatusCode::NOT_FOUND)
}

pub(super) fn no_certificate() -> Response<ResponseBody> {
    let text = "This needs a client certificate that the gateway trusts";
    error("ZWEAG105E", "org.zowe.apiml.security.authRequired", text, StatusCode::UNAUTHORIZED)
}

/// Says that no instance answered. What is wrong inside is for the log, not for the client.
pub(super) fn failed(service: &str, failed: &Failed) -> Response<ResponseBody> {
    let service = escaped(service);
    match &failed.why {
        Unanswered::Unreachable(_) | Unanswered::Address(_) => {
            let text = format!("No instance of the service `{service}` can be reached; nothing was sent");
            error(
                "ZWEAO503E",
                "org.zowe.apiml.common.serviceUnavailable",
                text,
                StatusCode::SERVICE_UNAVAILABLE,
            )
        }
        Unanswered::Tls(_) => {
            let text = format!("No trusted connection can be made to the service `{service}`");
            error("ZWEAM511E", "org.zowe.apiml.common.tlsError", text, StatusCode::BAD_GATEWAY)
        }
        Unanswered::Body(fault) => {
            let is_large = matches!(fault, tender_http::BodyFault::TooLarge { .. });
            let status = if is_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
            Message::bad_request(format!("The body of the request was not taken: {fault}")).answer(status)
        }
        Unanswered::Broken(_) => {
            let text = format!(
                "The connection to the service `{service}` broke; the request may have been done and was not sent again"
            );
            error(
                "ZWEAG707E",
                "org.zowe.apiml.gateway.requestAborted",
                text,
                StatusCode::INTERNAL_SERVER_ERROR,
            )
        }
        Unanswered::Late(after) => {
            let text =
                format!("The service `{service}` gave no answer within {} seconds", after.as_secs_f32());
            error("ZWEAM700E", "org.zowe.apiml.common.serviceTimeout", text, StatusCode::GATEWAY_TIMEOUT)
        }
    }
}

/// Makes an address of the gateway of one that a service redirects to, if it is one of the service's own.
pub(super) fn location(location: &str, found: &Found<'_, '_>, own: &str) -> Option<HeaderValue> {
    let (scheme, rest) = location.split_once("://")?;
    let usual = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_of = |end: &&crate::table::End| {
        let instance = &end.instance;
        authority.eq_ignore_ascii_case(&format!("{}:{}", instance.host, instance.port))
            || (instance.port == usual && authority.eq_ignore_ascii_case(&instance.host))
    };
    let routes = &found.service.routes;
    let matches = routes.iter().flat_map(|route| {
        let of_instance = route.ends.iter().filter(is_of);
        of_instance.filter_map(move |end| {
            let rest = path.strip_prefix(&*end.path)?;
            (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some((route, end.path.len(), rest))
        })
    });
    // The longest path is the most exact one.
    let (route, _, rest) = matches.max_by_key(|(_, length, _)| *length)?;
    HeaderValue::from_str(&format!("{own}/{}/{}{rest}", found.id, route.gateway)).ok()
}

fn error(
    number: &'static str,
    key: &'static str,
    text: impl Into<String>,
    status: StatusCode,
) -> Response<ResponseBody> {
    Message::error(number, key, text).answer(status)
}

/// Writes what a client said so that no page takes it for its own text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
