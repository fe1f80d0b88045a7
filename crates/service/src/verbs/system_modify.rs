//! SYSTEM MODIFY: changes what is known of a system.

use tender_package::report::SystemInfo;
use tender_package::{LevelName, Message, Outcome, Severity, SystemName, Variant, Vrm};

use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::principal::Principal;
use crate::shapes::SystemRecord;
use crate::system;
use crate::tables::levels;
use crate::tables::systems::{self, SystemRow};

/// SYSTEM MODIFY vrm system ….
#[derive(Debug, Clone)]
pub struct SystemModify {
    /// The release.
    pub vrm: Vrm,
    /// The system.
    pub system: SystemName,
    /// The level it is said to run.
    pub level: Option<LevelName>,
    /// Its variant.
    pub variant: Option<Variant>,
    /// Its host name or address.
    pub host: Option<String>,
    /// Its control port.
    pub port: Option<u16>,
    /// Whether clear text is refused.
    pub is_tls_required: Option<bool>,
    /// Change it without asking the system, with the reason.
    pub force: Option<String>,
}

impl SystemModify {
    fn plan(&self, principal: &Principal) -> Result<(SystemRow, SystemRecord), ServiceError> {
        let tables = principal.tables();
        let row = systems::expect(&tables, &self.vrm, &self.system)?;
        let mut record = row.record.clone();
        if let Some(level) = &self.level {
            let found = levels::expect(&tables, &self.vrm, level)?;
            let variant = self.variant.as_ref().unwrap_or(&record.variant);
            if !found.name.is_base() && found.variant != *variant {
                let text =
                    format!("level {} has variant {}, the system {variant}", found.title(), found.variant);
                return Err(Refusal::new(162, text)
                    .hint("name a level of the system's variant, or its variant too")
                    .into());
            }
            record.asserted.clone_from(level);
        }
        record.variant = self.variant.clone().unwrap_or(record.variant);
        record.host = self.host.clone().unwrap_or(record.host);
        record.port = self.port.unwrap_or(record.port);
        record.is_tls_required = self.is_tls_required.unwrap_or(record.is_tls_required);
        Ok((row, record))
    }

    /// Asks the system under its new address, and compares what it runs with the level it is now said to run.
    fn verify(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        record: &SystemRecord,
    ) -> Result<(), ServiceError> {
        let wrap = |source| ServiceError::Link { system: self.system.to_string(), source };
        let mut link = context.fleet.connect(&system::address(record)).map_err(wrap)?;
        let info = link.info().map_err(wrap)?;
        system::check_info(record, &info)?;
        self.compare(principal, &info)?;
        systems::set_info(&principal.tables(), &self.system, &info, (context.now)())
    }

    /// Compares what the system runs with the level that is named.
    fn compare(&self, principal: &Principal, info: &SystemInfo) -> Result<(), ServiceError> {
        let Some(name) = &self.level else { return Ok(()) };
        let level = levels::expect(&principal.tables(), &self.vrm, name)?;
        let is_it = info.current.as_ref().is_some_and(|current| {
            current.content == level.content
                || (current.level.vrm == self.vrm && current.level.level == level.name)
        });
        if is_it {
            return Ok(());
        }
        let found = info.current.as_ref().map_or_else(
            || "nothing yet".to_owned(),
            |current| format!("{} with content {}", current.level, current.content.short()),
        );
        let text = format!("system {} does not run level {}: it runs {found}", self.system, level.title());
        Err(Refusal::new(175, text)
            .hint("name the level it runs, or give --force REASON to note it all the same")
            .into())
    }

    fn outcome(&self, before: &SystemRecord, after: &SystemRecord, verb: &str) -> Outcome {
        let mut outcome = Outcome::default();
        let text = if before == after {
            format!("system {} {} stays as it is", self.vrm, self.system)
        } else {
            format!("system {} {} {verb}: {}:{}", self.vrm, self.system, after.host, after.port)
        };
        outcome.say(Message::csm(181, Severity::I, text));
        outcome.data = serde_json::json!({ "before": before, "after": after });
        outcome
    }
}

impl Verb for SystemModify {
    fn word(&self) -> &'static str {
        "SYSTEM MODIFY"
    }

    fn subject(&self) -> Subject {
        let words = [
            self.level.as_ref().map(|level| format!("SRVLVL {level}")),
            self.variant.as_ref().map(|variant| format!("VARIANT {variant}")),
            self.host.as_ref().map(|host| format!("HOSTNAME {host}")),
            self.port.map(|port| format!("PORT {port}")),
            self.is_tls_required.map(|is| if is { "REQUIRE".to_owned() } else { "NOREQUIRE".to_owned() }),
            self.force.as_ref().map(|reason| format!("FORCE {reason}")),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        Subject::new(&self.vrm, format!("{} {}", self.system, words.join(" ")))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let (row, record) = self.plan(principal)?;
        if let (Some(info), true, None) = (&row.info, row.is_added, &self.force) {
            self.compare(principal, info)?;
        }
        Ok(self.outcome(&row.record, &record, "would be changed"))
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_system(&self.system, &context.operator, self.word())?;
        let (row, record) = self.plan(principal)?;
        let is_asked = row.is_added && self.force.is_none();
        if is_asked && (row.record != record || self.level.is_some()) {
            self.verify(principal, context, &record)?;
        }
        principal.transaction(|tables| {
            let now = (context.now)();
            systems::set_record(tables, &record, row.is_added, now)?;
            // Which level counts as in production rests on what the system says, never on what is said of it.
            match systems::find(tables, &self.system)?.and_then(|row| row.info.zip(row.last_contact)) {
                Some((info, seen)) => systems::set_info(tables, &self.system, &info, seen),
                None => Ok(()),
            }
        })?;
        Ok(self.outcome(&row.record, &record, "is changed"))
    }
}
