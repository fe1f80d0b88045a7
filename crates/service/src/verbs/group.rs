//! GROUP SET and GROUP QUERY: nicknames of several systems.

use tender_package::{Message, Outcome, Severity, SystemName, Table, Vrm};

use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::principal::Principal;
use crate::tables::systems;

/// GROUP SET vrm nickname system…; no system removes the nickname.
#[derive(Debug, Clone)]
pub struct GroupSet {
    /// The release of its systems.
    pub vrm: Vrm,
    /// The nickname.
    pub nickname: SystemName,
    /// Its members in order.
    pub members: Vec<SystemName>,
}

impl Verb for GroupSet {
    fn word(&self) -> &'static str {
        "GROUP SET"
    }

    fn subject(&self) -> Subject {
        let members: Vec<_> = self.members.iter().map(ToString::to_string).collect();
        Subject::new(&self.vrm, format!("{} {}", self.nickname, members.join(" ")))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        self.plan(principal, "would stand")
    }

    fn run(&self, principal: &Principal, _context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let outcome = self.plan(principal, "stands")?;
        principal.transaction(|tables| systems::set_members(tables, &self.nickname, &self.members))?;
        Ok(outcome)
    }
}

impl GroupSet {
    fn plan(&self, principal: &Principal, verb: &str) -> Result<Outcome, ServiceError> {
        let tables = principal.tables();
        if systems::find(&tables, &self.nickname)?.is_some() {
            return Err(Refusal::new(196, format!("{} is a system", self.nickname))
                .hint("choose another name")
                .into());
        }
        for member in &self.members {
            systems::expect(&tables, &self.vrm, member)?;
        }
        let mut outcome = Outcome::default();
        let members: Vec<_> = self.members.iter().map(ToString::to_string).collect();
        let text = match members.as_slice() {
            [] => format!("nickname {} {verb} for nothing any more", self.nickname),
            members => format!("nickname {} {verb} for {}", self.nickname, members.join(", ")),
        };
        outcome.say(Message::csm(197, Severity::I, text));
        outcome.data = serde_json::json!({ "nickname": self.nickname, "members": self.members });
        Ok(outcome)
    }
}

/// GROUP QUERY.
#[derive(Debug, Clone, Copy, Default)]
pub struct GroupQuery;

impl Verb for GroupQuery {
    fn word(&self) -> &'static str {
        "GROUP QUERY"
    }

    fn subject(&self) -> Subject {
        Subject::general("")
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let mut table = Table::new("Nicknames", &["nickname", "system"]);
        let rows = systems::nicknames(&principal.tables())?;
        for (nickname, system) in &rows {
            table.row([nickname.to_string(), system.to_string()]);
        }
        let data =
            rows.iter().map(|(nickname, system)| serde_json::json!({"nickname": nickname, "system": system}));
        let data = serde_json::Value::Array(data.collect());
        Ok(Outcome { tables: vec![table], data, ..Outcome::default() })
    }

    fn run(&self, principal: &Principal, _context: &Context<'_>) -> Result<Outcome, ServiceError> {
        self.check(principal)
    }
}
