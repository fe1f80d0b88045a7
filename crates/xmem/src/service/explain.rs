//! EXPLAIN (26): who can call what, and the last refusals.

use serde::{Deserialize, Serialize};

use super::limits::{COUNT_MAX, Invalid, present};
use super::{Request, ServiceId};
use crate::code::AuthCode;
use crate::refusal::Refusal;

const NAME_BYTES_MAX: usize = 33;

/// What is to be explained. Service codes are those of AUTH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Explain {
    /// Who can call this service.
    WhoCan {
        /// `LOG`, or `<PLUG-IN>.<SERVICE>`.
        service: String,
    },
    /// The last refusals, newest first.
    Refusals {
        /// How many, 1 to 1000.
        count: u32,
        /// Only those of this uid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
    },
    /// The refusal with this number.
    Reference(u64),
}

/// Somebody who can call a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoCan {
    /// User, group, or `*` for everybody.
    pub id: String,
    /// Through which rule of which profile.
    pub rule: String,
}

/// A refusal and when it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalRecord {
    /// Time, RFC 3339.
    pub time: String,
    /// Uid of the connection.
    pub uid: u32,
    /// Number of the connection.
    pub connection: u64,
    /// Service.
    pub service: String,
    /// CMS code that the caller got.
    pub code: u32,
    /// Why.
    pub refusal: Refusal,
}

/// The explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExplainAnswer {
    /// Answer to [`Explain::WhoCan`].
    WhoCan {
        /// The resource of the service.
        resource: String,
        /// Who.
        who: Vec<WhoCan>,
    },
    /// Answer to the two others; empty when there is none.
    Refusals(Vec<RefusalRecord>),
}

impl Request for Explain {
    const SERVICE: ServiceId = ServiceId::Explain;
    const EXAMPLES: &'static [&'static str] = &[
        r#"{"who_can": {"service": "STATUS"}}"#,
        r#"{"refusals": {"count": 10, "uid": 1000}}"#,
        r#"{"reference": 1}"#,
    ];
    type Answer = ExplainAnswer;

    fn validate(&self) -> Result<(), Invalid> {
        match self {
            Self::WhoCan { service } => {
                present(service, NAME_BYTES_MAX, "service", AuthCode::Empty, AuthCode::TooLong)
            }
            Self::Refusals { count, .. } if *count == 0 || *count > COUNT_MAX => {
                let reason = format!("{count} is not within 1 to {COUNT_MAX}");
                Err(Invalid::new(AuthCode::TooLong, "count", reason))
            }
            Self::Refusals { .. } => Ok(()),
            Self::Reference(0) => Err(Invalid::new(AuthCode::Empty, "reference", "is 0")),
            Self::Reference(_) => Ok(()),
        }
    }
}
