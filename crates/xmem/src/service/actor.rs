//! ACTOR (6): another identity for calls of this connection, against a proof.

use serde::{Deserialize, Serialize};

use super::limits::{
    APPLICATION_BYTES_MAX, ID_BYTES_MAX, Invalid, PASSWORD_BYTES_MAX, TOKEN_BYTES_MAX, present,
};
use super::{Request, Secret, ServiceId};
use crate::code::AuthCode;

/// Issue or release an actor. Service codes are those of AUTH.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Actor {
    /// Make one.
    Issue {
        /// What shows that the caller may act for the user.
        proof: Proof,
    },
    /// Give one back before its time.
    Release(u64),
}

/// What shows that a caller may act for a user.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Proof {
    /// The user's password.
    Password {
        /// User.
        user: String,
        /// Password.
        password: Secret,
    },
    /// A one-time ticket.
    Ticket {
        /// User that it was made for.
        user: String,
        /// Application that it was made for.
        application: String,
        /// The ticket.
        ticket: Secret,
    },
    /// An identity token.
    Token {
        /// The token.
        token: Secret,
    },
    /// Nothing but the permission of the connection to act for this user (class SURROGAT, `<user>.ZWES`).
    Surrogate {
        /// User.
        user: String,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorAnswer {
    /// An actor.
    Issued {
        /// To be named in the header of calls; good on this connection only.
        handle: u64,
        /// Who it is.
        user: String,
        /// How long it is good, in seconds.
        expires_in_s: u32,
    },
    /// It is gone.
    Released {},
}

impl Request for Actor {
    const SERVICE: ServiceId = ServiceId::Actor;
    const EXAMPLES: &'static [&'static str] = &[
        r#"{"issue": {"proof": {"password": {"user": "USERID", "password": "…"}}}}"#,
        r#"{"issue": {"proof": {"ticket": {"user": "USERID", "application": "APPL", "ticket": "ABCDEFGHIJKLMNOP"}}}}"#,
        r#"{"issue": {"proof": {"token": {"token": "…"}}}}"#,
        r#"{"issue": {"proof": {"surrogate": {"user": "USERID"}}}}"#,
        r#"{"release": 1}"#,
    ];
    type Answer = ActorAnswer;

    fn validate(&self) -> Result<(), Invalid> {
        let user = |user: &str| present(user, ID_BYTES_MAX, "user", AuthCode::Empty, AuthCode::TooLong);
        match self {
            Self::Release(0) => Err(Invalid::new(AuthCode::Missing, "release", "0 is no handle")),
            Self::Release(_) => Ok(()),
            Self::Issue { proof: Proof::Password { user: name, password } } => {
                user(name)?;
                let password = password.expose();
                present(password, PASSWORD_BYTES_MAX, "password", AuthCode::Empty, AuthCode::TooLong)
            }
            Self::Issue { proof: Proof::Ticket { user: name, application, ticket } } => {
                user(name)?;
                let (empty, long) = (AuthCode::Empty, AuthCode::TooLong);
                present(application, APPLICATION_BYTES_MAX, "application", empty, long)?;
                present(ticket.expose(), PASSWORD_BYTES_MAX, "ticket", empty, long)
            }
            Self::Issue { proof: Proof::Token { token } } => {
                present(token.expose(), TOKEN_BYTES_MAX, "token", AuthCode::TokenMissing, AuthCode::TooLong)
            }
            Self::Issue { proof: Proof::Surrogate { user: name } } => user(name),
        }
    }
}
