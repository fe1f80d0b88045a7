//! SYSTEM QUERY: what is known of systems.

use tender_package::{Outcome, Vrm};

use super::{Context, Subject, Verb};
use crate::error::ServiceError;
use crate::principal::Principal;
use crate::query;
use crate::system::Target;

/// SYSTEM QUERY vrm target.
#[derive(Debug, Clone)]
pub struct SystemQuery {
    /// The release.
    pub vrm: Vrm,
    /// Which systems.
    pub target: Target,
}

impl Verb for SystemQuery {
    fn word(&self) -> &'static str {
        "SYSTEM QUERY"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, self.target.to_string())
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        query::systems_of(principal, &self.vrm, &self.target, jiff::Timestamp::UNIX_EPOCH)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        query::systems_of(principal, &self.vrm, &self.target, (context.now)())
    }
}
