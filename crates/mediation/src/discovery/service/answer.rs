//! Answers.

use tender_http::hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue, VARY, WWW_AUTHENTICATE,
};
use tender_http::hyper::{Response, StatusCode};
use tender_http::{Bytes, Message, ResponseBody};

use super::guard::Denied;
use super::route::Unroutable;

/// What the service answers with.
pub(super) type Answer = Response<ResponseBody>;

/// Below this many bytes nothing is compressed.
pub(super) const COMPRESSED_FROM: usize = 512;

/// A status and nothing else.
pub(super) fn bare(status: StatusCode) -> Answer {
    let mut answer = Response::new(ResponseBody::Empty);
    *answer.status_mut() = status;
    answer
}

/// A body of a content type.
pub(super) fn body(content_type: &'static str, body: impl Into<ResponseBody>) -> Answer {
    let mut answer = Response::new(body.into());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// A document of JSON.
pub(super) fn json(document: &serde_json::Value) -> Answer {
    body("application/json", document.to_string().into_bytes())
}

/// A body that depends on what the client accepts.
pub(super) fn negotiated(content_type: &'static str, bytes: Bytes, is_gzip: bool) -> Answer {
    let mut answer = body(content_type, bytes);
    let headers = answer.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if is_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// Adds the tag by which a client knows a document again.
pub(super) fn tagged(mut answer: Answer, tag: &str) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(ETAG, HeaderValue::from_str(tag).expect("a tag has letters and digits"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

/// A short text that says why an announcement was not taken.
pub(super) fn refused(status: StatusCode, reason: &str) -> Answer {
    let mut answer = body("text/plain; charset=utf-8", reason.to_owned().into_bytes());
    *answer.status_mut() = status;
    answer
}

/// What cannot be routed.
pub(super) fn unroutable(why: &Unroutable, method: &str, path: &str) -> Answer {
    match why {
        Unroutable::NoEndpoint => Message::no_endpoint(path).answer(StatusCode::NOT_FOUND),
        Unroutable::Malformed => {
            let message = Message::bad_request(format!("`{path}` is no text once it is decoded"));
            message.answer(StatusCode::BAD_REQUEST)
        }
        Unroutable::Method(allowed) => {
            let message = Message::method_not_allowed(method, path);
            let mut answer = message.answer(StatusCode::METHOD_NOT_ALLOWED);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            answer
        }
    }
}

/// Who may not ask.
pub(super) fn denied(why: Denied) -> Answer {
    match why {
        Denied::NoCertificate => Message::forbidden("A client certificate of a trusted authority is needed")
            .answer(StatusCode::FORBIDDEN),
        Denied::ByRule => {
            Message::forbidden("The service belongs to another certificate").answer(StatusCode::FORBIDDEN)
        }
        Denied::NoCredentials => {
            let message = Message::error(
                "ZWEAS105E",
                "org.zowe.apiml.security.authRequired",
                "User and password are needed",
            );
            let mut answer = message.answer(StatusCode::UNAUTHORIZED);
            let realm = HeaderValue::from_static("Basic realm=\"API Mediation Discovery Service realm\"");
            answer.headers_mut().insert(WWW_AUTHENTICATE, realm);
            answer
        }
    }
}
