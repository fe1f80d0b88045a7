//! TOKEN (22): signed identity tokens.

use serde::{Deserialize, Serialize};

use super::limits::{APPLICATION_BYTES_MAX, ID_BYTES_MAX, Invalid, TOKEN_BYTES_MAX, present};
use super::{Request, Secret, ServiceId};
use crate::code::TokenCode;

/// Generate, validate or revoke.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Token {
    /// Make one for the actor of the call.
    Generate {
        /// Only good for this application; for all when it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        application: Option<String>,
        /// How long it shall be good, in seconds; the server's own when it is not said, never longer than that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lifetime_s: Option<u32>,
    },
    /// Is it good?
    Validate {
        /// The token.
        token: Secret,
        /// For this application.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        application: Option<String>,
    },
    /// It shall not be good any more.
    Revoke {
        /// The token.
        token: Secret,
    },
    /// No token that this user got until now shall be good any more.
    RevokeAll {
        /// User.
        user: String,
    },
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenAnswer {
    /// A token.
    Generated {
        /// The token.
        token: Secret,
        /// Its number, for the log.
        id: String,
        /// How long it is good, in seconds.
        expires_in_s: u32,
    },
    /// It is good.
    Validated {
        /// Who it stands for.
        user: String,
        /// Its number.
        id: String,
        /// What it is restricted to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        application: Option<String>,
        /// How long it is still good, in seconds.
        expires_in_s: u32,
    },
    /// It is not good any more.
    Revoked {},
}

impl Request for Token {
    const SERVICE: ServiceId = ServiceId::Token;
    const EXAMPLES: &'static [&'static str] = &[
        r#"{"generate": {"application": "APPL", "lifetime_s": 900}}"#,
        r#"{"validate": {"token": "…"}}"#,
        r#"{"revoke": {"token": "…"}}"#,
        r#"{"revoke_all": {"user": "USERID"}}"#,
    ];
    type Answer = TokenAnswer;

    fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Generate { .. })
    }

    fn validate(&self) -> Result<(), Invalid> {
        let (empty, long) = (TokenCode::Empty, TokenCode::TooLong);
        if let Self::Generate { application: Some(name), .. }
        | Self::Validate { application: Some(name), .. } = self
        {
            present(name, APPLICATION_BYTES_MAX, "application", empty, long)?;
        }
        match self {
            Self::Generate { lifetime_s: Some(0), .. } => Err(Invalid::new(empty, "lifetime_s", "is 0")),
            Self::Generate { .. } => Ok(()),
            Self::Validate { token, .. } | Self::Revoke { token } => {
                present(token.expose(), TOKEN_BYTES_MAX, "token", empty, long)
            }
            Self::RevokeAll { user } => present(user, ID_BYTES_MAX, "user", empty, long),
        }
    }
}
