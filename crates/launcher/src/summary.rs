//! How a phase came out: one row for each component or check, with its time.

use serde::{Deserialize, Serialize};

/// The phases before a start, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Configuration and manifests are read and checked.
    Configuration,
    /// What concerns the whole instance is checked.
    Global,
    /// Every component checks itself.
    Validate,
    /// Every component is configured.
    Configure,
    /// What is to run is written down.
    Plan,
}

impl Phase {
    /// Returns its name, as a table shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Global => "global validation",
            Self::Validate => "validate",
            Self::Configure => "configure",
            Self::Plan => "plan",
        }
    }
}

/// How one component or check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All right.
    Done,
    /// There was nothing to do.
    Nothing,
    /// Goes on in spite of something.
    Warned,
    /// Left out, by the policy of the component.
    Skipped,
    /// Not all right: nothing starts.
    Failed,
}

/// One row of a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The component, or what was checked.
    pub name: String,
    /// How it came out.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Why it came out like that, in one line.
    #[serde(default)]
    pub reason: Option<String>,
    /// What its scripts printed, the last lines of it when it was much.
    #[serde(default)]
    pub output: Vec<String>,
}

impl Row {
    /// Makes a row that says nothing more than its outcome.
    pub fn new(name: impl Into<String>, outcome: Outcome, took_ms: u64) -> Self {
        Self { name: name.into(), outcome, took_ms, reason: None, output: Vec::new() }
    }

    /// Says why.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// A phase that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseSummary {
    /// Which.
    pub phase: Phase,
    /// How long all of it took, in milliseconds.
    pub took_ms: u64,
    /// Its rows, in the order of the configuration.
    pub rows: Vec<Row>,
}

impl PhaseSummary {
    /// Returns how the phase came out: the worst of its rows.
    #[must_use]
    pub fn worst(&self) -> Outcome {
        self.rows.iter().map(|row| row.outcome).max().unwrap_or(Outcome::Nothing)
    }
}
