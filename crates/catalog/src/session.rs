//! Who asks: the gateway is asked, and a good answer is believed for a few seconds.
//!
//! Users log in at the gateway alone: here their words are handed on, and nothing of them is kept but a digest.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use hyper::{Method, Request, Response, StatusCode, Uri};
use serde::Deserialize;
use tender_certificate::tls::TlsError;
use tender_http::Reach;
use tender_http::{Bytes, Message, RequestBody, ResponseBody, chain};

use crate::outward::{Asker, Outward, Told};

/// How long a good answer of the gateway is believed: as long may a token be used here that was logged out elsewhere.
const BELIEVED: Duration = Duration::from_secs(10);
/// Good answers that are remembered.
const REMEMBERED_MAX: usize = 10_000;
/// The largest body of a log-in, and of what the gateway says to it, in bytes.
const BODY_BYTES_MAX: usize = 64 << 10;
const TOKEN: &str = "apimlAuthenticationToken";

type Digest = [u8; SHA256_OUTPUT_LEN];

/// Users as the gateway knows them.
#[derive(Debug)]
pub(crate) struct Sessions {
    asker: Asker,
    /// Tried in this order.
    gateways: Vec<Uri>,
    believed: Mutex<HashMap<Digest, (Instant, String)>>,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    /// He says nothing of himself.
    Nobody,
    /// The gateway does not accept what he says.
    Refused,
    /// The gateway lets nobody log in.
    NobodyLogsIn,
    /// The gateway does not answer.
    NoGateway { reason: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    user_id: String,
}

impl Sessions {
    pub(crate) fn new(outward: &Outward, gateways: Vec<Uri>) -> Result<Self, TlsError> {
        let asker = Asker::new(outward, Reach::Configured)?;
        Ok(Self { asker, gateways, believed: Mutex::default() })
    }

    /// Finds out who asks.
    pub(crate) async fn user(&self, headers: &HeaderMap) -> Result<String, Denied> {
        let given = Given::of(headers).ok_or(Denied::Nobody)?;
        let key = given.digest();
        if let Some(user) = self.remembered(&key) {
            return Ok(user);
        }
        let (method, path, user) = match &given {
            Given::Basic { user, .. } => (Method::POST, "login", Some(user.clone())),
            _ => (Method::GET, "query", None),
        };
        let told = self.ask(&method, path, &given.headers(), Bytes::new()).await?;
        let user = match (told.status, user) {
            (StatusCode::NO_CONTENT, Some(user)) => user,
            (StatusCode::OK, None) => {
                let query: Result<Query, _> = serde_json::from_slice(&told.body);
                query.map_err(|_| Denied::NoGateway { reason: "it names no user".to_owned() })?.user_id
            }
            (status, _) if status.is_server_error() => {
                return Err(Denied::NoGateway { reason: format!("it answers {status}") });
            }
            (status, _) if is_no_endpoint(status) => return Err(Denied::NobodyLogsIn),
            _ => return Err(Denied::Refused),
        };
        self.remember(key, user.clone());
        Ok(user)
    }

    /// Hands a log-in or log-out on to the gateway, and its answer back.
    pub(crate) async fn hand_on(
        &self,
        call: &str,
        headers: &HeaderMap,
        body: RequestBody,
    ) -> Response<ResponseBody> {
        if let Some(given) = Given::of(headers) {
            // Whatever comes of it: the next to show this is not believed without being asked for.
            self.believed().remove(&given.digest());
        }
        let Ok(body) = body.with_limit(BODY_BYTES_MAX as u64).read().await else {
            return Message::bad_request("The body of the request is too large, too slow or broke off")
                .answer(StatusCode::BAD_REQUEST);
        };
        let mut handed = Given::of(headers).map(|given| given.headers()).unwrap_or_default();
        for name in [CONTENT_TYPE, AUTHORIZATION] {
            if let Some(value) = headers.get(&name) {
                handed.insert(name, value.clone());
            }
        }
        match self.ask(&Method::POST, call, &handed, body).await {
            Ok(told) => handed_back(told),
            Err(denied) => answer(&denied),
        }
    }

    async fn ask(
        &self,
        method: &Method,
        call: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Told, Denied> {
        let mut reasons = Vec::new();
        for gateway in &self.gateways {
            let uri = format!("{}/gateway/api/v1/auth/{call}", gateway.to_string().trim_end_matches('/'));
            let Ok(mut request) = Request::builder().method(method).uri(&uri).body(Full::new(body.clone()))
            else {
                continue;
            };
            *request.headers_mut() = headers.clone();
            match self.asker.ask(request, BODY_BYTES_MAX).await {
                Ok(told) => return Ok(told),
                Err(silence) => reasons.push(format!("{gateway}: {}", chain(&silence))),
            }
        }
        if reasons.is_empty() {
            reasons.push("no gateway is configured".to_owned());
        }
        Err(Denied::NoGateway { reason: reasons.join("; ") })
    }

    fn remembered(&self, key: &Digest) -> Option<String> {
        let believed = self.believed();
        let (at, user) = believed.get(key)?;
        (at.elapsed() < BELIEVED).then(|| user.clone())
    }

    fn remember(&self, key: Digest, user: String) {
        let mut believed = self.believed();
        if believed.len() >= REMEMBERED_MAX {
            believed.retain(|_, (at, _)| at.elapsed() < BELIEVED);
        }
        if believed.len() >= REMEMBERED_MAX {
            believed.clear();
        }
        believed.insert(key, (Instant::now(), user));
    }

    fn believed(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, (Instant, String)>> {
        // A map is whole after each of its calls.
        self.believed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What somebody says of himself, the cookie first.
#[derive(Debug, PartialEq, Eq)]
enum Given {
    /// Cookies of the gateway, as they came.
    Cookies(String),
    Bearer(String),
    Basic {
        user: String,
        encoded: String,
    },
}

impl Given {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let ours = cookies.flat_map(|line| line.split(';')).map(str::trim).filter(|pair| {
            pair.split_once('=').is_some_and(|(name, value)| {
                let rest = name.strip_prefix(TOKEN);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) && !value.is_empty()
            })
        });
        let ours: Vec<_> = ours.collect();
        if !ours.is_empty() {
            return Some(Self::Cookies(ours.join("; ")));
        }
        let (scheme, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
            return Some(Self::Bearer(rest.to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        let (user, _) = decoded.split_once(':')?;
        Some(Self::Basic { user: user.to_owned(), encoded: rest.to_owned() })
    }

    fn headers(&self) -> HeaderMap {
        let (name, text) = match self {
            Self::Cookies(cookies) => (COOKIE, cookies.clone()),
            Self::Bearer(token) => (AUTHORIZATION, format!("Bearer {token}")),
            Self::Basic { encoded, .. } => (AUTHORIZATION, format!("Basic {encoded}")),
        };
        let value = HeaderValue::from_str(&text).ok();
        value.map(|value| (name, value)).into_iter().collect()
    }

    fn digest(&self) -> Digest {
        let text = match self {
            Self::Cookies(text) => format!("c{text}"),
            Self::Bearer(text) => format!("t{text}"),
            Self::Basic { encoded, .. } => format!("b{encoded}"),
        };
        let mut bytes = Digest::default();
        bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        bytes
    }
}

/// Says whether a gateway has no calls about logging in.
fn is_no_endpoint(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
}

fn handed_back(told: Told) -> Response<ResponseBody> {
    if is_no_endpoint(told.status) {
        return answer(&Denied::NobodyLogsIn);
    }
    let mut answer = Response::new(ResponseBody::from(told.body));
    *answer.status_mut() = told.status;
    for name in [CONTENT_TYPE, SET_COOKIE] {
        for value in told.headers.get_all(&name) {
            answer.headers_mut().append(name.clone(), value.clone());
        }
    }
    answer
}

/// Says why somebody is not let in.
pub(crate) fn answer(denied: &Denied) -> Response<ResponseBody> {
    match denied {
        Denied::Nobody => Message::error(
            "ZWEAS105E",
            "org.zowe.apiml.security.authRequired",
            "Authentication is required: log in, and send the cookie, a token or user and password",
        )
        .answer(StatusCode::UNAUTHORIZED),
        Denied::Refused => Message::error(
            "ZWEAS130E",
            "org.zowe.apiml.security.query.invalidToken",
            "The gateway does not accept this token or password; log in again",
        )
        .answer(StatusCode::UNAUTHORIZED),
        Denied::NobodyLogsIn => unavailable(
            "ZWEAS104E",
            "org.zowe.apiml.security.serviceUnavailable",
            "The gateway lets nobody log in: nothing that checks passwords is configured there (`tender gateway run --provider`); \
             `--open` lets everybody in here",
        ),
        Denied::NoGateway { reason } => {
            let text = format!("The gateway cannot be asked who this is: {reason}");
            unavailable("ZWEAS103E", "org.zowe.apiml.security.gatewayNotAvailable", &text)
        }
    }
}

fn unavailable(number: &'static str, key: &'static str, text: &str) -> Response<ResponseBody> {
    Message::error(number, key, text).answer(StatusCode::SERVICE_UNAVAILABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(headers: &[(&str, &str)]) -> Option<Given> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Given::of(&headers.collect::<Vec<(hyper::header::HeaderName, HeaderValue)>>().into_iter().collect())
    }

    #[test]
    fn only_what_is_the_gateways_is_shown_to_it() {
        assert_eq!(
            given(&[(
                "cookie",
                "a=b; apimlAuthenticationToken=t; apimlAuthenticationToken.one=u; xapimlAuthenticationToken=v"
            )]),
            Some(Given::Cookies("apimlAuthenticationToken=t; apimlAuthenticationToken.one=u".to_owned()))
        );
        assert_eq!(given(&[("authorization", "bearer  x")]), Some(Given::Bearer("x".to_owned())));
        let encoded = STANDARD.encode("ann:a:b");
        let basic = Given::Basic { user: "ann".to_owned(), encoded: encoded.clone() };
        assert_eq!(given(&[("authorization", &format!("Basic {encoded}"))]), Some(basic));
        for none in [
            ("cookie", "apimlAuthenticationToken="),
            ("cookie", "apimlAuthenticationTokens=x"),
            ("authorization", "Basic !"),
            ("authorization", "Digest x"),
            ("authorization", "Bearer "),
        ] {
            assert_eq!(given(&[none]), None, "{none:?}");
        }
    }

    #[test]
    fn same_text_as_a_token_and_as_a_cookie_is_not_the_same() {
        assert_ne!(Given::Bearer("x".to_owned()).digest(), Given::Cookies("x".to_owned()).digest());
    }
}
