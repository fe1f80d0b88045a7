//! TICKET (21): one-time tickets for a user and an application.

use serde::{Deserialize, Serialize};

use super::limits::{APPLICATION_BYTES_MAX, ID_BYTES_MAX, Invalid, PASSWORD_BYTES_MAX, present};
use super::{Request, Secret, ServiceId};
use crate::code::TicketCode;

/// Generate or evaluate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ticket {
    /// Make one.
    Generate {
        /// For whom.
        user: String,
        /// For what.
        application: String,
    },
    /// Use one up.
    Evaluate {
        /// For whom.
        user: String,
        /// For what.
        application: String,
        /// The ticket.
        ticket: Secret,
    },
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketAnswer {
    /// A ticket.
    Generated {
        /// The ticket.
        ticket: Secret,
        /// How long it is good, in seconds.
        expires_in_s: u32,
    },
    /// It was good and is used up.
    Evaluated {},
}

impl Request for Ticket {
    const SERVICE: ServiceId = ServiceId::Ticket;
    const EXAMPLES: &'static [&'static str] = &[
        r#"{"generate": {"user": "USERID", "application": "APPL"}}"#,
        r#"{"evaluate": {"user": "USERID", "application": "APPL", "ticket": "ABCDEFGHIJKLMNOP"}}"#,
    ];
    type Answer = TicketAnswer;

    fn validate(&self) -> Result<(), Invalid> {
        let (Self::Generate { user, application } | Self::Evaluate { user, application, .. }) = self;
        let (empty, long) = (TicketCode::Empty, TicketCode::TooLong);
        present(user, ID_BYTES_MAX, "user", empty, long)?;
        present(application, APPLICATION_BYTES_MAX, "application", empty, long)?;
        match self {
            Self::Evaluate { ticket, .. } => {
                present(ticket.expose(), PASSWORD_BYTES_MAX, "ticket", empty, long)
            }
            Self::Generate { .. } => Ok(()),
        }
    }
}
