//! HOLD ADD, ACCEPT, RELEASE and QUERY.

use jiff::Timestamp;
use tender_package::{FixId, LevelName, Message, Outcome, Severity, Table, Vrm};

use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::hold::{Acceptance, ActiveHold};
use crate::principal::Principal;
use crate::query;
use crate::shapes::{Hold, HoldClass};
use crate::system::{self, Target};
use crate::tables::{fixes, holds, levels, releases};

/// HOLD ADD vrm fix …: holds a fix, also one that is on somewhere.
#[derive(Debug, Clone)]
pub struct HoldAdd {
    /// The release.
    pub vrm: Vrm,
    /// The fix.
    pub fix: FixId,
    /// The hold.
    pub hold: Hold,
}

impl Verb for HoldAdd {
    fn word(&self) -> &'static str {
        "HOLD ADD"
    }

    fn subject(&self) -> Subject {
        let cure = self.hold.resolved_by.as_ref().map_or_else(String::new, |fix| format!(" CURE {fix}"));
        Subject::new(&self.vrm, format!("{} {} {}{cure}", self.fix, self.hold.class.word(), self.hold.reason))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        self.plan(principal, "would be")
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let outcome = self.plan(principal, "is")?;
        let now = (context.now)();
        holds::raise(&principal.tables(), &self.vrm, &self.fix, &self.hold, &context.operator, now)?;
        Ok(outcome)
    }
}

impl HoldAdd {
    fn plan(&self, principal: &Principal, verb: &str) -> Result<Outcome, ServiceError> {
        let is_received = {
            let tables = principal.tables();
            releases::expect(&tables, &self.vrm)?;
            fixes::find(&tables, &self.vrm, &self.fix)?.is_some()
        };
        let mut outcome = Outcome::default();
        let text = format!("fix {} {verb} held: {} {}", self.fix, self.hold.class.word(), self.hold.reason);
        outcome.say(Message::csm(198, Severity::I, text));
        if !is_received {
            let text = format!("fix {} was not received yet; the hold counts from when it is", self.fix);
            outcome.say(Message::csm(226, Severity::W, text));
        }
        let word = if self.hold.class == HoldClass::Action { "fix with an action" } else { "held fix" };
        query::report_held(principal, &self.vrm, std::slice::from_ref(&self.fix), word, &mut outcome)?;
        Ok(outcome)
    }
}

fn find(principal: &Principal, vrm: &Vrm, number: i64) -> Result<ActiveHold, ServiceError> {
    let tables = principal.tables();
    releases::expect(&tables, vrm)?;
    holds::active(&tables, vrm)?.into_iter().find(|hold| hold.number == number).ok_or_else(|| {
        ServiceError::Unknown {
            kind: "hold",
            name: format!("{vrm} {number}"),
            hint: format!("list the holds with `tender servmgr hold query {vrm}`"),
        }
    })
}

/// HOLD ACCEPT vrm level number: takes the risk of a hold for one level, everywhere or on some systems.
#[derive(Debug, Clone)]
pub struct HoldAccept {
    /// The release.
    pub vrm: Vrm,
    /// The level.
    pub level: LevelName,
    /// The hold.
    pub number: i64,
    /// Only on these systems; everywhere when absent.
    pub target: Option<Target>,
    /// When it ends; the hold blocks again then.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

impl Verb for HoldAccept {
    fn word(&self) -> &'static str {
        "HOLD ACCEPT"
    }

    fn subject(&self) -> Subject {
        let system = self.target.as_ref().map_or_else(String::new, |target| format!(" SYSTEM {target}"));
        let until = self.until.map_or_else(String::new, |until| format!(" UNTIL {until}"));
        let text = format!("{} {}{system}{until} REASON {}", self.level, self.number, self.reason);
        Subject::new(&self.vrm, text)
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        self.plan(principal, "would be", Timestamp::now()).map(|(outcome, _)| outcome)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let now = (context.now)();
        let (outcome, acceptances) = self.plan(principal, "is", now)?;
        principal.transaction(|tables| {
            acceptances.iter().try_for_each(|one| {
                holds::accept(tables, self.number, one, &context.operator, &self.reason, now)
            })
        })?;
        Ok(outcome)
    }
}

impl HoldAccept {
    fn plan(
        &self,
        principal: &Principal,
        verb: &str,
        now: Timestamp,
    ) -> Result<(Outcome, Vec<Acceptance>), ServiceError> {
        let hold = find(principal, &self.vrm, self.number)?;
        let level = levels::expect(&principal.tables(), &self.vrm, &self.level)?;
        if self.reason.trim().is_empty() {
            return Err(Refusal::new(199, "accepting a hold needs a reason")
                .hint("say why the risk is taken: --reason WHY")
                .into());
        }
        if self.until.is_some_and(|until| until <= now) {
            return Err(Refusal::new(283, "the end of the acceptance lies in the past")
                .hint("give a time to come")
                .into());
        }
        let of =
            |system: Option<String>| Acceptance { level: self.level.to_string(), system, until: self.until };
        let acceptances = match &self.target {
            None => vec![of(None)],
            Some(target) => {
                let rows = system::expand(&principal.tables(), &self.vrm, target)?;
                rows.iter().map(|row| of(Some(row.record.name.to_string()))).collect()
            }
        };
        let mut outcome = Outcome::default();
        for one in &acceptances {
            let text = format!(
                "{} of fix {} {verb} accepted for level {} {}",
                hold.words(),
                hold.fix,
                level.vrm,
                one.words(now)
            );
            outcome.say(Message::csm(200, Severity::I, text));
        }
        Ok((outcome, acceptances))
    }
}

/// HOLD RELEASE vrm number: the hold is no more.
#[derive(Debug, Clone)]
pub struct HoldRelease {
    /// The release.
    pub vrm: Vrm,
    /// The hold.
    pub number: i64,
}

impl Verb for HoldRelease {
    fn word(&self) -> &'static str {
        "HOLD RELEASE"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, self.number.to_string())
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        self.plan(principal, "would be")
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let outcome = self.plan(principal, "is")?;
        holds::release(&principal.tables(), self.number, &context.operator, (context.now)())?;
        Ok(outcome)
    }
}

impl HoldRelease {
    fn plan(&self, principal: &Principal, verb: &str) -> Result<Outcome, ServiceError> {
        let hold = find(principal, &self.vrm, self.number)?;
        let mut outcome = Outcome::default();
        outcome.say(Message::csm(
            201,
            Severity::I,
            format!("{} of fix {} {verb} released", hold.words(), hold.fix),
        ));
        Ok(outcome)
    }
}

/// HOLD QUERY vrm: the holds and where their fixes are on.
#[derive(Debug, Clone)]
pub struct HoldQuery {
    /// The release.
    pub vrm: Vrm,
}

impl Verb for HoldQuery {
    fn word(&self) -> &'static str {
        "HOLD QUERY"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, "")
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let tables = principal.tables();
        releases::expect(&tables, &self.vrm)?;
        let head = [
            "no",
            "fix",
            "class",
            "reason",
            "cured by",
            "levels",
            "in production on",
            "accepted for",
            "text",
        ];
        let mut table = Table::new(format!("Holds of release {}", self.vrm), &head);
        let mut data = Vec::new();
        for hold in holds::active(&tables, &self.vrm)? {
            let levels = levels::with_fix(&tables, &self.vrm, &hold.fix)?;
            let levels: Vec<_> = levels.into_iter().map(|(level, _)| level.to_string()).collect();
            let systems = crate::tables::systems::with_fix(&tables, &self.vrm, &hold.fix)?;
            let systems: Vec<_> = systems.into_iter().map(|(system, _)| system.to_string()).collect();
            table.row([
                hold.number.to_string(),
                hold.fix.to_string(),
                hold.hold.class.word().to_owned(),
                hold.hold.reason.clone(),
                hold.hold.resolved_by.as_ref().map_or_else(String::new, ToString::to_string),
                levels.join(" "),
                systems.join(" "),
                hold.accepted.iter().map(|one| one.words(Timestamp::now())).collect::<Vec<_>>().join(", "),
                hold.hold.text.clone(),
            ]);
            data.push(serde_json::json!({
                "number": hold.number, "fix": hold.fix, "hold": hold.hold, "levels": levels,
                "systems": systems, "accepted": hold.accepted,
            }));
        }
        Ok(Outcome { tables: vec![table], data: data.into(), ..Outcome::default() })
    }

    fn run(&self, principal: &Principal, _context: &Context<'_>) -> Result<Outcome, ServiceError> {
        self.check(principal)
    }
}
