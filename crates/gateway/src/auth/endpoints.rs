//! What clients call to log in and out, and to learn of their token.

use hyper::header::{AUTHORIZATION, HeaderValue, SET_COOKIE};
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tender_http::{Message, RequestBody, ResponseBody};

use super::jwt::{Claims, ISSUER};
use super::{AuthSettings, Denied, Unaccepted, jwks, now_s, present, user};
use crate::service::json_answer;

/// The largest body of a log-in, in bytes.
const BODY_BYTES_MAX: u64 = 16 << 10;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthCall {
    Login,
    Logout,
    Query,
    KeyPem,
    Keys,
    /// The path is one of these, the method is not.
    NoMethod,
}

/// Finds out whether a request is about logging in.
pub(crate) fn route(method: &Method, path: &str) -> Option<AuthCall> {
    let bases = ["/gateway/api/v1/auth/", "/api/v1/gateway/auth/", "/gateway/auth/"];
    let name = bases.iter().find_map(|base| path.strip_prefix(base))?;
    let (call, wanted) = match name.strip_suffix('/').unwrap_or(name) {
        "login" => (AuthCall::Login, Method::POST),
        "logout" => (AuthCall::Logout, Method::POST),
        "query" => (AuthCall::Query, Method::GET),
        "keys/public" => (AuthCall::KeyPem, Method::GET),
        "keys/public/current" | "keys/public/all" => (AuthCall::Keys, Method::GET),
        _ => return None,
    };
    Some(if *method == wanted { call } else { AuthCall::NoMethod })
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

impl AuthSettings {
    /// Answers a call.
    pub(crate) async fn answer(
        &self,
        call: AuthCall,
        headers: &HeaderMap,
        body: RequestBody,
    ) -> Response<ResponseBody> {
        match call {
            AuthCall::Login => self.login(headers, body).await.unwrap_or_else(|refused| refused),
            AuthCall::Logout => self.logout(headers).await,
            AuthCall::Query => match user(self, headers, now_s()) {
                Ok((claims, _)) => json_answer(&described(&claims)),
                Err(why) => unaccepted(&why),
            },
            AuthCall::KeyPem => {
                let mut answer = Response::new(ResponseBody::from(jwks::pem(&self.key).into_bytes()));
                answer
                    .headers_mut()
                    .insert("content-type", HeaderValue::from_static("application/x-pem-file"));
                answer
            }
            AuthCall::Keys => json_answer(&jwks::set(&self.key)),
            AuthCall::NoMethod => error(
                StatusCode::METHOD_NOT_ALLOWED,
                "ZWEAG101E",
                "org.zowe.apiml.security.invalidMethod",
                "Authentication method is not supported for this address",
            ),
        }
    }

    async fn login(
        &self,
        headers: &HeaderMap,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, Response<ResponseBody>> {
        let (name, password) = match present::basic(headers) {
            Some(given) => given,
            None if headers.contains_key(AUTHORIZATION) => return Err(no_input()),
            None => {
                let bytes = body.with_limit(BODY_BYTES_MAX).read().await.map_err(|_| no_input())?;
                let login: Login = serde_json::from_slice(&bytes).map_err(|_| no_input())?;
                (login.username, login.password)
            }
        };
        // A name is part of log lines and of messages.
        if name.is_empty() || password.is_empty() || name.chars().any(char::is_control) {
            return Err(no_input());
        }
        let verified = self.provider.check(&name, &password).await.map_err(|why| denied(&why))?;
        let now = now_s();
        let lifetime = verified.lifetime_s.unwrap_or(self.lifetime.as_secs());
        let claims = Claims {
            sub: verified.user,
            dom: verified.domain,
            iat: now,
            exp: now + lifetime,
            iss: ISSUER.to_owned(),
            jti: new_id(),
        };
        let cookie = present::set_cookie(&self.key.sign(&claims));
        let mut answer = empty(StatusCode::NO_CONTENT);
        let cookie = HeaderValue::from_str(&cookie).expect("a token has letters, digits, dots and hyphens");
        answer.headers_mut().insert(SET_COOKIE, cookie);
        Ok(answer)
    }

    async fn logout(&self, headers: &HeaderMap) -> Response<ResponseBody> {
        let claims = match user(self, headers, now_s()) {
            Ok((claims, _)) => claims,
            Err(why) => return unaccepted(&why),
        };
        match self.revocations.revoke(&claims.jti, claims.exp, now_s()).await {
            Ok(()) => empty(StatusCode::NO_CONTENT),
            // It counts here, and will on the others when the store is back: the user should know.
            Err(_) => error(
                StatusCode::SERVICE_UNAVAILABLE,
                "ZWEAG104E",
                "org.zowe.apiml.security.authenticationServiceUnavailable",
                "The token is logged out on this gateway; others will know when the shared store answers again",
            ),
        }
    }
}

fn described(claims: &Claims) -> serde_json::Value {
    json!({
        "domain": claims.dom,
        "userId": claims.sub,
        "creation": date(claims.iat),
        "expiration": date(claims.exp),
        "expired": false,
    })
}

/// Writes a date as clients of the reference read it.
fn date(seconds: u64) -> String {
    let at = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(i64::MAX)).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S.000+00:00").to_string()
}

/// Makes the id of a token: a random UUID.
fn new_id() -> String {
    use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
    let mut bytes = [0_u8; 16];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random numbers");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut answer = Response::new(ResponseBody::Empty);
    *answer.status_mut() = status;
    answer
}

fn no_input() -> Response<ResponseBody> {
    error(
        StatusCode::BAD_REQUEST,
        "ZWEAG121E",
        "org.zowe.apiml.security.login.invalidInput",
        "Authorization header is missing, or the request body is missing or invalid; give a user and a password",
    )
}

fn denied(why: &Denied) -> Response<ResponseBody> {
    let key = |name: &'static str| name;
    match why {
        Denied::Wrong => error(
            StatusCode::UNAUTHORIZED,
            "ZWEAG120E",
            key("org.zowe.apiml.security.login.invalidCredentials"),
            "Invalid username or password",
        ),
        Denied::Expired => error(
            StatusCode::UNAUTHORIZED,
            "ZWEAT412E",
            key("org.zowe.apiml.security.platform.errno.EMVSEXPIRE"),
            "The password has expired; change it where users of this domain do",
        ),
        Denied::Locked => error(
            StatusCode::UNAUTHORIZED,
            "ZWEAT413E",
            key("org.zowe.apiml.security.platform.errno.EMVSSAFEXTRERR"),
            "The user may not log in; ask the administrator of the domain",
        ),
        Denied::TooMany => error(
            StatusCode::TOO_MANY_REQUESTS,
            "ZWEAG120E",
            key("org.zowe.apiml.security.login.invalidCredentials"),
            "There were too many tries; wait before the next",
        ),
        Denied::Unavailable { .. } => error(
            StatusCode::SERVICE_UNAVAILABLE,
            "ZWEAG104E",
            key("org.zowe.apiml.security.authenticationServiceUnavailable"),
            "The service that checks passwords does not answer; the log of the gateway says why",
        ),
    }
}

/// Says why a token is not accepted.
pub(crate) fn unaccepted(why: &Unaccepted) -> Response<ResponseBody> {
    let (number, key) = match why {
        Unaccepted::None => ("ZWEAG131E", "org.zowe.apiml.security.query.tokenNotProvided"),
        Unaccepted::Invalid | Unaccepted::Revoked => {
            ("ZWEAG130E", "org.zowe.apiml.security.query.invalidToken")
        }
        Unaccepted::Expired(_) => ("ZWEAT100E", "org.zowe.apiml.security.expiredToken"),
    };
    error(StatusCode::UNAUTHORIZED, number, key, &format!("Not accepted: {why}"))
}

fn error(status: StatusCode, number: &'static str, key: &'static str, text: &str) -> Response<ResponseBody> {
    Message::error(number, key, text).answer(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_all_versions_lead_to_the_same_calls() {
        let asked = |method: &str, path: &str| route(&method.parse().unwrap(), path);
        for base in ["/gateway/api/v1/auth", "/api/v1/gateway/auth"] {
            assert_eq!(asked("POST", &format!("{base}/login")), Some(AuthCall::Login));
            assert_eq!(asked("POST", &format!("{base}/logout/")), Some(AuthCall::Logout));
            assert_eq!(asked("GET", &format!("{base}/query")), Some(AuthCall::Query));
            assert_eq!(asked("GET", &format!("{base}/login")), Some(AuthCall::NoMethod));
            assert_eq!(asked("GET", &format!("{base}/keys/public/all")), Some(AuthCall::Keys));
        }
        assert_eq!(asked("POST", "/gateway/api/v1/auth/other"), None);
        assert_eq!(asked("POST", "/gateway/api/v1/authlogin"), None);
    }

    #[test]
    fn dates_and_ids_are_as_clients_read_them() {
        assert_eq!(date(1_767_261_600), "2026-01-01T10:00:00.000+00:00");
        let (one, two) = (new_id(), new_id());
        assert!(one != two && one.len() == 36 && one.as_bytes()[14] == b'4', "{one}");
    }
}
