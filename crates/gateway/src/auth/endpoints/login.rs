//! Logging in and out, and a token that follows another.

use hyper::header::{AUTHORIZATION, HeaderValue, SET_COOKIE};
use hyper::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tender_http::ResponseBody;

use super::{Answered, Asked, empty, error, no_input, not_shared};
use crate::auth::jwt::{Claims, ISSUER, new_id};
use crate::auth::{AuthSettings, Verified, now_s, present};
use crate::service::{Event, json_answer};

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

impl AuthSettings {
    pub(super) async fn login(&self, asked: Asked<'_>) -> Answered {
        let tell = asked.tell;
        let (name, password) = match present::basic(asked.headers) {
            Some(given) => given,
            None if asked.headers.contains_key(AUTHORIZATION) => return Err(no_input()),
            None => {
                let login: Login = asked.json().await.ok_or_else(no_input)?;
                (login.username, login.password)
            }
        };
        let verified = self.verified(&name, &password, tell).await?;
        Ok(self.with_cookie(verified))
    }

    /// Makes a token, and the answer that sets it.
    fn with_cookie(&self, verified: Verified) -> Response<ResponseBody> {
        let now = now_s();
        let claims = Claims {
            sub: verified.user,
            dom: verified.domain,
            iat: now,
            exp: now + verified.lifetime_s.unwrap_or(self.lifetime.as_secs()),
            iss: ISSUER.to_owned(),
            jti: new_id(),
            scopes: None,
        };
        let cookie = present::set_cookie(&self.key.sign(&claims));
        let cookie = HeaderValue::from_str(&cookie).expect("a token has letters, digits, dots and hyphens");
        let mut answer = empty(StatusCode::NO_CONTENT);
        answer.headers_mut().insert(SET_COOKIE, cookie);
        answer
    }

    pub(super) async fn logout(&self, headers: &HeaderMap) -> Answered {
        let claims = self.caller(headers)?;
        let revoked = self.revocations.revoke(&claims.jti, claims.exp, now_s()).await;
        revoked.map(|()| empty(StatusCode::NO_CONTENT)).map_err(|_| not_shared())
    }

    pub(super) fn query(&self, headers: &HeaderMap) -> Answered {
        let claims = self.caller(headers)?;
        Ok(json_answer(&json!({
            "domain": claims.dom,
            "userId": claims.sub,
            "creation": date(claims.iat),
            "expiration": date(claims.exp),
            "expired": false,
        })))
    }

    /// Makes a token that follows the one shown, which ends; for those who show a certificate too.
    pub(super) async fn refresh(&self, asked: Asked<'_>) -> Answered {
        if !self.allows_refresh {
            return Err(error(
                StatusCode::NOT_FOUND,
                "ZWEAM104E",
                "org.zowe.apiml.common.endPointNotFound",
                "Tokens are not refreshed here: it is not configured",
            ));
        }
        if asked.peer.certificate_of(asked.headers).is_none() {
            return Err(super::no_certificate());
        }
        let claims = self.caller(asked.headers)?;
        if claims.is_personal() {
            // It would become one that is good for everything.
            return Err(super::unaccepted(&crate::auth::Unaccepted::Invalid));
        }
        // Where it is not known at once it will be, when the store answers again; the user has the new one already.
        if let Err(error) = self.revocations.revoke(&claims.jti, claims.exp, now_s()).await {
            (asked.tell)(&Event::NotShared { reason: tender_http::chain(&error) });
        }
        Ok(self.with_cookie(Verified { user: claims.sub, domain: claims.dom, lifetime_s: None }))
    }
}

/// Writes a date as clients of the reference read it.
fn date(seconds: u64) -> String {
    let at = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(i64::MAX)).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S.000+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_clients_read_them() {
        assert_eq!(date(1_767_261_600), "2026-01-01T10:00:00.000+00:00");
    }
}
