//! SYSTEM FALLBACK: back to what was in production before.

use tender_package::report::SystemInfo;
use tender_package::request::Verb as Asked;
use tender_package::{Message, Mode, Outcome, ReturnCode, Severity, Vrm};

use super::system_put2prod::{is_promoting, set_step};
use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::principal::Principal;
use crate::query;
use crate::shapes::{PairState, SystemRecord};
use crate::system::{self, Target};
use crate::tables::systems::{self, SystemRow};
use crate::tables::{levels, requests};

/// SYSTEM FALLBACK vrm target.
#[derive(Debug, Clone)]
pub struct SystemFallback {
    /// The release.
    pub vrm: Vrm,
    /// Which systems.
    pub target: Target,
}

impl SystemFallback {
    fn plan(&self, system: &SystemRow) -> Result<String, Refusal> {
        let previous = system.info.as_ref().and_then(|info| info.previous.as_ref());
        previous.map(|slot| slot.level.to_string()).ok_or_else(|| {
            Refusal::new(193, format!("system {} has nothing to fall back to", system.record.name)).hint(
                format!(
                    "send it another level: tender servmgr srvlvl send {} LEVEL {}",
                    self.vrm, system.record.name
                ),
            )
        })
    }

    /// Warns of a level that was withdrawn, or has fixes that are held, since it was in production.
    fn warn(
        &self,
        principal: &Principal,
        system: &SystemRow,
        outcome: &mut Outcome,
    ) -> Result<(), ServiceError> {
        let Some(slot) = system.info.as_ref().and_then(|info| info.previous.as_ref()) else { return Ok(()) };
        let (level, content) = {
            let tables = principal.tables();
            let Some(level) = levels::find(&tables, &self.vrm, &slot.level.level)? else { return Ok(()) };
            let content = levels::content(&tables, &self.vrm, &slot.level.level)?;
            (level, content)
        };
        if level.state == Mode::Withdrawn {
            let text = format!("level {} was withdrawn", level.title());
            outcome.say(Message::csm(232, Severity::W, text));
        }
        match query::refuse_holds(principal, &level, &content, Some(&system.record.name)) {
            Err(ServiceError::Refused(held)) => {
                outcome.say(Message::csm(held.number, Severity::W, held.text));
            }
            other => other?,
        }
        Ok(())
    }

    fn fall_back(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        system: &SystemRow,
    ) -> Result<Outcome, ServiceError> {
        let record = &system.record;
        let mut visit = system::visit(principal, context, system, self.word())?;
        let fresh = &visit.system;
        let is_resumed = requests::open(&principal.tables(), &record.name, Asked::Fallback.word())?.is_some();
        // A FALLBACK that was interrupted may have been done there already: a second one would go forth again.
        if !is_resumed {
            if let Some(done) = self.already(principal, context, fresh)? {
                return Ok(done);
            }
            drop(self.plan(fresh)?);
            if let Some(previous) = fresh.info.as_ref().and_then(|info| info.previous.as_ref()) {
                set_step(principal, context, record, &previous.level, PairState::Promoting, None)?;
            }
        }
        let mut warned = Outcome::default();
        if !is_resumed {
            self.warn(principal, fresh, &mut warned)?;
        }
        let points = Some(("fallback.requested", "fallback.ended"));
        let result = system::ask(principal, context, record, visit.link.as_mut(), Asked::Fallback, points)?;
        let mut outcome = result.outcome;
        if outcome.code <= ReturnCode::Warning {
            conclude(principal, context, record, &result.info, &mut outcome)?;
        }
        for message in warned.messages {
            outcome.say(message);
        }
        Ok(outcome)
    }

    /// Recognises a system where an interrupted FALLBACK came to its end: what it went back to is current.
    fn already(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        system: &SystemRow,
    ) -> Result<Option<Outcome>, ServiceError> {
        let Some(info) = &system.info else { return Ok(None) };
        let Some(current) = &info.current else { return Ok(None) };
        if !is_promoting(principal, &system.record, &current.level)? {
            return Ok(None);
        }
        let mut outcome = Outcome::default();
        conclude(principal, context, &system.record, info, &mut outcome)?;
        Ok(Some(outcome))
    }
}

/// Records where the system stands now.
fn conclude(
    principal: &Principal,
    context: &Context<'_>,
    record: &SystemRecord,
    info: &SystemInfo,
    outcome: &mut Outcome,
) -> Result<(), ServiceError> {
    for (state, slot) in [(PairState::Prod, &info.current), (PairState::Previous, &info.previous)] {
        if let Some(slot) = slot {
            set_step(principal, context, record, &slot.level, state, Some(outcome.code))?;
        }
    }
    systems::follow_production(&principal.tables(), &record.name, (context.now)())?;
    if let Some(current) = &info.current {
        outcome.say(Message::csm(194, Severity::I, format!("{} is in production again", current.level)));
    }
    Ok(())
}

impl Verb for SystemFallback {
    fn word(&self) -> &'static str {
        "SYSTEM FALLBACK"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, self.target.to_string())
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let targets = system::expand(&principal.tables(), &self.vrm, &self.target)?;
        let results = system::each(&targets, 1, &|system| {
            system::refuse_unadded(system)?;
            let mut outcome = Outcome::default();
            let text = format!("{} would be in production again", self.plan(system)?);
            outcome.say(Message::csm(195, Severity::I, text));
            self.warn(principal, system, &mut outcome)?;
            Ok(outcome)
        });
        Ok(system::gather(format!("FALLBACK {} {} (CHECK", self.vrm, self.target), results))
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let targets = system::expand(&principal.tables(), &self.vrm, &self.target)?;
        let results = system::each(&targets, 1, &|system| self.fall_back(principal, context, system));
        Ok(system::gather(format!("FALLBACK {} {}", self.vrm, self.target), results))
    }
}
