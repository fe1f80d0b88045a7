//! SYSTEM FALLBACK: back to what was in production before.

use tender_package::request::Verb as Asked;
use tender_package::{Message, Outcome, ReturnCode, Severity, Vrm};

use super::system_put2prod::set_step;
use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::principal::Principal;
use crate::shapes::PairState;
use crate::system::{self, Target};
use crate::tables::systems::{self, SystemRow};

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
            Refusal::new(193, format!("system {} has nothing to fall back to", system.record.name))
        })
    }

    fn fall_back(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        system: &SystemRow,
    ) -> Result<Outcome, ServiceError> {
        let record = &system.record;
        let _lock = principal.lock_system(&record.name, &context.operator, self.word())?;
        let wrap = |source| ServiceError::Link { system: record.name.to_string(), source };
        let mut link = context.fleet.connect(&system::address(record)).map_err(wrap)?;
        let info = link.info().map_err(wrap)?;
        system::check_info(record, &info)?;
        let is_resumed =
            crate::tables::requests::open(&principal.tables(), &record.name, Asked::Fallback.word())?
                .is_some();
        systems::set_info(&principal.tables(), &record.name, &info, (context.now)())?;
        let mut fresh = system.clone();
        fresh.info = Some(info);
        // A FALLBACK that was interrupted may have been done there already: its result is fetched, not asked twice.
        if !is_resumed {
            drop(self.plan(&fresh)?);
        }
        let points = Some(("fallback.requested", "fallback.ended"));
        let result = system::ask(principal, context, record, link.as_mut(), Asked::Fallback, points)?;
        let mut outcome = result.outcome;
        if outcome.code <= ReturnCode::Warning {
            let slots =
                [(PairState::Prod, &result.info.current), (PairState::Previous, &result.info.previous)];
            for (state, slot) in slots {
                if let Some(slot) = slot {
                    set_step(principal, context, record, &slot.level, state, Some(outcome.code))?;
                }
            }
            if let Some(current) = &result.info.current {
                outcome.say(Message::csm(
                    194,
                    Severity::I,
                    format!("{} is in production again", current.level),
                ));
            }
        }
        Ok(outcome)
    }
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
            let mut outcome = Outcome::default();
            let text = format!("{} would be in production again", self.plan(system)?);
            outcome.say(Message::csm(195, Severity::I, text));
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
