//! SYSTEM EXCEPTION: parts of one system that stay as they are, whatever level is loaded.

use tender_content::PartPath;
use tender_package::request::Verb as Asked;
use tender_package::{ComponentName, Message, Outcome, Severity, SystemName, Table, Vrm};

use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::principal::Principal;
use crate::query;
use crate::system::{self, Target};
use crate::tables::systems;

/// SYSTEM EXCEPTION ADD or DELETE vrm system component part….
#[derive(Debug, Clone)]
pub struct SystemException {
    /// The release.
    pub vrm: Vrm,
    /// The system.
    pub system: SystemName,
    /// `true` keeps the parts, `false` keeps them no longer.
    pub keep: bool,
    /// The component.
    pub component: ComponentName,
    /// Which parts; all that differ, or all that are kept, when none is named.
    pub parts: Vec<PartPath>,
    /// Why; needed to keep them.
    pub reason: String,
}

impl Verb for SystemException {
    fn word(&self) -> &'static str {
        if self.keep { "SYSTEM EXCEPTION ADD" } else { "SYSTEM EXCEPTION DELETE" }
    }

    fn subject(&self) -> Subject {
        let parts: String = self.parts.iter().map(|part| format!(" {part}")).collect();
        let reason = if self.keep { format!(" REASON {}", self.reason) } else { String::new() };
        Subject::new(&self.vrm, format!("{} {}{parts}{reason}", self.system, self.component))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        if self.keep && self.reason.trim().is_empty() {
            return Err(Refusal::new(263, "an exception needs a reason")
                .hint("say why the part must stay")
                .into());
        }
        let system = systems::expect(&principal.tables(), &self.vrm, &self.system)?;
        let changes = system.changes.unwrap_or_default();
        let is_meant = |path: &PartPath| self.parts.is_empty() || self.parts.contains(path);
        let paths: Vec<String> = if self.keep {
            let parts = changes.diverged.iter().filter(|one| one.component == self.component);
            let parts = parts.flat_map(|one| &one.parts).filter(|part| is_meant(&part.path));
            parts.map(|part| part.path.to_string()).collect()
        } else {
            let kept = changes.exceptions.iter().filter(|one| one.component == self.component);
            kept.filter(|one| is_meant(&one.path)).map(|one| one.path.to_string()).collect()
        };
        let mut outcome = Outcome::default();
        let verb = if self.keep { "would be kept" } else { "would be kept no longer" };
        let text =
            format!("system {}, component {}: {verb}: {}", self.system, self.component, paths.join(", "));
        outcome.say(Message::csm(264, Severity::I, text));
        outcome.data = serde_json::json!({ "system": self.system, "parts": paths });
        Ok(outcome)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let system = systems::expect(&principal.tables(), &self.vrm, &self.system)?;
        let mut visit = system::visit(principal, context, &system, self.word())?;
        let verb = Asked::Exception {
            keep: self.keep,
            component: self.component.clone(),
            paths: self.parts.clone(),
            reason: self.reason.clone(),
        };
        let result = system::ask(principal, context, &system.record, visit.link.as_mut(), verb, None)?;
        Ok(result.outcome)
    }
}

/// SYSTEM EXCEPTION QUERY vrm target.
#[derive(Debug, Clone)]
pub struct SystemExceptionQuery {
    /// The release.
    pub vrm: Vrm,
    /// Which systems.
    pub target: Target,
}

impl Verb for SystemExceptionQuery {
    fn word(&self) -> &'static str {
        "SYSTEM EXCEPTION QUERY"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, self.target.to_string())
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let tables = principal.tables();
        crate::tables::releases::expect(&tables, &self.vrm)?;
        let rows = system::expand(&tables, &self.vrm, &self.target)?;
        let table: Table = query::exceptions_of(&rows);
        let mut outcome = Outcome::default();
        if table.rows.is_empty() {
            outcome.say(Message::csm(265, Severity::I, "no system keeps anything as an exception"));
        }
        outcome.tables.push(table);
        let of = |row: &systems::SystemRow| {
            let kept = row.changes.as_ref().map(|changes| &changes.exceptions);
            serde_json::json!({ "system": row.record.name, "exceptions": kept })
        };
        outcome.data = rows.iter().map(of).collect::<Vec<_>>().into();
        Ok(outcome)
    }

    fn run(&self, principal: &Principal, _context: &Context<'_>) -> Result<Outcome, ServiceError> {
        self.check(principal)
    }
}
