//! AUTH (11): functions 0 to 4.

use serde::{Deserialize, Serialize};

use super::limits::{
    APPLICATION_BYTES_MAX, CLASS_BYTES_MAX, ENTITY_BYTES_MAX, ID_BYTES_MAX, Invalid, PASSWORD_BYTES_MAX,
    TOKEN_BYTES_MAX, present, text,
};
use super::{Level, Request, Secret, ServiceId};
use crate::code::AuthCode;

/// What AUTH is asked. An empty class means the one that `ZWES.AUTH.CLASS` names.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// 0: is this the user's password?
    Password {
        /// User.
        user: String,
        /// Password or phrase.
        password: Secret,
    },
    /// 1: has the user this access?
    Entity {
        /// User.
        user: String,
        /// Class.
        #[serde(default)]
        class: String,
        /// Resource.
        entity: String,
        /// Access.
        level: Level,
    },
    /// 2: which access has the user?
    Level {
        /// User.
        user: String,
        /// Class.
        #[serde(default)]
        class: String,
        /// Resource.
        entity: String,
    },
    /// 3: an identity token for the user, or is this one good? With a password it is made, with a token checked.
    Token {
        /// User.
        user: String,
        /// To have one made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<Secret>,
        /// To have one checked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Secret>,
        /// Application that it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        application: Option<String>,
    },
    /// 4: does the user exist?
    User {
        /// User.
        user: String,
    },
}

impl Auth {
    /// The function's number.
    #[must_use]
    pub const fn function(&self) -> u32 {
        match self {
            Self::Password { .. } => 0,
            Self::Entity { .. } => 1,
            Self::Level { .. } => 2,
            Self::Token { .. } => 3,
            Self::User { .. } => 4,
        }
    }

    /// The user that is asked about.
    #[must_use]
    pub fn user(&self) -> &str {
        match self {
            Self::Password { user, .. }
            | Self::Entity { user, .. }
            | Self::Level { user, .. }
            | Self::Token { user, .. }
            | Self::User { user } => user,
        }
    }
}

/// The three numbers of a security manager.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SafStatus {
    /// 0 yes, 4 no decision, 8 no.
    pub saf: u32,
    /// Return code behind it.
    pub racf: u32,
    /// Reason behind it.
    pub reason: u32,
}

/// What AUTH answers. `status` also comes with service codes 11 and 16 to 18.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuthAnswer {
    /// The security manager's numbers.
    pub status: SafStatus,
    /// Function 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Function 3: the token that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// Function 3: how long it is good, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u32>,
}

impl Request for Auth {
    const SERVICE: ServiceId = ServiceId::Auth;
    const EXAMPLES: &'static [&'static str] = &[
        r#"{"password": {"user": "USERID", "password": "…"}}"#,
        r#"{"entity": {"user": "USERID", "class": "FACILITY", "entity": "SOME.RESOURCE", "level": "READ"}}"#,
        r#"{"level": {"user": "USERID", "class": "FACILITY", "entity": "SOME.RESOURCE"}}"#,
        r#"{"token": {"user": "USERID", "password": "…", "application": "APPL"}}"#,
        r#"{"user": {"user": "USERID"}}"#,
    ];
    type Answer = AuthAnswer;

    fn is_repeatable(&self) -> bool {
        // Passwords are counted, tokens are made.
        matches!(self, Self::Entity { .. } | Self::Level { .. } | Self::User { .. })
    }

    fn validate(&self) -> Result<(), Invalid> {
        present(self.user(), ID_BYTES_MAX, "user", AuthCode::Empty, AuthCode::TooLong)?;
        let secret = |value: &Secret, max, field, empty: AuthCode| {
            present(value.expose(), max, field, empty, AuthCode::TooLong)
        };
        match self {
            Self::Password { password, .. } => {
                secret(password, PASSWORD_BYTES_MAX, "password", AuthCode::Empty)
            }
            Self::Entity { class, entity, .. } | Self::Level { class, entity, .. } => {
                text(class, CLASS_BYTES_MAX, "class", AuthCode::ClassTooLong)?;
                present(entity, ENTITY_BYTES_MAX, "entity", AuthCode::Empty, AuthCode::TooLong)
            }
            Self::Token { password, token, application, .. } => {
                if let Some(application) = application {
                    let (empty, long) = (AuthCode::Empty, AuthCode::TooLong);
                    present(application, APPLICATION_BYTES_MAX, "application", empty, long)?;
                }
                match (password, token) {
                    (Some(password), None) => {
                        secret(password, PASSWORD_BYTES_MAX, "password", AuthCode::Empty)
                    }
                    (None, Some(token)) => secret(token, TOKEN_BYTES_MAX, "token", AuthCode::TokenMissing),
                    _ => Err(Invalid::new(
                        AuthCode::TokenMissing,
                        "token",
                        "exactly one of password and token",
                    )),
                }
            }
            Self::User { .. } => Ok(()),
        }
    }
}
