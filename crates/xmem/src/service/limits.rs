//! Limits that several services have in common, and what is said when one is passed.

use serde::{Deserialize, Serialize};

/// Most bytes of a user or group: as many as names of Linux have, four times those of RACF.
pub const ID_BYTES_MAX: usize = 32;
/// Most bytes of a class.
pub const CLASS_BYTES_MAX: usize = 8;
/// Most bytes of a resource or profile.
pub const ENTITY_BYTES_MAX: usize = 255;
/// Most bytes of a password or phrase.
pub const PASSWORD_BYTES_MAX: usize = 100;
/// Most bytes of an application.
pub const APPLICATION_BYTES_MAX: usize = 8;
/// Most bytes of an identity token.
pub const TOKEN_BYTES_MAX: usize = 4096;
/// Most elements of one page.
pub const COUNT_MAX: u32 = 1000;
/// Most elements of a list that is not paged.
pub const CAPACITY_MAX: u32 = 8192;

/// A request that is outside of its service's limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The return code of the service.
    pub code: u32,
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it; never its value.
    pub reason: String,
}

impl Invalid {
    /// A refusal of `field` with `code`.
    pub fn new(code: impl Into<u32>, field: &'static str, reason: impl Into<String>) -> Self {
        Self { code: code.into(), field, reason: reason.into() }
    }
}

/// What comes with the code of a service that does not take a request: why, and what one looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotTaken {
    /// Which field, or `request` for all of it.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
    /// Requests as they may be, one of each kind.
    pub examples: Vec<serde_json::Value>,
}

impl NotTaken {
    /// For a request to the service of `R`.
    #[must_use]
    pub fn new<R: super::Request>(invalid: &Invalid) -> Self {
        Self {
            field: invalid.field.to_owned(),
            reason: invalid.reason.clone(),
            examples: R::EXAMPLES.iter().filter_map(|example| serde_json::from_str(example).ok()).collect(),
        }
    }
}

/// Text of at most `max` bytes without control characters; may be empty.
pub(super) fn text(
    value: &str,
    max: usize,
    field: &'static str,
    code: impl Into<u32>,
) -> Result<(), Invalid> {
    if value.len() > max {
        return Err(Invalid::new(code, field, format!("{} bytes, at most {max} are allowed", value.len())));
    }
    if value.chars().any(char::is_control) {
        return Err(Invalid::new(code, field, "has a control character"));
    }
    Ok(())
}

/// The same, and not empty.
pub(super) fn present(
    value: &str,
    max: usize,
    field: &'static str,
    empty: impl Into<u32>,
    code: impl Into<u32>,
) -> Result<(), Invalid> {
    if value.is_empty() {
        return Err(Invalid::new(empty, field, "is empty"));
    }
    text(value, max, field, code)
}

/// A page's count: 1 to 1000.
pub(super) fn count(value: u32, code: impl Into<u32>) -> Result<(), Invalid> {
    if value == 0 || value > COUNT_MAX {
        return Err(Invalid::new(code, "count", format!("{value} is not within 1 to {COUNT_MAX}")));
    }
    Ok(())
}

/// A list's capacity: 0 (only asks how many there are) to 8192.
pub(super) fn capacity(value: u32, code: impl Into<u32>) -> Result<(), Invalid> {
    if value > CAPACITY_MAX {
        return Err(Invalid::new(code, "capacity", format!("{value} is above {CAPACITY_MAX}")));
    }
    Ok(())
}

/// What `dry_run` is when it is not said.
pub(super) const fn dry_run() -> bool {
    true
}
