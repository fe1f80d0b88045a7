//! TOKEN (22): signed identity tokens.

use std::os::fd::OwnedFd;

use tender_identity::{ApplicationName, Moment, TokenRefusal, TokenRequest};
use tender_saf::{AccessLevel, Subject};
use tender_xmem::code::{CmsCode, TokenCode};
use tender_xmem::service::{Request as _, Secret, Token, TokenAnswer};

use crate::monitor::Monitor;
use crate::monitor::calls::{Answer, Asking, Step};
use crate::monitor::rights::CLASS;

/// Who may revoke what belongs to others.
const REVOKE: &str = "ZWES.IS.TOKEN.REVOKE";

pub(super) fn call(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    let request = match Token::decode(payload) {
        Ok(request) => request,
        Err(invalid) => return Answer::not_taken::<Token>(&invalid),
    };
    match request {
        Token::Generate { application, lifetime_s } => generate(monitor, asked, application, lifetime_s),
        Token::Validate { token, application } => validate(monitor, &token, application),
        Token::Revoke { token } => revoke(monitor, asked, &token),
        Token::RevokeAll { user } => revoke_all(monitor, asked, &user),
    }
}

fn application(name: Option<String>) -> Result<Option<ApplicationName>, Step> {
    name.map(|name| name.parse()).transpose().map_err(|_| Answer::detail(TokenCode::TooLong))
}

fn failed(monitor: &Monitor, error: &dyn std::error::Error) -> Step {
    monitor.debug(|| format!("token: {}", crate::role::chain(error)));
    Answer::code(CmsCode::Error)
}

fn generate(monitor: &mut Monitor, asked: Asking, name: Option<String>, lifetime_s: Option<u32>) -> Step {
    let application = match application(name) {
        Ok(application) => application,
        Err(step) => return step,
    };
    let Some(user) = monitor.actor(asked).and_then(|id| id.as_str().parse().ok()) else {
        return Answer::detail(TokenCode::NoActor);
    };
    let moment = Moment::now();
    let request = TokenRequest { user, application, lifetime_s: lifetime_s.map(u64::from) };
    match monitor.proofs().tokens.issue(moment, &request) {
        Ok(issued) => Answer::json(&TokenAnswer::Generated {
            id: issued.claims.jti.as_str().to_owned(),
            expires_in_s: left_s(issued.claims.exp, moment),
            token: Secret::new(issued.text),
        }),
        Err(error) => failed(monitor, &error),
    }
}

fn left_s(exp: u64, moment: Moment) -> u32 {
    u32::try_from(exp.saturating_sub(moment.unix_s)).unwrap_or(u32::MAX)
}

fn validate(monitor: &mut Monitor, token: &Secret, name: Option<String>) -> Step {
    let application = match application(name) {
        Ok(application) => application,
        Err(step) => return step,
    };
    let moment = Moment::now();
    match monitor.proofs().tokens.validate(moment, token.expose(), application.as_ref()) {
        Ok(claims) => Answer::json(&TokenAnswer::Validated {
            user: claims.sub.as_str().to_owned(),
            id: claims.jti.as_str().to_owned(),
            application: claims.aud.map(|aud| aud.as_str().to_owned()),
            expires_in_s: left_s(claims.exp, moment),
        }),
        Err(refusal) => {
            monitor.debug(|| format!("token: {}", crate::role::chain(&refusal)));
            Answer::detail(code_of(&refusal))
        }
    }
}

fn code_of(refusal: &TokenRefusal) -> TokenCode {
    match refusal {
        TokenRefusal::TooLong { .. } => TokenCode::TooLong,
        TokenRefusal::Malformed { .. } | TokenRefusal::Header { .. } | TokenRefusal::Claims { .. } => {
            TokenCode::Malformed
        }
        TokenRefusal::Expired { .. } => TokenCode::Expired,
        TokenRefusal::Revoked => TokenCode::Revoked,
        _ => TokenCode::Wrong,
    }
}

/// Says whether a call may revoke what belongs to a user: its own, or with a right to everybody's.
fn may_revoke(monitor: &Monitor, asked: Asking, user: &str) -> Result<(), Step> {
    let actor = monitor.actor(asked);
    if actor.as_ref().is_some_and(|actor| actor.as_str() == user) {
        return Ok(());
    }
    let subject = match actor {
        Some(actor) => Subject::user(actor),
        None => monitor.subject(asked).unwrap_or_default(),
    };
    monitor.require(asked, &subject, (CLASS, REVOKE, AccessLevel::Update))
}

fn revoke(monitor: &mut Monitor, asked: Asking, token: &Secret) -> Step {
    let moment = Moment::now();
    // Only a token that is good can be revoked; one that is not needs it no more.
    let claims = match monitor.proofs().tokens.validate(moment, token.expose(), None) {
        Ok(claims) => claims,
        Err(refusal) => return Answer::detail(code_of(&refusal)),
    };
    if let Err(step) = may_revoke(monitor, asked, claims.sub.as_str()) {
        return step;
    }
    if let Err(error) = monitor.proofs().tokens.revoke(moment, &claims) {
        return failed(monitor, &error);
    }
    monitor.actors().revoke_token(&claims.jti);
    Answer::json(&TokenAnswer::Revoked {})
}

fn revoke_all(monitor: &mut Monitor, asked: Asking, user: &str) -> Step {
    let user = user.to_ascii_uppercase();
    let Ok(name) = user.parse() else { return Answer::detail(TokenCode::TooLong) };
    if let Err(step) = may_revoke(monitor, asked, &user) {
        return step;
    }
    if let Err(error) = monitor.proofs().tokens.revoke_user(Moment::now(), &name) {
        return failed(monitor, &error);
    }
    monitor.actors().revoke_user(&name);
    Answer::json(&TokenAnswer::Revoked {})
}
