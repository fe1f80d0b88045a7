//! Bodies of announcements to instances.

use std::io::Read as _;

use flate2::read::GzDecoder;
use tender_http::hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use tender_http::hyper::{HeaderMap, StatusCode};
use tender_http::{BodyFault, Bytes, RequestBody};

use super::answer::{self, Answer};
use crate::discovery::snapshot::Form;
use crate::discovery::{Instance, ReadError, json, xml};

/// An announcement with more bytes is refused.
const BYTES_MAX: u64 = 256 << 10;
/// Ids and names longer than this are refused: they are keys, and stand in every line about the instance.
const NAME_MAX: usize = 1024;

/// Why an announcement is not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    Body(BodyFault),
    Encoding(String),
    ContentType(String),
    Read(ReadError),
    OtherApp { path: String, body: String },
    LongName(&'static str),
    NotAscii { field: &'static str, found: String },
}

impl Refusal {
    pub(super) fn answer(&self) -> Answer {
        let (status, reason) = self.status_and_reason();
        answer::refused(status, &reason)
    }

    /// Says why.
    pub(super) fn reason(&self) -> String {
        self.status_and_reason().1
    }

    fn status_and_reason(&self) -> (StatusCode, String) {
        match self {
            Self::Body(fault @ BodyFault::TooLarge { .. }) => {
                (StatusCode::PAYLOAD_TOO_LARGE, fault.to_string())
            }
            Self::Body(fault @ BodyFault::TooSlow { .. }) => (StatusCode::REQUEST_TIMEOUT, fault.to_string()),
            Self::Body(fault) => (StatusCode::BAD_REQUEST, fault.to_string()),
            Self::Encoding(encoding) => {
                let reason = format!("the body is encoded as `{encoding}`; gzip and identity are taken");
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, reason)
            }
            Self::ContentType(found) => {
                let reason = format!("the body is `{found}`; application/json and application/xml are taken");
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, reason)
            }
            Self::Read(error) => (StatusCode::BAD_REQUEST, error.to_string()),
            Self::OtherApp { path, body } => {
                (StatusCode::BAD_REQUEST, format!("the path is of `{path}`, the body of `{body}`"))
            }
            Self::LongName(field) => {
                (StatusCode::BAD_REQUEST, format!("`{field}` of the instance has more than {NAME_MAX} bytes"))
            }
            Self::NotAscii { field, found } => {
                let reason = format!(
                    "`{field}` of the instance is `{found}`; names of services and instances are ASCII"
                );
                (StatusCode::BAD_REQUEST, reason)
            }
        }
    }
}

/// Reads the body of an announcement for `app`.
pub(super) async fn read(
    app: &str,
    headers: &HeaderMap,
    body: RequestBody,
    now_ms: u64,
) -> Result<Instance, Refusal> {
    let bytes = body.with_limit(BYTES_MAX).read().await.map_err(Refusal::Body)?;
    let bytes = unpacked(headers, bytes)?;
    let instance = match form_of(headers, &bytes)? {
        Form::Json => json::read_instance(&bytes, now_ms),
        Form::Xml => xml::read_instance(&bytes, now_ms),
    };
    let instance = instance.map_err(Refusal::Read)?;
    let instance = checked(instance)?;
    if !instance.app.eq_ignore_ascii_case(app) {
        return Err(Refusal::OtherApp { path: app.to_owned(), body: instance.app });
    }
    Ok(instance)
}

/// Refuses names that cannot stand in keys and lines.
pub(super) fn checked(instance: Instance) -> Result<Instance, Refusal> {
    for (field, text) in [("instanceId", &instance.id), ("app", &instance.app), ("hostName", &instance.host)]
    {
        if text.len() > NAME_MAX {
            return Err(Refusal::LongName(field));
        }
        if text.chars().any(char::is_control) {
            let (found, wanted) = (text.escape_debug().to_string(), "a text without control characters");
            return Err(Refusal::Read(ReadError::Value { field, found, wanted }));
        }
    }
    for (field, text) in [("app", &instance.app), ("instanceId", &instance.id)] {
        if !text.is_ascii() {
            return Err(Refusal::NotAscii { field, found: text.clone() });
        }
    }
    Ok(instance)
}

fn unpacked(headers: &HeaderMap, bytes: Bytes) -> Result<Bytes, Refusal> {
    let encoding = headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()));
    match encoding.as_deref().map(str::trim) {
        None | Some("identity" | "") => Ok(bytes),
        Some("gzip" | "x-gzip") => {
            let mut plain = Vec::new();
            let read = GzDecoder::new(&bytes[..]).take(BYTES_MAX + 1).read_to_end(&mut plain);
            let broken = |error: std::io::Error| ReadError::Form { form: "gzip", reason: error.to_string() };
            read.map_err(|error| Refusal::Read(broken(error)))?;
            if plain.len() as u64 > BYTES_MAX {
                return Err(Refusal::Body(BodyFault::TooLarge { limit: BYTES_MAX }));
            }
            Ok(Bytes::from(plain))
        }
        Some(other) => Err(Refusal::Encoding(other.to_owned())),
    }
}

/// Decides by the content type, and by the first character when there is none.
fn form_of(headers: &HeaderMap, bytes: &[u8]) -> Result<Form, Refusal> {
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        return Ok(if first == Some(&b'<') { Form::Xml } else { Form::Json });
    };
    let content_type = String::from_utf8_lossy(content_type.as_bytes()).to_ascii_lowercase();
    if content_type.contains("json") {
        Ok(Form::Json)
    } else if content_type.contains("xml") {
        Ok(Form::Xml)
    } else {
        Err(Refusal::ContentType(content_type))
    }
}
