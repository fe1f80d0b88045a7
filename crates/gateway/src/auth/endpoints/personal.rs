//! Personal access tokens: made for days and for some services, and taken back. Source: the reference's 4.5.

use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use serde::Deserialize;
use tender_http::ResponseBody;

use super::ticket::unauthorized;
use super::{Answered, Asked, Refused, empty, error, no_input, not_shared, refused, unaccepted};
use crate::auth::jwt::{Claims, PERSONAL_ISSUER, new_id};
use crate::auth::provider::Access;
use crate::auth::revocation::Whose;
use crate::auth::{AuthSettings, Unaccepted, accepted, now_s, present};

const DAYS_MAX: u64 = 90;
const DAY_S: u64 = 86_400;
/// Scopes of one token.
const SCOPES_MAX: usize = 100;
/// Who may take back tokens of others.
const ADMINISTRATION: Access<'static> = Access { class: "ZOWE", resource: "APIML.SERVICES", level: "UPDATE" };

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    validity: u64,
    #[serde(default)]
    scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    token: String,
    #[serde(default)]
    service_id: String,
}

/// Which tokens are taken back: those made before a time, in milliseconds since 1970; now when it is left out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Before {
    timestamp: Option<u64>,
    user_id: Option<String>,
    service_id: Option<String>,
}

impl AuthSettings {
    pub(super) async fn generate(&self, asked: Asked<'_>) -> Answered {
        let (name, password) = present::basic(asked.headers).ok_or_else(no_input)?;
        let tell = asked.tell;
        let wanted = asked.json::<Wanted>().await.ok_or_else(bad_body)?;
        let is_scope = |scope: &String| !scope.is_empty() && scope.len() <= 64 && scope.is_ascii();
        if wanted.scopes.is_empty() || wanted.scopes.len() > SCOPES_MAX || !wanted.scopes.iter().all(is_scope)
        {
            return Err(error(
                StatusCode::BAD_REQUEST,
                "ZWEAT606E",
                "org.zowe.apiml.security.token.accessTokenBodyMissingScopes",
                "`scopes` must name the services that the token is for, 1 to 100",
            ));
        }
        let verified = self.verified(&name, &password, tell).await?;
        let now = now_s();
        let days = if wanted.validity == 0 { DAYS_MAX } else { wanted.validity.min(DAYS_MAX) };
        let scopes = wanted.scopes.iter().map(|scope| scope.to_ascii_lowercase()).collect();
        let claims = Claims {
            sub: verified.user,
            dom: verified.domain,
            iat: now,
            exp: now + days * DAY_S,
            iss: PERSONAL_ISSUER.to_owned(),
            jti: new_id(),
            scopes: Some(scopes),
        };
        let mut answer = Response::new(ResponseBody::from(self.key.sign(&claims).into_bytes()));
        answer.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
        answer.headers_mut().insert("cache-control", HeaderValue::from_static("no-store"));
        Ok(answer)
    }

    pub(super) async fn validate(&self, asked: Asked<'_>) -> Answered {
        let shown = asked.json::<Shown>().await.ok_or_else(bad_body)?;
        let claims =
            accepted(self, &shown.token, &shown.service_id, now_s()).map_err(|why| unaccepted(&why))?;
        personal(&claims)?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    /// Takes a token back: whoever has it may.
    pub(super) async fn revoke(&self, asked: Asked<'_>) -> Answered {
        let shown = asked.json::<Shown>().await.ok_or_else(bad_body)?;
        let claims = self.known(&shown.token, now_s()).map_err(|why| unaccepted(&why))?;
        personal(&claims)?;
        let revoked = self.revocations.revoke(&claims.jti, claims.exp, now_s()).await;
        revoked.map(|()| empty(StatusCode::NO_CONTENT)).map_err(|_| not_shared())
    }

    pub(super) async fn revoke_own(&self, asked: Asked<'_>) -> Answered {
        let (user, before) = self.administrator(asked).await?;
        self.revoke_before(Whose::User(&user), &before).await
    }

    pub(super) async fn revoke_of_user(&self, asked: Asked<'_>) -> Answered {
        let tell = asked.tell;
        let (user, before) = self.administrator(asked).await?;
        self.may_administer(&user, tell).await?;
        let whose = before.user_id.as_deref().filter(|user| !user.is_empty()).ok_or_else(bad_request)?;
        self.revoke_before(Whose::User(whose), &before).await
    }

    pub(super) async fn revoke_of_scope(&self, asked: Asked<'_>) -> Answered {
        let tell = asked.tell;
        let (user, before) = self.administrator(asked).await?;
        self.may_administer(&user, tell).await?;
        let scope = before.service_id.as_deref().filter(|scope| !scope.is_empty()).ok_or_else(bad_request)?;
        self.revoke_before(Whose::Scope(&scope.to_ascii_lowercase()), &before).await
    }

    /// Clears up what is over; that happens by itself, too.
    pub(super) async fn evict(&self, asked: Asked<'_>) -> Answered {
        let tell = asked.tell;
        let (user, _) = self.administrator(asked).await?;
        self.may_administer(&user, tell).await?;
        self.revocations.look(now_s()).await.map(|()| empty(StatusCode::NO_CONTENT)).map_err(|_| not_shared())
    }

    /// Returns who asks, by a password or a token of a log-in, and what for.
    async fn administrator(&self, asked: Asked<'_>) -> Result<(String, Before), Refused> {
        let user = match present::basic(asked.headers) {
            Some((name, password)) => self.verified(&name, &password, asked.tell).await?.user,
            None => {
                let claims = self.caller(asked.headers)?;
                if claims.is_personal() {
                    return Err(unaccepted(&Unaccepted::Invalid));
                }
                claims.sub
            }
        };
        let bytes = asked.body.with_limit(super::BODY_BYTES_MAX).read().await.map_err(|_| bad_request())?;
        let text = if bytes.is_empty() { b"{}".as_slice() } else { &bytes };
        Ok((user, serde_json::from_slice(text).map_err(|_| bad_request())?))
    }

    async fn may_administer(
        &self,
        user: &str,
        tell: &(dyn Fn(&crate::service::Event) + Sync),
    ) -> Result<(), Refused> {
        let may = self.provider.allows(user, ADMINISTRATION).await.map_err(|why| refused(&why, tell))?;
        if may { Ok(()) } else { Err(unauthorized(user, ADMINISTRATION)) }
    }

    async fn revoke_before(&self, whose: Whose<'_>, before: &Before) -> Answered {
        let now = now_s();
        // What is made later must not be revoked before it is.
        let before_s = before.timestamp.map_or(now, |ms| (ms / 1000).min(now));
        let until_s = before_s + DAYS_MAX * DAY_S;
        let revoked = self.revocations.revoke_before(whose, before_s, until_s, now).await;
        revoked.map(|()| empty(StatusCode::NO_CONTENT)).map_err(|_| not_shared())
    }
}

fn personal(claims: &Claims) -> Result<(), Refused> {
    if claims.is_personal() { Ok(()) } else { Err(unaccepted(&Unaccepted::Invalid)) }
}

fn bad_body() -> Refused {
    error(
        StatusCode::BAD_REQUEST,
        "ZWEAT605E",
        "org.zowe.apiml.security.query.invalidAccessTokenBody",
        "The request body is missing or is no JSON of this call",
    )
}

fn bad_request() -> Refused {
    error(
        StatusCode::BAD_REQUEST,
        "ZWEAT607E",
        "org.zowe.apiml.security.query.invalidRevokeRequestBody",
        "The request body must name whose tokens are taken back, and may name a `timestamp` in milliseconds",
    )
}
