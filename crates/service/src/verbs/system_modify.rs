//! SYSTEM MODIFY: changes what is known of a system.

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
            levels::expect(&tables, &self.vrm, level)?;
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
        if let (Some(name), Some(current)) = (&self.level, &info.current) {
            let level = levels::expect(&principal.tables(), &self.vrm, name)?;
            if level.content != current.content {
                let text = format!("system {} does not run level {}", self.system, level.title());
                return Err(Refusal::new(175, text)
                    .hint("give --force REASON to note it all the same")
                    .into());
            }
        }
        systems::set_info(&principal.tables(), &self.system, &info, (context.now)())
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
        Ok(self.outcome(&row.record, &record, "would be changed"))
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_system(&self.system, &context.operator, self.word())?;
        let (row, record) = self.plan(principal)?;
        if row.is_added && self.force.is_none() && row.record != record {
            self.verify(principal, context, &record)?;
        }
        principal.transaction(|tables| {
            systems::set_record(tables, &record, row.is_added, (context.now)())?;
            match &self.level {
                Some(level) if row.is_added => systems::set_prod(tables, &self.system, level, 0),
                _ => Ok(()),
            }
        })?;
        Ok(self.outcome(&row.record, &record, "is changed"))
    }
}
