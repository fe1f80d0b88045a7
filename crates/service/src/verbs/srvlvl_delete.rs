//! SRVLVL DELETE: removes a level that nothing refers to any more.

use tender_package::manifest::{LevelRef, target};
use tender_package::{LevelName, Message, Outcome, Severity, Vrm};

use super::srvlvl_package::with_repository;
use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::level::{Level, Operation, Work};
use crate::principal::{Principal, Share};
use crate::tables::{levels, systems};

/// SRVLVL DELETE vrm level.
#[derive(Debug, Clone)]
pub struct SrvlvlDelete {
    /// The release.
    pub vrm: Vrm,
    /// The level.
    pub level: LevelName,
    /// Delete although it is locked, with the reason.
    pub force: Option<String>,
}

impl SrvlvlDelete {
    fn plan(&self, principal: &Principal) -> Result<Level, ServiceError> {
        let tables = principal.tables();
        let level = levels::expect(&tables, &self.vrm, &self.level)?;
        level.permits(Operation::Delete { is_forced: self.force.is_some() })?;
        let children = levels::children(&tables, &self.vrm, &self.level)?;
        let mut lines: Vec<String> =
            children.iter().map(|child| format!("level {child} is based on it")).collect();
        for system in systems::all(&tables, &self.vrm)? {
            let name = &system.record.name;
            let slots = system.info.iter().flat_map(|info| {
                [("test", &info.test), ("current", &info.current), ("previous", &info.previous)]
            });
            for (slot, _) in
                slots.filter(|(_, slot)| slot.as_ref().is_some_and(|slot| slot.level.level == self.level))
            {
                lines.push(format!("system {name} has it in slot {slot}"));
            }
            if system.info.is_none() && system.prod.as_ref().is_some_and(|(level, _)| *level == self.level) {
                lines.push(format!("system {name} is said to run it"));
            }
        }
        if lines.is_empty() {
            return Ok(level);
        }
        let text = format!("level {} is in use: {}", level.title(), lines.join("; "));
        Err(Refusal::new(158, text).lines(lines).hint("delete or move those first").into())
    }

    fn outcome(&self, verb: &str) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.say(Message::csm(
            159,
            Severity::I,
            format!("level {} {} {verb} deleted", self.vrm, self.level),
        ));
        outcome.data = serde_json::json!({ "vrm": self.vrm, "level": self.level });
        outcome
    }
}

impl Verb for SrvlvlDelete {
    fn word(&self) -> &'static str {
        "SRVLVL DELETE"
    }

    fn subject(&self) -> Subject {
        let force = self.force.as_ref().map_or_else(String::new, |reason| format!(" FORCE {reason}"));
        Subject::new(&self.vrm, format!("{}{force}", self.level))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        drop(self.plan(principal)?);
        Ok(self.outcome("would be"))
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_release(&self.vrm, Share::Exclusive, &context.operator, self.word())?;
        let mut level = self.plan(principal)?;
        level.work = Work::Deleting;
        levels::update(&principal.tables(), &level)?;
        let now = (context.now)();
        with_repository(principal, &self.vrm, |repository| {
            let known = repository.target_names();
            let reference =
                |generation| LevelRef { vrm: self.vrm.clone(), level: self.level.clone(), generation };
            let manifests = (1..=level.generation).map(|generation| target::manifest(&reference(generation)));
            let manifests: Vec<String> = manifests.filter(|name| known.contains(name)).collect();
            if manifests.is_empty() { Ok(()) } else { repository.publish(&[], &manifests, now).map(drop) }
        })?;
        principal.transaction(|tables| levels::delete(tables, &self.vrm, &self.level))?;
        Ok(self.outcome("is"))
    }
}
