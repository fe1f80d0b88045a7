//! SYSTEM UNLOAD: takes the level that is loaded out of slot test.

use tender_package::request::Verb as Asked;
use tender_package::{Message, Outcome, ReturnCode, Severity, Vrm};

use super::system_put2prod::set_step;
use super::{Context, Subject, Verb};
use crate::error::ServiceError;
use crate::principal::Principal;
use crate::shapes::PairState;
use crate::system::{self, Target};
use crate::tables::systems::SystemRow;

/// SYSTEM UNLOAD vrm target.
#[derive(Debug, Clone)]
pub struct SystemUnload {
    /// The release.
    pub vrm: Vrm,
    /// Which systems.
    pub target: Target,
}

impl SystemUnload {
    fn unload(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        system: &SystemRow,
    ) -> Result<Outcome, ServiceError> {
        let record = &system.record;
        let mut visit = system::visit(principal, context, system, self.word())?;
        let loaded = visit.system.info.and_then(|info| info.test).map(|slot| slot.level);
        let result = system::ask(principal, context, record, visit.link.as_mut(), Asked::Unload, None)?;
        let mut outcome = result.outcome;
        if outcome.code > ReturnCode::Warning {
            return Ok(outcome);
        }
        let Some(level) = loaded else {
            let text = format!("nothing is loaded on system {}", record.name);
            outcome.say(Message::csm(227, Severity::W, text));
            return Ok(outcome);
        };
        let is_previous = result.info.previous.as_ref().is_some_and(|slot| slot.level == level);
        let state = if is_previous { PairState::Previous } else { PairState::None };
        set_step(principal, context, record, &level, state, Some(outcome.code))?;
        outcome.say(Message::csm(228, Severity::I, format!("{level} is out of slot test")));
        Ok(outcome)
    }
}

impl Verb for SystemUnload {
    fn word(&self) -> &'static str {
        "SYSTEM UNLOAD"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, self.target.to_string())
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let targets = system::expand(&principal.tables(), &self.vrm, &self.target)?;
        let results = system::each(&targets, 1, &|system| {
            system::refuse_unadded(system)?;
            let mut outcome = Outcome::default();
            outcome.say(match system.info.as_ref().and_then(|info| info.test.as_ref()) {
                Some(slot) => {
                    let text = format!("{} would be taken out of slot test", slot.level);
                    Message::csm(228, Severity::I, text)
                }
                None => {
                    let text = format!("nothing is loaded on system {}", system.record.name);
                    Message::csm(227, Severity::W, text)
                }
            });
            Ok(outcome)
        });
        Ok(system::gather(format!("UNLOAD {} {} (CHECK", self.vrm, self.target), results))
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let targets = system::expand(&principal.tables(), &self.vrm, &self.target)?;
        let results = system::each(&targets, 1, &|system| self.unload(principal, context, system));
        Ok(system::gather(format!("UNLOAD {} {}", self.vrm, self.target), results))
    }
}
