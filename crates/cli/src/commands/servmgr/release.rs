//! Finds the release when it was left out.

use tender_package::{LevelName, Vrm};
use tender_service::system::Target;
use tender_service::{Principal, Refusal, ServiceError};

use super::Release;

impl Release {
    /// Returns the release; when it was left out, the only one that has `level`.
    pub(super) fn of_level(self, principal: &Principal, level: &LevelName) -> Result<Vrm, ServiceError> {
        match self {
            Self::Named(vrm) => Ok(vrm),
            Self::Omitted => only("level", level.as_str(), principal.releases_with_level(level)?),
        }
    }

    /// Returns the release; when it was left out, that of the named system, or the only one there is.
    pub(super) fn of_target(self, principal: &Principal, target: &Target) -> Result<Vrm, ServiceError> {
        match (self, target) {
            (Self::Named(vrm), _) => Ok(vrm),
            (Self::Omitted, Target::All) => Self::Omitted.only(principal),
            (Self::Omitted, Target::Named(name)) => {
                let candidates = principal.release_of_system(name)?.into_iter().collect();
                only("system", name.as_str(), candidates)
            }
        }
    }

    /// Returns the release; when it was left out, the only one there is.
    pub(super) fn only(self, principal: &Principal) -> Result<Vrm, ServiceError> {
        match self {
            Self::Named(vrm) => Ok(vrm),
            Self::Omitted => only("release", "", principal.releases()?),
        }
    }
}

fn only(kind: &'static str, name: &str, candidates: Vec<Vrm>) -> Result<Vrm, ServiceError> {
    match candidates.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(ServiceError::Unknown {
            kind,
            name: name.to_owned(),
            hint: "put the release before the name, such as 720".to_owned(),
        }),
        many => {
            let many: Vec<_> = many.iter().map(Vrm::as_str).collect();
            Err(Refusal::new(113, format!("the release was left out and could be {}", many.join(" or ")))
                .hint("put the release before the name")
                .into())
        }
    }
}
