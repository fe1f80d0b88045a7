//! SRVLVL QUERY: the levels of a release, one of them in full, or what one would change on a system.

use tender_package::{LevelName, Outcome, SystemName, Vrm};

use super::{Context, Subject, Verb};
use crate::error::ServiceError;
use crate::principal::Principal;
use crate::query;

/// SRVLVL QUERY vrm level|ALL.
#[derive(Debug, Clone)]
pub struct SrvlvlQuery {
    /// The release.
    pub vrm: Vrm,
    /// The level; all when absent.
    pub level: Option<LevelName>,
    /// The system on which changes are asked for.
    pub system: Option<SystemName>,
}

impl Verb for SrvlvlQuery {
    fn word(&self) -> &'static str {
        "SRVLVL QUERY"
    }

    fn subject(&self) -> Subject {
        let level = self.level.as_ref().map_or("ALL", LevelName::as_str);
        let system = self.system.as_ref().map_or_else(String::new, |system| format!(" SYSTEM {system}"));
        Subject::new(&self.vrm, format!("{level}{system}"))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        match (&self.level, &self.system) {
            (None, _) => query::levels_of(principal, &self.vrm),
            (Some(level), None) => query::level(principal, &self.vrm, level),
            (Some(level), Some(system)) => query::change_on(principal, &self.vrm, level, system),
        }
    }

    fn run(&self, principal: &Principal, _context: &Context<'_>) -> Result<Outcome, ServiceError> {
        self.check(principal)
    }
}
