//! ACTOR (6): another identity for calls of this connection, against a proof.

use std::os::fd::OwnedFd;

use tender_identity::{ActorHandle, ConnectionId, Moment, Proof as Proven, UserName, random_u64};
use tender_saf::AccessLevel;
use tender_xmem::code::{AuthCode, CmsCode};
use tender_xmem::service::{Actor, ActorAnswer, Proof, Request as _};

use super::auth::{self, Checked};
use crate::link::ToFront;
use crate::monitor::Monitor;
use crate::monitor::calls::{Answer, Asking, Step};

/// The class whose profile `<user>.ZWES` lets a connection act for a user without a proof.
const SURROGATE: &str = "SURROGAT";

pub(super) fn call(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    let request = match Actor::decode(payload) {
        Ok(request) => request,
        Err(invalid) => return Answer::not_taken::<Actor>(&invalid),
    };
    let proof = match request {
        Actor::Release(handle) => return release(monitor, asked, handle),
        Actor::Issue { proof } => proof,
    };
    match proof {
        Proof::Password { user, password } => {
            let Ok(name) = user.to_ascii_uppercase().parse::<UserName>() else {
                return Answer::detail(AuthCode::CreateFailed);
            };
            auth::check_password(
                monitor,
                asked,
                &user,
                password,
                move |monitor, asked, checked| match checked {
                    Checked::Right => issue(monitor, asked, name, Proven::Password),
                    Checked::Wrong(_) => Answer::detail(AuthCode::CreateFailed),
                    Checked::Ended => Answer::code(CmsCode::ServiceEnded),
                },
            )
        }
        Proof::Ticket { user, application, ticket } => {
            let names = (user.to_ascii_uppercase().parse::<UserName>(), application.parse());
            let (Ok(user), Ok(application)) = names else { return Answer::detail(AuthCode::CreateFailed) };
            let good = monitor.proofs().tickets.evaluate(Moment::now(), &user, &application, ticket.expose());
            match good {
                Ok(()) => issue(monitor, asked, user, Proven::Ticket { application }),
                Err(refusal) => {
                    monitor.debug(|| format!("ticket of {user}: {}", crate::role::chain(&refusal)));
                    Answer::detail(AuthCode::CreateFailed)
                }
            }
        }
        Proof::Token { token } => match monitor.proofs().tokens.validate(Moment::now(), token.expose(), None)
        {
            Ok(claims) => issue(monitor, asked, claims.sub.clone(), Proven::token(&claims)),
            Err(refusal) => {
                monitor.debug(|| format!("token: {}", crate::role::chain(&refusal)));
                Answer::detail(AuthCode::CreateFailed)
            }
        },
        Proof::Surrogate { user } => surrogate(monitor, asked, &user),
    }
}

fn surrogate(monitor: &mut Monitor, asked: Asking, user: &str) -> Step {
    let Some(subject) = monitor.subject(asked) else { return Answer::code(CmsCode::Error) };
    let user = user.to_ascii_uppercase();
    let resource = format!("{user}.ZWES");
    if let Err(step) = monitor.require(asked, &subject, (SURROGATE, &resource, AccessLevel::Read)) {
        return step;
    }
    let by = subject.user.map(|id| id.to_string()).unwrap_or_default();
    match (user.parse(), by.parse()) {
        (Ok(user), Ok(by)) => issue(monitor, asked, user, Proven::Surrogate { by }),
        _ => Answer::detail(AuthCode::CreateFailed),
    }
}

fn issue(monitor: &mut Monitor, asked: Asking, user: UserName, proof: Proven) -> Step {
    // Somebody whom the database does not know, or has revoked, may nothing: so there is nothing to act for.
    let epoch = match monitor.policy() {
        Some(policy) => {
            let id = user.as_str().parse::<tender_saf::Id>().ok();
            let known = id.and_then(|id| policy.database.users.get(&id));
            if known.is_none_or(|user| user.flags.is_revoked) {
                return Answer::detail(AuthCode::CreateFailed);
            }
            policy.epoch
        }
        None => return Answer::code(CmsCode::ServerNotReady),
    };
    let moment = Moment::now();
    let connection = ConnectionId(asked.connection);
    let issued = monitor.actors().issue(moment, connection, user.clone(), proof, epoch, random_u64);
    let handle = match issued {
        Ok(handle) => handle,
        Err(error) => {
            monitor.debug(|| format!("actor {user}: {}", crate::role::chain(&error)));
            return Answer::code(CmsCode::NoRoom);
        }
    };
    let ends_ms = monitor.actors().find(moment, connection, handle).map_or(0, |actor| actor.ends_ms);
    let named = ToFront::Actor {
        connection: asked.connection,
        handle: handle.number(),
        user: Some(user.as_str().to_owned()),
    };
    monitor.tell_front(&named, &[], Vec::new());
    Answer::json(&ActorAnswer::Issued {
        handle: handle.number(),
        user: user.as_str().to_owned(),
        expires_in_s: u32::try_from(ends_ms.saturating_sub(moment.steady_ms) / 1000).unwrap_or(u32::MAX),
    })
}

fn release(monitor: &mut Monitor, asked: Asking, handle: u64) -> Step {
    let released = ActorHandle::new(handle)
        .is_some_and(|handle| monitor.actors().release(ConnectionId(asked.connection), handle).is_ok());
    if !released {
        return Answer::detail(AuthCode::Missing);
    }
    let gone = ToFront::Actor { connection: asked.connection, handle, user: None };
    monitor.tell_front(&gone, &[], Vec::new());
    Answer::json(&ActorAnswer::Released {})
}
