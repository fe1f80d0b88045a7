//! Answers, with the numbers and keys that clients of the reference know.

use tender_http::hyper::header::{CONTENT_TYPE, HeaderValue};
use tender_http::hyper::{Response, StatusCode};
use tender_http::{BodyFault, Message, ResponseBody};

use super::owner::NoOwner;
use crate::entry::InvalidEntry;
use crate::store::StoreError;

/// Why an entry was not given, written or removed.
#[derive(Debug)]
pub(super) enum Refusal {
    /// What came is no entry.
    Payload(String),
    /// It is too large.
    Large(String),
    /// There is none of this key.
    NotThere(String),
    /// There is one of this key.
    Exists(String),
    /// There is no room.
    Full,
    /// The store does not work.
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<InvalidEntry> for Refusal {
    fn from(why: InvalidEntry) -> Self {
        match why {
            InvalidEntry::LongValue { .. } => Self::Large(why.to_string()),
            _ => Self::Payload(why.to_string()),
        }
    }
}

impl From<BodyFault> for Refusal {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge { .. } => Self::Large(fault.to_string()),
            _ => Self::Payload(fault.to_string()),
        }
    }
}

pub(super) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut answer = Response::new(ResponseBody::Empty);
    *answer.status_mut() = status;
    answer
}

pub(super) fn json(value: &serde_json::Value) -> Response<ResponseBody> {
    json_text(value.to_string())
}

pub(super) fn json_text(text: String) -> Response<ResponseBody> {
    let mut answer = Response::new(ResponseBody::from(text.into_bytes()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

pub(super) fn refused(refusal: Refusal) -> Response<ResponseBody> {
    let error = |number, key, text: String, status| Message::error(number, key, text).answer(status);
    match refusal {
        Refusal::Payload(reason) => bad_payload(&reason),
        Refusal::Large(reason) => {
            let text = format!("The payload is not valid: {reason}");
            error("ZWECS130E", "org.zowe.apiml.cache.invalidPayload", text, StatusCode::PAYLOAD_TOO_LARGE)
        }
        Refusal::NotThere(key) => {
            let text = format!("The key `{key}` is not in the cache of this owner");
            error("ZWECS131E", "org.zowe.apiml.cache.keyNotInCache", text, StatusCode::NOT_FOUND)
        }
        Refusal::Exists(key) => {
            let text = format!("The key `{key}` is in the cache already; PUT replaces its value");
            error("ZWECS133E", "org.zowe.apiml.cache.keyCollision", text, StatusCode::CONFLICT)
        }
        Refusal::Full => {
            let text = "The cache is full; entries must be deleted before others are created".to_owned();
            let key = "org.zowe.apiml.cache.insufficientStorage";
            error("ZWECS134E", key, text, StatusCode::INSUFFICIENT_STORAGE)
        }
        Refusal::Store(_) => {
            // Where it is and what it said is for those who run this service: the log has it.
            let text = "The storage of the cache does not answer; try again".to_owned();
            let key = "org.zowe.apiml.cache.errorQueryingStorage";
            error("ZWECS152E", key, text, StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

pub(super) fn bad_payload(reason: &str) -> Response<ResponseBody> {
    let text = format!("The payload is not valid: {reason}");
    Message::error("ZWECS130E", "org.zowe.apiml.cache.invalidPayload", text).answer(StatusCode::BAD_REQUEST)
}

pub(super) fn no_owner(why: &NoOwner) -> Response<ResponseBody> {
    let text = format!("The request has no owner: {why}");
    Message::error("ZWECS702W", "org.zowe.apiml.cache.missingCertificate", text)
        .answer(StatusCode::UNAUTHORIZED)
}

pub(super) fn no_lists() -> Response<ResponseBody> {
    let text = "Lists are not supported by the storage of this cache";
    let key = "org.zowe.apiml.cache.incompatibleStorageMethod";
    Message::error("ZWECS136E", key, text).answer(StatusCode::BAD_REQUEST)
}
