//! FIX QUERY: where a fix is, and where it is missing.

use tender_package::{FixId, Outcome, Vrm};

use super::{Context, Subject, Verb};
use crate::error::ServiceError;
use crate::principal::Principal;
use crate::query;

/// FIX QUERY vrm fix.
#[derive(Debug, Clone)]
pub struct FixQuery {
    /// The release.
    pub vrm: Vrm,
    /// The fix.
    pub fix: FixId,
}

impl Verb for FixQuery {
    fn word(&self) -> &'static str {
        "FIX QUERY"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, self.fix.to_string())
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        query::fix(principal, &self.vrm, &self.fix)
    }

    fn run(&self, principal: &Principal, _context: &Context<'_>) -> Result<Outcome, ServiceError> {
        self.check(principal)
    }
}
