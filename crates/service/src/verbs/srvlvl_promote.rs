//! SRVLVL PROMOTE: marks the package of a level STABLE, in the tables and in signed metadata.

use tender_package::manifest::{LevelRef, target};
use tender_package::repository::TargetCustom;
use tender_package::{LevelName, Message, Mode, Outcome, Severity, Vrm};

use super::srvlvl_package::{report_review, with_repository};
use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::fault;
use crate::level::{Level, Operation};
use crate::principal::{Principal, Share};
use crate::query;
use crate::tables::{levels, packages, test_runs};

/// SRVLVL PROMOTE vrm level.
#[derive(Debug, Clone)]
pub struct SrvlvlPromote {
    /// The release.
    pub vrm: Vrm,
    /// The level.
    pub level: LevelName,
    /// Promote although no system tested this generation, with the reason.
    pub force: Option<String>,
}

/// Checks that a level may become STABLE; `None` when it is, completely.
pub(super) fn plan(
    principal: &Principal,
    vrm: &Vrm,
    name: &LevelName,
    force: Option<&str>,
) -> Result<Option<Level>, ServiceError> {
    let (level, content) = {
        let tables = principal.tables();
        (levels::expect(&tables, vrm, name)?, levels::content(&tables, vrm, name)?)
    };
    if level.state == Mode::Stable {
        return Ok((!level.is_signed).then_some(level));
    }
    level.permits(Operation::Promote)?;
    query::refuse_holds(principal, &level, &content, None)?;
    let failed = test_runs::failed(&principal.tables(), vrm, name, level.generation)?;
    if let (Some((system, run)), None) = (failed.first(), force) {
        let text = format!("the test instance of {system} did not take {}: {}", run.level, run.summary);
        return Err(Refusal::new(149, text)
            .hint(format!(
                "correct the level and send it again for a test; servmgr system query {vrm} {system}"
            ))
            .into());
    }
    let package = packages::find(&principal.tables(), vrm, name, level.generation)?;
    if !package.is_some_and(|package| package.is_tested) && force.is_none() {
        let text = format!(
            "no system has loaded generation {} of level {} for a test",
            level.generation,
            level.title()
        );
        return Err(Refusal::new(154, text)
            .hint(format!(
                "tender servmgr srvlvl send {} SYSTEM --test, or give --force REASON",
                level.title()
            ))
            .into());
    }
    Ok(Some(level))
}

/// Makes a level STABLE; the caller holds the release's lock. Doing it again completes what was interrupted.
pub(super) fn promote(
    principal: &Principal,
    context: &Context<'_>,
    vrm: &Vrm,
    name: &LevelName,
    force: Option<&str>,
) -> Result<bool, ServiceError> {
    let Some(mut level) = plan(principal, vrm, name, force)? else { return Ok(false) };
    level.state = Mode::Stable;
    level.is_locked = true;
    level.is_signed = false;
    levels::update(&principal.tables(), &level)?;
    fault::point("promote.recorded");
    sign(principal, context, &mut level)?;
    fault::point("promote.signed");
    Ok(true)
}

/// Writes a level's state into the signed metadata of its newest package.
pub(super) fn sign(
    principal: &Principal,
    context: &Context<'_>,
    level: &mut Level,
) -> Result<(), ServiceError> {
    let generation = level.generation;
    let reference = LevelRef { vrm: level.vrm.clone(), level: level.name.clone(), generation };
    let custom = TargetCustom { state: level.state, content: level.content, generation };
    let now = (context.now)();
    with_repository(principal, &level.vrm, |repository| {
        repository.set_custom(&target::manifest(&reference), &custom, now)
    })?;
    level.is_signed = true;
    levels::update(&principal.tables(), level)
}

impl SrvlvlPromote {
    fn outcome(&self, principal: &Principal, is_new: bool, verb: &str) -> Result<Outcome, ServiceError> {
        let mut outcome = Outcome::default();
        let title = format!("{} {}", self.vrm, self.level);
        outcome.say(if is_new {
            Message::csm(155, Severity::I, format!("level {title} {verb} STABLE and locked"))
        } else {
            Message::csm(156, Severity::W, format!("level {title} is STABLE already"))
        });
        outcome.data =
            serde_json::json!({ "vrm": self.vrm, "level": self.level, "state": "STABLE", "is_new": is_new });
        let level = levels::expect(&principal.tables(), &self.vrm, &self.level)?;
        report_review(principal, &level, &mut outcome)?;
        Ok(outcome)
    }
}

impl Verb for SrvlvlPromote {
    fn word(&self) -> &'static str {
        "SRVLVL PROMOTE"
    }

    fn subject(&self) -> Subject {
        let force = self.force.as_ref().map_or_else(String::new, |reason| format!(" FORCE {reason}"));
        Subject::new(&self.vrm, format!("{}{force}", self.level))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let is_new = plan(principal, &self.vrm, &self.level, self.force.as_deref())?.is_some();
        self.outcome(principal, is_new, "would become")
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_release(&self.vrm, Share::Exclusive, &context.operator, self.word())?;
        let is_new = promote(principal, context, &self.vrm, &self.level, self.force.as_deref())?;
        self.outcome(principal, is_new, "is now")
    }
}
