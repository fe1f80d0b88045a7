//! SRVLVL COMPARE: how two levels differ.

use tender_package::{LevelName, Outcome, Vrm};

use super::{Context, Subject, Verb};
use crate::error::ServiceError;
use crate::principal::Principal;
use crate::query;

/// SRVLVL COMPARE vrm level level.
#[derive(Debug, Clone)]
pub struct SrvlvlCompare {
    /// The release.
    pub vrm: Vrm,
    /// One level.
    pub level: LevelName,
    /// The other.
    pub other: LevelName,
}

impl Verb for SrvlvlCompare {
    fn word(&self) -> &'static str {
        "SRVLVL COMPARE"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, format!("{} {}", self.level, self.other))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        query::compare(principal, &self.vrm, &self.level, &self.other)
    }

    fn run(&self, principal: &Principal, _context: &Context<'_>) -> Result<Outcome, ServiceError> {
        self.check(principal)
    }
}
