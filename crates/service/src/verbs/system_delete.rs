//! SYSTEM DELETE: lets systems go.

use rusqlite::Connection;
use tender_package::request::Verb as Asked;
use tender_package::{Message, Outcome, ReturnCode, Severity, SystemName, Vrm};

use super::{Context, Subject, Verb};
use crate::error::ServiceError;
use crate::principal::Principal;
use crate::system::{self, Target};
use crate::tables::systems::{self, SystemRow};

/// SYSTEM DELETE vrm target.
#[derive(Debug, Clone)]
pub struct SystemDelete {
    /// The release.
    pub vrm: Vrm,
    /// Which systems.
    pub target: Target,
    /// Delete although the system does not answer, with the reason.
    pub force: Option<String>,
}

impl SystemDelete {
    fn leave(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        system: &SystemRow,
    ) -> Result<Outcome, ServiceError> {
        let record = &system.record;
        let wrap = |source| ServiceError::Link { system: record.name.to_string(), source };
        let mut link = context.fleet.connect(&system::address(record)).map_err(wrap)?;
        Ok(system::ask(principal, context, record, link.as_mut(), Asked::Leave, None)?.outcome)
    }

    fn delete(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        system: &SystemRow,
    ) -> Result<Outcome, ServiceError> {
        let name = &system.record.name;
        let _lock = principal.lock_system(name, &context.operator, self.word())?;
        let mut outcome = Outcome::default();
        if system.is_added {
            match (self.leave(principal, context, system), &self.force) {
                (Ok(left), None) if left.code > ReturnCode::Warning => return Ok(left),
                (Ok(_), _) => {}
                (Err(error), Some(reason)) => {
                    let text = format!(
                        "system {name} still counts itself as managed, which is accepted ({reason}): {error}{}",
                        error.causes()
                    );
                    let hint = "on it, `tender servmgr managed off all` gives local service back";
                    outcome.say(Message::csm(178, Severity::W, text).with_hint(hint));
                }
                (Err(error), None) => return Err(error),
            }
        }
        self.archive(principal, system)?;
        drop(system::contact::set_audit_aside(principal, name, (context.now)())?);
        // Forgotten first: a system that is known and not enrolled can be deleted again, the reverse cannot.
        context
            .enroller
            .forget(name)
            .map_err(|source| ServiceError::Link { system: name.to_string(), source })?;
        let groups = principal.transaction(|tables| {
            let groups = groups_of(tables, name)?;
            systems::delete(tables, name)?;
            Ok(groups)
        })?;
        let text = format!("system {} {name} is deleted{groups}", self.vrm);
        outcome.say(Message::csm(179, Severity::I, text));
        Ok(outcome)
    }

    /// Keeps what was known last; a system that went is often asked about later.
    fn archive(&self, principal: &Principal, system: &SystemRow) -> Result<(), ServiceError> {
        let path = principal.home().join("logs").join(format!("{}-{}.json", self.vrm, system.record.name));
        let known = serde_json::json!({
            "record": system.record, "info": system.info, "servcheck": system.servcheck,
        });
        let bytes = serde_json::to_vec_pretty(&known).expect("a record has only text keys");
        tender_content::durable::write_atomically(&path, &bytes)
            .map_err(ServiceError::content("keeping what was known of the system"))
    }
}

/// Says which groups a system goes from; nothing when it is in none.
fn groups_of(tables: &Connection, name: &SystemName) -> Result<String, ServiceError> {
    let rows = systems::nicknames(tables)?;
    let groups: Vec<_> =
        rows.iter().filter(|(_, member)| member == name).map(|(group, _)| group.to_string()).collect();
    Ok(match groups.as_slice() {
        [] => String::new(),
        groups => format!("; it is no longer in group {}", groups.join(", ")),
    })
}

impl Verb for SystemDelete {
    fn word(&self) -> &'static str {
        "SYSTEM DELETE"
    }

    fn subject(&self) -> Subject {
        let force = self.force.as_ref().map_or_else(String::new, |reason| format!(" FORCE {reason}"));
        Subject::new(&self.vrm, format!("{}{force}", self.target))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let targets = system::expand(&principal.tables(), &self.vrm, &self.target)?;
        let mut outcome = Outcome::default();
        for target in targets {
            let name = &target.record.name;
            let groups = groups_of(&principal.tables(), name)?;
            let text = format!("system {} {name} would be deleted{groups}", self.vrm);
            outcome.say(Message::csm(180, Severity::I, text));
        }
        Ok(outcome)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let targets = system::expand(&principal.tables(), &self.vrm, &self.target)?;
        let results = system::each(&targets, 1, &|system| self.delete(principal, context, system));
        Ok(system::gather(format!("DELETE {} {}", self.vrm, self.target), results))
    }
}
