//! RELEASE DELETE: drops a release with everything that belongs to it.

use tender_package::{LevelName, Message, Outcome, Severity, SystemName, Vrm};

use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::level::Work;
use crate::principal::{Principal, Share};
use crate::tables::{levels, releases, systems};

/// RELEASE DELETE vrm.
#[derive(Debug, Clone)]
pub struct ReleaseDelete {
    /// The release.
    pub vrm: Vrm,
    /// Delete although it has levels besides BASE, with the reason.
    pub force: Option<String>,
}

impl ReleaseDelete {
    /// Returns the levels that go; refuses a release that systems are on, or that work went into.
    fn plan(&self, principal: &Principal) -> Result<Vec<LevelName>, ServiceError> {
        let tables = principal.tables();
        releases::expect(&tables, &self.vrm)?;
        let rows = systems::all(&tables, &self.vrm)?;
        let names: Vec<&SystemName> = rows.iter().map(|row| &row.record.name).collect();
        if let Some(first) = names.first() {
            let all: Vec<String> = names.iter().map(ToString::to_string).collect();
            let text = format!("release {} has systems: {}", self.vrm, all.join(", "));
            let hint = format!("tender servmgr system delete {} {first}", self.vrm);
            return Err(Refusal::new(290, text).hint(hint).into());
        }
        let names: Vec<LevelName> =
            levels::all(&tables, &self.vrm)?.into_iter().map(|level| level.name).collect();
        let own: Vec<String> = names.iter().filter(|name| !name.is_base()).map(ToString::to_string).collect();
        if self.force.is_none() && !own.is_empty() {
            let text = format!("release {} has levels: {}", self.vrm, own.join(", "));
            let hint = format!("tender servmgr release delete {} --force REASON", self.vrm);
            return Err(Refusal::new(291, text).hint(hint).into());
        }
        Ok(names)
    }

    fn outcome(&self, levels: &[LevelName], verb: &str) -> Outcome {
        let mut outcome = Outcome::default();
        let names: Vec<String> = levels.iter().map(ToString::to_string).collect();
        let text = format!("release {} {verb} deleted with levels {}", self.vrm, names.join(", "));
        outcome.say(
            Message::csm(292, Severity::I, text)
                .with_hint("`tender servmgr store gc` frees the room its objects take"),
        );
        outcome.data = serde_json::json!({ "vrm": self.vrm, "levels": levels });
        outcome
    }

    /// Removes the directory of a release whose rows are gone; what is not there is removed.
    fn remove_directory(&self, principal: &Principal) -> Result<bool, ServiceError> {
        let dir = principal.release_dir(&self.vrm);
        if !dir.exists() {
            return Ok(false);
        }
        let doing = format!("removing {}", dir.display());
        tender_content::remove_tree(&dir).map_err(ServiceError::content(doing))?;
        Ok(true)
    }
}

impl Verb for ReleaseDelete {
    fn word(&self) -> &'static str {
        "RELEASE DELETE"
    }

    fn subject(&self) -> Subject {
        let force = self.force.as_ref().map_or_else(String::new, |reason| format!("FORCE {reason}"));
        Subject::new(&self.vrm, force)
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        Ok(self.outcome(&self.plan(principal)?, "would be"))
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_release(&self.vrm, Share::Exclusive, &context.operator, self.word())?;
        let names = match self.plan(principal) {
            // A killed command left the directory alone.
            Err(ServiceError::Unknown { .. }) if self.remove_directory(principal)? => {
                return Ok(self.outcome(&[], "is"));
            }
            planned => planned?,
        };
        principal.transaction(|tables| {
            let mut open = levels::all(tables, &self.vrm)?;
            // Levels go before those they are based on.
            while let Some(at) = open
                .iter()
                .position(|level| open.iter().all(|other| other.parent.as_ref() != Some(&level.name)))
            {
                let mut level = open.remove(at);
                level.work = Work::Deleting;
                levels::update(tables, &level)?;
                levels::delete(tables, &self.vrm, &level.name)?;
            }
            releases::delete(tables, &self.vrm)
        })?;
        crate::fault::point("release_delete.recorded");
        self.remove_directory(principal)?;
        Ok(self.outcome(&names, "is"))
    }
}
