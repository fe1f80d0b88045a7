//! SRVLVL WITHDRAW: a stable level goes nowhere any more; where it is, it may stay.

use tender_package::{LevelName, Message, Mode, Outcome, Severity, Table, Vrm};

use super::srvlvl_promote::sign;
use super::{Context, Subject, Verb};
use crate::error::ServiceError;
use crate::level::{Level, Operation};
use crate::principal::{Principal, Share};
use crate::tables::{levels, systems};

/// SRVLVL WITHDRAW vrm level.
#[derive(Debug, Clone)]
pub struct SrvlvlWithdraw {
    /// The release.
    pub vrm: Vrm,
    /// The level.
    pub level: LevelName,
    /// Why.
    pub reason: String,
}

impl SrvlvlWithdraw {
    fn plan(&self, principal: &Principal) -> Result<Level, ServiceError> {
        let level = levels::expect(&principal.tables(), &self.vrm, &self.level)?;
        if level.state != Mode::Withdrawn || level.is_signed {
            level.permits(Operation::Withdraw)?;
        }
        Ok(level)
    }

    fn outcome(&self, principal: &Principal, verb: &str) -> Result<Outcome, ServiceError> {
        let running = systems::running(&principal.tables(), &self.vrm, &self.level)?;
        let mut outcome = Outcome::default();
        let text = format!("level {} {} {verb} withdrawn: {}", self.vrm, self.level, self.reason);
        outcome.say(Message::csm(157, Severity::I, text));
        let mut table = Table::new("Systems that still run it", &["system"]);
        for system in &running {
            table.row([system.to_string()]);
        }
        outcome.data = serde_json::json!({ "vrm": self.vrm, "level": self.level, "running": running });
        outcome.tables.push(table);
        Ok(outcome)
    }
}

impl Verb for SrvlvlWithdraw {
    fn word(&self) -> &'static str {
        "SRVLVL WITHDRAW"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, format!("{} REASON {}", self.level, self.reason))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        drop(self.plan(principal)?);
        self.outcome(principal, "would be")
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_release(&self.vrm, Share::Exclusive, &context.operator, self.word())?;
        let mut level = self.plan(principal)?;
        level.state = Mode::Withdrawn;
        level.is_signed = false;
        levels::update(&principal.tables(), &level)?;
        sign(principal, context, &mut level)?;
        self.outcome(principal, "is")
    }
}
