//! SRVLVL EMBARGO and FIX EMBARGO: nothing of a level, or of any level with a fix, is sent anywhere for the time being.

use tender_package::{FixId, LevelName, Message, Outcome, Severity, Vrm};

use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::principal::Principal;
use crate::query;
use crate::tables::holds::{self, Embargoed};
use crate::tables::{levels, releases};

/// What is under embargo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbargoOn {
    /// A level.
    Level(LevelName),
    /// A fix: every level that has it on.
    Fix(FixId),
}

/// SRVLVL EMBARGO vrm level ON|OFF, FIX EMBARGO vrm fix ON|OFF.
#[derive(Debug, Clone)]
pub struct Embargo {
    /// The release.
    pub vrm: Vrm,
    /// What.
    pub what: EmbargoOn,
    /// Whether it is to be on.
    pub on: bool,
    /// Why; needed for ON.
    pub reason: String,
}

impl Embargo {
    fn words(&self) -> String {
        match &self.what {
            EmbargoOn::Level(level) => format!("level {} {level}", self.vrm),
            EmbargoOn::Fix(fix) => format!("fix {fix} of release {}", self.vrm),
        }
    }

    fn row(&self) -> Embargoed {
        match &self.what {
            EmbargoOn::Level(level) => Embargoed { kind: "LEVEL", name: level.to_string() },
            EmbargoOn::Fix(fix) => Embargoed { kind: "FIX", name: fix.to_string() },
        }
    }

    fn plan(&self, principal: &Principal, verb: &str) -> Result<Outcome, ServiceError> {
        let mut outcome = Outcome::default();
        {
            let tables = principal.tables();
            releases::expect(&tables, &self.vrm)?;
            if let EmbargoOn::Level(level) = &self.what {
                levels::expect(&tables, &self.vrm, level)?;
            }
        }
        if self.on && self.reason.trim().is_empty() {
            return Err(Refusal::new(280, "an embargo needs a reason")
                .hint("say why nothing may be sent")
                .into());
        }
        let text = if self.on {
            format!("{} {verb} under embargo: no SEND takes it anywhere ({})", self.words(), self.reason)
        } else {
            format!("the embargo on {} {verb} lifted", self.words())
        };
        outcome.say(Message::csm(281, Severity::I, text));
        if let (EmbargoOn::Fix(fix), true) = (&self.what, self.on) {
            query::report_held(
                principal,
                &self.vrm,
                std::slice::from_ref(fix),
                "fix under embargo",
                &mut outcome,
            )?;
        }
        outcome.data = serde_json::json!({ "vrm": self.vrm, "what": self.words(), "embargo": self.on });
        Ok(outcome)
    }
}

impl Verb for Embargo {
    fn word(&self) -> &'static str {
        match self.what {
            EmbargoOn::Level(_) => "SRVLVL EMBARGO",
            EmbargoOn::Fix(_) => "FIX EMBARGO",
        }
    }

    fn subject(&self) -> Subject {
        let name = match &self.what {
            EmbargoOn::Level(level) => level.to_string(),
            EmbargoOn::Fix(fix) => fix.to_string(),
        };
        let end = if self.on { format!("ON REASON {}", self.reason) } else { "OFF".to_owned() };
        Subject::new(&self.vrm, format!("{name} {end}"))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        self.plan(principal, "would be")
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let outcome = self.plan(principal, "is")?;
        let tables = principal.tables();
        if self.on {
            let now = (context.now)();
            holds::set_embargo(&tables, &self.vrm, &self.row(), &context.operator, &self.reason, now)?;
        } else if !holds::lift_embargo(&tables, &self.vrm, &self.row())? {
            let text = format!("{} was under no embargo", self.words());
            let mut nothing = Outcome::default();
            nothing.say(Message::csm(282, Severity::W, text));
            return Ok(nothing);
        }
        Ok(outcome)
    }
}
