//! Telling discovery to read static definitions again.

use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tender_http::{Bytes, Message, ResponseBody, chain};

use super::{Catalog, answer};

/// The largest answer of discovery that is handed on, in bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

impl Catalog {
    /// Asks one discovery after the other until one does it.
    pub(super) async fn refresh(&self) -> Response<ResponseBody> {
        let mut reasons = Vec::new();
        for discovery in &self.0.settings.discovery {
            let base = discovery.to_string();
            let base = base.trim_end_matches('/').trim_end_matches("/v2").trim_end_matches("/eureka");
            let uri = format!("{base}/discovery/api/v1/staticApi");
            let Ok(request) = Request::post(&uri).body(Full::new(Bytes::new())) else { continue };
            match self.0.discovery.ask(request, ANSWER_BYTES_MAX).await {
                Ok(told) if told.status.is_success() => {
                    let mut done = answer::empty(told.status);
                    *done.body_mut() = ResponseBody::from(told.body);
                    done.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    return done;
                }
                Ok(told) => reasons.push(format!("{uri} answers {}", told.status)),
                Err(silence) => reasons.push(format!("{uri}: {}", chain(&silence))),
            }
        }
        if reasons.is_empty() {
            reasons.push("no address of discovery is configured".to_owned());
        }
        let text = format!("Static definitions could not be read again: {}", reasons.join("; "));
        Message::error("ZWEAC707E", "org.zowe.apiml.apicatalog.StaticApiRefreshFailed", text)
            .answer(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
