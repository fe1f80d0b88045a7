//! Errors as clients of the mediation layer read them: JSON with numbers and keys.
//!
//! Clients look for the number or the key, also by searching the text for `messageKey":"…`: the JSON has no blanks.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::body::ResponseBody;

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MessageType {
    /// Nothing is wrong.
    Info,
    /// Something may be wrong.
    Warning,
    /// It was not done.
    Error,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// How much it matters.
    pub message_type: MessageType,
    /// The whole number, such as `ZWEAM104E`.
    pub message_number: &'static str,
    /// A sentence.
    pub message_content: String,
    /// The whole key, such as `org.zowe.apiml.common.endPointNotFound`.
    pub message_key: &'static str,
}

/// What is sent: `{"messages":[…]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Messages {
    /// At least one.
    pub messages: Vec<Message>,
}

impl Message {
    /// Makes an error.
    #[must_use]
    pub fn error(number: &'static str, key: &'static str, content: impl Into<String>) -> Self {
        Self {
            message_type: MessageType::Error,
            message_number: number,
            message_content: content.into(),
            message_key: key,
        }
    }

    /// There is nothing at this path.
    #[must_use]
    pub fn no_endpoint(path: &str) -> Self {
        let content = format!("The service has no endpoint at `{path}`");
        Self::error("ZWEAM104E", "org.zowe.apiml.common.endPointNotFound", content)
    }

    /// The request is not understood.
    #[must_use]
    pub fn bad_request(content: impl Into<String>) -> Self {
        Self::error("ZWEAO400E", "org.zowe.apiml.common.badRequest", content)
    }

    /// What was asked for is not there.
    #[must_use]
    pub fn not_found(content: impl Into<String>) -> Self {
        Self::error("ZWEAO404E", "org.zowe.apiml.common.notFound", content)
    }

    /// The path does not take this method.
    #[must_use]
    pub fn method_not_allowed(method: &str, path: &str) -> Self {
        let content = format!("`{path}` does not take {method}");
        Self::error("ZWEAO405E", "org.zowe.apiml.common.methodNotAllowed", content)
    }

    /// Whoever asks may not.
    #[must_use]
    pub fn forbidden(content: impl Into<String>) -> Self {
        Self::error("ZWEAT403E", "org.zowe.apiml.security.forbidden", content)
    }

    /// Something is wrong on this side.
    #[must_use]
    pub fn internal(content: impl Into<String>) -> Self {
        Self::error("ZWEAO500E", "org.zowe.apiml.common.internalServerError", content)
    }

    /// It cannot be done now.
    #[must_use]
    pub fn unavailable(content: impl Into<String>) -> Self {
        Self::error("ZWEAO503E", "org.zowe.apiml.common.serviceUnavailable", content)
    }

    /// Makes an answer of it.
    #[must_use]
    pub fn answer(self, status: StatusCode) -> Response<ResponseBody> {
        Messages { messages: vec![self] }.answer(status)
    }
}

impl Messages {
    /// Makes an answer of them.
    #[must_use]
    pub fn answer(&self, status: StatusCode) -> Response<ResponseBody> {
        let body = serde_json::to_vec(self).expect("messages are texts");
        let mut response = Response::new(ResponseBody::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Writes an error with everything that led to it, on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_written_compact_with_the_four_fields_that_clients_know() {
        let messages = Messages { messages: vec![Message::no_endpoint("/x")] };
        assert_eq!(
            serde_json::to_string(&messages).unwrap(),
            "{\"messages\":[{\"messageType\":\"ERROR\",\"messageNumber\":\"ZWEAM104E\",\"messageContent\":\"The service has \
             no endpoint at `/x`\",\"messageKey\":\"org.zowe.apiml.common.endPointNotFound\"}]}"
        );
    }
}
