//! Finds the release when it was left out.

use tender_package::{LevelName, Vrm};
use tender_service::{Principal, ServiceError};

use super::Release;

impl Release {
    /// Returns the release; when it was left out, the only one that has `level`.
    pub(super) fn of_level(self, principal: &Principal, level: &LevelName) -> Result<Vrm, ServiceError> {
        match self {
            Self::Named(vrm) => Ok(vrm),
            Self::Omitted => principal.only_release_with(Some(level)),
        }
    }

    /// Returns the release; when it was left out, the only one there is.
    pub(super) fn only(self, principal: &Principal) -> Result<Vrm, ServiceError> {
        match self {
            Self::Named(vrm) => Ok(vrm),
            Self::Omitted => principal.only_release_with(None),
        }
    }
}
