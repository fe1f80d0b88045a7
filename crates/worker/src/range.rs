//! Ranges of numbers that an administrator allows: uids, gids, ports.

use serde::{Deserialize, Serialize};

/// Numbers from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The lowest.
    pub first: u32,
    /// The highest.
    pub last: u32,
}

impl Range {
    /// A range from `first` to `last`.
    #[must_use]
    pub const fn new(first: u32, last: u32) -> Self {
        Self { first, last }
    }

    /// Whether one of the ranges has the number.
    #[must_use]
    pub fn any_has(ranges: &[Self], number: u32) -> bool {
        ranges.iter().any(|range| range.first <= number && number <= range.last)
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}-{}", self.first, self.last)
    }
}
