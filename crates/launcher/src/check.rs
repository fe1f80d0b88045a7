//! One line of a report of checks.

use serde::{Deserialize, Serialize};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckOutcome {
    /// As it should be.
    Passed,
    /// It could not be checked, or does not apply.
    Skipped,
    /// Works, but look at it.
    Warned,
    /// Not as it should be.
    Failed,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was checked.
    pub what: String,
    /// How it went.
    pub outcome: CheckOutcome,
    /// What was found.
    pub found: String,
}

impl Check {
    fn new(what: impl Into<String>, outcome: CheckOutcome, found: impl Into<String>) -> Self {
        Self { what: what.into(), outcome, found: found.into() }
    }

    pub(crate) fn passed(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(what, CheckOutcome::Passed, found)
    }

    pub(crate) fn skipped(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(what, CheckOutcome::Skipped, found)
    }

    pub(crate) fn warned(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(what, CheckOutcome::Warned, found)
    }

    pub(crate) fn failed(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(what, CheckOutcome::Failed, found)
    }
}
