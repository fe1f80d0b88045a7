//! SRVLVL SETLOCK: the update-control lock of a level.

use tender_package::{LevelName, Message, Outcome, Severity, Vrm};

use super::{Context, Subject, Verb};
use crate::error::ServiceError;
use crate::level::{Level, Operation};
use crate::principal::{Principal, Share};
use crate::tables::levels;

/// SRVLVL SETLOCK vrm level ON|OFF.
#[derive(Debug, Clone)]
pub struct SrvlvlSetlock {
    /// The release.
    pub vrm: Vrm,
    /// The level.
    pub level: LevelName,
    /// Whether the lock is to be on.
    pub on: bool,
}

impl SrvlvlSetlock {
    fn plan(&self, principal: &Principal) -> Result<Level, ServiceError> {
        let level = levels::expect(&principal.tables(), &self.vrm, &self.level)?;
        level.permits(if self.on { Operation::LockOn } else { Operation::LockOff })?;
        Ok(level)
    }

    fn outcome(&self, level: &Level, verb: &str) -> Outcome {
        let word = if self.on { "ON" } else { "OFF" };
        let mut outcome = Outcome::default();
        let message = if level.is_locked == self.on {
            Message::csm(152, Severity::W, format!("the lock of level {} is {word} already", level.title()))
        } else {
            Message::csm(153, Severity::I, format!("the lock of level {} {verb} {word}", level.title()))
        };
        outcome.say(message);
        outcome.data = serde_json::json!({ "vrm": self.vrm, "level": self.level, "lock": self.on });
        outcome
    }
}

impl Verb for SrvlvlSetlock {
    fn word(&self) -> &'static str {
        "SRVLVL SETLOCK"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, format!("{} {}", self.level, if self.on { "ON" } else { "OFF" }))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        Ok(self.outcome(&self.plan(principal)?, "would be"))
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_release(&self.vrm, Share::Exclusive, &context.operator, self.word())?;
        let mut level = self.plan(principal)?;
        let outcome = self.outcome(&level, "is");
        level.is_locked = self.on;
        levels::update(&principal.tables(), &level)?;
        Ok(outcome)
    }
}
