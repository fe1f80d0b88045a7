//! What clients call to log in and out, and to have tokens and tickets made.
//!
//! A call is a line of [`CALLS`] and a file below `endpoints/`.

mod login;
mod personal;
mod ticket;

use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use tender_http::{Message, Peer, RequestBody, ResponseBody};

use super::jwt::Claims;
use super::{AuthSettings, Denied, Unaccepted, jwks, now_s, user};
use crate::service::{Event, json_answer};

/// The largest body of a call, in bytes.
const BODY_BYTES_MAX: u64 = 16 << 10;
/// The gateway itself, where services are named.
const OWN_SERVICE: &str = "gateway";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthCall {
    Login,
    Logout,
    Query,
    Refresh,
    Ticket,
    Check,
    Generate,
    Validate,
    Revoke,
    RevokeOwn,
    RevokeOfUser,
    RevokeOfScope,
    Evict,
    KeyPem,
    Keys,
    /// The path is one of these, the method is not.
    NoMethod,
}

const CALLS: &[(&str, Method, AuthCall)] = &[
    ("login", Method::POST, AuthCall::Login),
    ("logout", Method::POST, AuthCall::Logout),
    ("query", Method::GET, AuthCall::Query),
    ("refresh", Method::POST, AuthCall::Refresh),
    ("ticket", Method::POST, AuthCall::Ticket),
    ("check", Method::POST, AuthCall::Check),
    ("access-token/generate", Method::POST, AuthCall::Generate),
    ("access-token/validate", Method::POST, AuthCall::Validate),
    ("access-token/revoke", Method::DELETE, AuthCall::Revoke),
    ("access-token/revoke/tokens", Method::DELETE, AuthCall::RevokeOwn),
    ("access-token/revoke/tokens/user", Method::DELETE, AuthCall::RevokeOfUser),
    ("access-token/revoke/tokens/scope", Method::DELETE, AuthCall::RevokeOfScope),
    ("access-token/evict", Method::DELETE, AuthCall::Evict),
    ("keys/public", Method::GET, AuthCall::KeyPem),
    ("keys/public/current", Method::GET, AuthCall::Keys),
    ("keys/public/all", Method::GET, AuthCall::Keys),
];

/// Finds out whether a request is about logging in.
pub(crate) fn route(method: &Method, path: &str) -> Option<AuthCall> {
    let bases = ["/gateway/api/v1/auth/", "/api/v1/gateway/auth/", "/gateway/auth/"];
    let name = bases.iter().find_map(|base| path.strip_prefix(base))?;
    let name = name.strip_suffix('/').unwrap_or(name);
    let (_, wanted, call) = CALLS.iter().find(|(called, ..)| *called == name)?;
    Some(if method == wanted { *call } else { AuthCall::NoMethod })
}

/// A call as it came.
pub(crate) struct Asked<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) peer: &'a Peer,
    pub(crate) body: RequestBody,
    /// Hears what an administrator should know.
    pub(crate) tell: &'a (dyn Fn(&Event) + Sync),
}

/// An answer, or one that refuses.
type Answered = Result<Response<ResponseBody>, Refused>;
/// An answer that refuses.
type Refused = Box<Response<ResponseBody>>;

impl Asked<'_> {
    /// Reads what came as JSON; nothing when it is none, or too large.
    async fn json<T: DeserializeOwned>(self) -> Option<T> {
        let bytes = self.body.with_limit(BODY_BYTES_MAX).read().await.ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

impl AuthSettings {
    /// Answers a call.
    pub(crate) async fn answer(&self, call: AuthCall, asked: Asked<'_>) -> Response<ResponseBody> {
        let answered = match call {
            AuthCall::Login => self.login(asked).await,
            AuthCall::Logout => self.logout(asked.headers).await,
            AuthCall::Query => self.query(asked.headers),
            AuthCall::Refresh => self.refresh(asked).await,
            AuthCall::Ticket => self.ticket(asked).await,
            AuthCall::Check => self.check(asked).await,
            AuthCall::Generate => self.generate(asked).await,
            AuthCall::Validate => self.validate(asked).await,
            AuthCall::Revoke => self.revoke(asked).await,
            AuthCall::RevokeOwn => self.revoke_own(asked).await,
            AuthCall::RevokeOfUser => self.revoke_of_user(asked).await,
            AuthCall::RevokeOfScope => self.revoke_of_scope(asked).await,
            AuthCall::Evict => self.evict(asked).await,
            AuthCall::KeyPem => {
                let mut answer = Response::new(ResponseBody::from(jwks::pem(&self.key).into_bytes()));
                let kind = HeaderValue::from_static("application/x-pem-file");
                answer.headers_mut().insert("content-type", kind);
                Ok(answer)
            }
            AuthCall::Keys => Ok(json_answer(&jwks::set(&self.key))),
            AuthCall::NoMethod => Err(error(
                StatusCode::METHOD_NOT_ALLOWED,
                "ZWEAG101E",
                "org.zowe.apiml.security.invalidMethod",
                "Authentication method is not supported for this address",
            )),
        };
        answered.unwrap_or_else(|refused| *refused)
    }

    /// Returns what the token of whoever calls says.
    fn caller(&self, headers: &HeaderMap) -> Result<Claims, Refused> {
        user(self, headers, OWN_SERVICE, now_s()).map(|(claims, _)| claims).map_err(|why| unaccepted(&why))
    }

    /// Says whether the name and password that came are right, and whose they are.
    async fn verified(
        &self,
        name: &str,
        password: &str,
        tell: &(dyn Fn(&Event) + Sync),
    ) -> Result<super::Verified, Refused> {
        // A name is part of log lines and of messages.
        if name.is_empty() || password.is_empty() || name.chars().any(char::is_control) {
            return Err(no_input());
        }
        self.provider.check(name, password).await.map_err(|why| refused(&why, tell))
    }
}

/// Refuses, and tells an administrator when nobody could decide.
fn refused(why: &Denied, tell: &(dyn Fn(&Event) + Sync)) -> Refused {
    if let Denied::Unavailable { reason } = why {
        tell(&Event::NobodyChecks { reason: reason.clone() });
    }
    denied(why)
}

/// The shared store does not answer: it counts here, and the user should know that it does not elsewhere.
fn not_shared() -> Refused {
    error(
        StatusCode::SERVICE_UNAVAILABLE,
        "ZWEAG104E",
        "org.zowe.apiml.security.authenticationServiceUnavailable",
        "It is done on this gateway; others will know when the shared store answers again",
    )
}

fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut answer = Response::new(ResponseBody::Empty);
    *answer.status_mut() = status;
    answer
}

fn no_input() -> Refused {
    error(
        StatusCode::BAD_REQUEST,
        "ZWEAG121E",
        "org.zowe.apiml.security.login.invalidInput",
        "Authorization header is missing, or the request body is missing or invalid; give a user and a password",
    )
}

fn denied(why: &Denied) -> Refused {
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
            "The user may not log in, or there were too many tries; wait, or ask the administrator of the domain",
        ),
        Denied::TooMany => error(
            StatusCode::TOO_MANY_REQUESTS,
            "ZWEAG120E",
            key("org.zowe.apiml.security.login.invalidCredentials"),
            "There were too many tries; wait before the next",
        ),
        Denied::NotOffered => error(
            StatusCode::NOT_IMPLEMENTED,
            "ZWEAG104E",
            key("org.zowe.apiml.security.authenticationServiceUnavailable"),
            "The service that checks passwords does not do this; the provider xmem does, for the class of its ZWES.AUTH.CLASS",
        ),
        Denied::NotPermitted { .. } => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ZWEAG104E",
            key("org.zowe.apiml.security.authenticationServiceUnavailable"),
            "The gateway may not ask for this; its log says why",
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
pub(crate) fn unaccepted(why: &Unaccepted) -> Refused {
    let (number, key) = match why {
        Unaccepted::None => ("ZWEAG131E", "org.zowe.apiml.security.query.tokenNotProvided"),
        Unaccepted::Invalid | Unaccepted::Revoked | Unaccepted::OtherService => {
            ("ZWEAG130E", "org.zowe.apiml.security.query.invalidToken")
        }
        Unaccepted::Expired(_) => ("ZWEAT100E", "org.zowe.apiml.security.expiredToken"),
    };
    error(StatusCode::UNAUTHORIZED, number, key, &format!("Not accepted: {why}"))
}

/// Says that a certificate is missing.
fn no_certificate() -> Refused {
    error(
        StatusCode::FORBIDDEN,
        "ZWEAG167E",
        "org.zowe.apiml.gateway.security.schema.x509.certificateMissing",
        "This call needs a client certificate that the gateway trusts",
    )
}

fn error(status: StatusCode, number: &'static str, key: &'static str, text: &str) -> Refused {
    Box::new(Message::error(number, key, text).answer(status))
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
        let revoke = "/gateway/api/v1/auth/access-token/revoke";
        assert_eq!(asked("DELETE", revoke), Some(AuthCall::Revoke));
        assert_eq!(asked("DELETE", &format!("{revoke}/tokens/user")), Some(AuthCall::RevokeOfUser));
        assert_eq!(asked("POST", &format!("{revoke}/tokens")), Some(AuthCall::NoMethod));
        assert_eq!(asked("POST", "/gateway/api/v1/auth/other"), None);
        assert_eq!(asked("POST", "/gateway/api/v1/authlogin"), None);
    }
}
