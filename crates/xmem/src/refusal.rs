//! Why a call was refused, for who may know.

use serde::{Deserialize, Serialize};

/// The payload of a WELCOME or REPLY with code 33 (or 17) for callers who may read FACILITY `ZWES.IS.EXPLAIN`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Who was refused.
    pub subject: String,
    /// Class of the resource.
    pub class: String,
    /// Resource.
    pub resource: String,
    /// Access that it takes.
    pub level: String,
    /// Rule that decided.
    pub rule: String,
    /// What would allow it, as a command.
    pub remedy: String,
    /// Number of the audit record.
    pub reference: u64,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} needs {} on {} {}: {}",
            self.subject, self.level, self.class, self.resource, self.rule
        )
    }
}
