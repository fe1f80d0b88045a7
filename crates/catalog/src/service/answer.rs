//! Answers, with the numbers and keys that clients of the reference know.

use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, VARY,
};
use hyper::{Response, StatusCode};
use tender_http::{Message, ResponseBody};

use super::PREFIX;
use crate::known::Written;
use crate::page::{self, Asset};

const JSON: &str = "application/json";

pub(crate) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut answer = Response::new(ResponseBody::Empty);
    *answer.status_mut() = status;
    answer
}

pub(crate) fn json(value: &serde_json::Value) -> Response<ResponseBody> {
    of_json(ResponseBody::from(value.to_string().into_bytes()))
}

pub(crate) fn json_bytes(bytes: &'static [u8]) -> Response<ResponseBody> {
    of_json(ResponseBody::from(tender_http::Bytes::from_static(bytes)))
}

fn of_json(body: ResponseBody) -> Response<ResponseBody> {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    answer
}

/// Answers with a document as the client takes it.
pub(crate) fn written(asked: &HeaderMap, written: &Written) -> Response<ResponseBody> {
    let takes_gzip = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let takes_gzip = takes_gzip.flat_map(|line| line.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        name.trim().eq_ignore_ascii_case("gzip")
            && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    });
    // Another form of a document has another tag.
    let (tag, body) = if takes_gzip {
        (format!("{}-gzip\"", written.tag.trim_end_matches('"')), written.gzip.clone())
    } else {
        (written.tag.clone(), written.plain.clone())
    };
    let mut answer = page::tagged(asked, &tag, JSON, body);
    answer.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    if takes_gzip && answer.status() == StatusCode::OK {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// Answers with one of some files.
pub(crate) fn file(files: &[Asset], name: &str, asked: &HeaderMap, policy: &str) -> Response<ResponseBody> {
    match files.iter().find(|file| file.name == name) {
        Some(file) => file.answer(asked, policy),
        None => Message::no_endpoint(name).answer(StatusCode::NOT_FOUND),
    }
}

/// Leads to the page: what is linked there is linked from its slash on.
pub(super) fn to_page(asked: &HeaderMap) -> Response<ResponseBody> {
    // It can be said by anybody: only steps of letters, digits and hyphens are believed.
    let prefix = asked.get(PREFIX).and_then(|value| value.to_str().ok()).filter(|prefix| {
        prefix.starts_with('/')
            && !prefix.contains("//")
            && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte))
    });
    let to = format!("{}/", prefix.unwrap_or("/apicatalog").trim_end_matches('/'));
    let mut answer = empty(StatusCode::FOUND);
    answer.headers_mut().insert(LOCATION, HeaderValue::from_str(&to).expect("a path of letters and slashes"));
    answer
}

pub(super) fn info() -> Response<ResponseBody> {
    json(&serde_json::json!({ "build": { "name": "tender-catalog", "version": env!("CARGO_PKG_VERSION") } }))
}

pub(crate) fn foreign() -> Response<ResponseBody> {
    Message::forbidden("A page of another origin may not ask for this").answer(StatusCode::FORBIDDEN)
}

pub(super) fn no_service(id: &str) -> Response<ResponseBody> {
    let text = format!("There is no service `{id}`: none of this id is registered at discovery");
    Message::error("ZWEAC706E", "org.zowe.apiml.apicatalog.serviceNotFound", text)
        .answer(StatusCode::NOT_FOUND)
}
