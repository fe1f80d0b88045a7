//! SYSTEM ADD: takes a system into service.
//!
//! ```text
//! (nothing) ──► ADDING: row written, join token issued, RC 4 says what to type there
//!    ADDING ──► token used there? no: RC 4 again
//!           ──► certificate handed out, content compared with the level, ENTER sent ──► ADDED
//! ```

use tender_package::report::SystemInfo;
use tender_package::repository::KeyDir;
use tender_package::request::Verb as Asked;
use tender_package::{LevelName, Message, Outcome, ReturnCode, Severity, SystemName, Variant, Vrm};

use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::level::Level;
use crate::link::{LinkError, Welcome};
use crate::principal::Principal;
use crate::shapes::SystemRecord;
use crate::system;
use crate::tables::systems::{self, SystemRow};
use crate::tables::{levels, settings};

/// The port when none is given.
pub const PORT_DEFAULT: u16 = 4535;

/// SYSTEM ADD vrm system level.
#[derive(Debug, Clone)]
pub struct SystemAdd {
    /// The release.
    pub vrm: Vrm,
    /// The system.
    pub system: SystemName,
    /// The level it runs.
    pub level: LevelName,
    /// Its variant.
    pub variant: Variant,
    /// Its host name or address.
    pub host: String,
    /// Its control port.
    pub port: u16,
    /// Whether clear text is refused.
    pub is_tls_required: bool,
}

impl SystemAdd {
    fn record(&self) -> SystemRecord {
        SystemRecord {
            name: self.system.clone(),
            vrm: self.vrm.clone(),
            variant: self.variant.clone(),
            host: self.host.clone(),
            port: self.port,
            commtype: "FTP".to_owned(),
            is_tls_required: self.is_tls_required,
            asserted: self.level.clone(),
        }
    }

    fn plan(&self, principal: &Principal) -> Result<(Level, Option<SystemRow>), ServiceError> {
        let tables = principal.tables();
        let level = levels::expect(&tables, &self.vrm, &self.level)?;
        if !level.name.is_base() && level.variant != self.variant {
            let text =
                format!("level {} has variant {}, the system {}", level.title(), level.variant, self.variant);
            return Err(Refusal::new(162, text).hint("name a level of the system's variant").into());
        }
        if !systems::members(&tables, &self.system)?.is_empty() {
            return Err(Refusal::new(168, format!("{} is a nickname of systems", self.system))
                .hint("choose another name for the system")
                .into());
        }
        let known = systems::find(&tables, &self.system)?;
        if let Some(known) = known.as_ref().filter(|known| known.record.vrm != self.vrm) {
            let text = format!("system {} belongs to release {}", self.system, known.record.vrm);
            let vrm = &known.record.vrm;
            return Err(Refusal::new(169, text)
                .hint(format!("tender servmgr system delete {vrm} {}, or choose another name", self.system))
                .into());
        }
        let limit = settings::read(&tables, settings::SYSTEMS_MAX)?;
        if known.is_none() && systems::count(&tables)? >= limit {
            let text = format!("this principal manages {limit} systems already");
            return Err(Refusal::new(170, text)
                .hint("raise the limit with `tender servmgr setting systems_max N`")
                .into());
        }
        Ok((level, known))
    }

    fn already(&self) -> Outcome {
        let mut outcome = Outcome::default();
        let text = format!("system {} {} is added already", self.vrm, self.system);
        outcome.say(Message::csm(171, Severity::W, text).with_hint(format!(
            "change it with `tender servmgr system modify {} {} …`",
            self.vrm, self.system
        )));
        outcome
    }

    fn invite(&self, context: &Context<'_>, record: &SystemRecord) -> Result<Outcome, ServiceError> {
        let wrap = |source| ServiceError::Link { system: self.system.to_string(), source };
        let invitation = context.enroller.invite(&system::address(record)).map_err(wrap)?;
        let mut outcome = Outcome::default();
        let text = format!(
            "system {} {} waits to be enrolled; on it, type: {}",
            self.vrm, self.system, invitation.command
        );
        let hint = "then run this SYSTEM ADD again";
        outcome.say(Message::csm(172, Severity::W, text).with_hint(hint));
        outcome.data = serde_json::json!({
            "system": self.system, "state": "ADDING", "token": invitation.token, "command": invitation.command,
        });
        Ok(outcome)
    }

    /// Compares what the system runs with the level it is said to run; tells what to say about it.
    fn verify(
        &self,
        principal: &Principal,
        level: &Level,
        info: &SystemInfo,
    ) -> Result<Message, ServiceError> {
        let Some(current) = &info.current else {
            let text = format!(
                "system {} runs nothing yet; its first PUT2PROD will establish a level, {} is only noted",
                self.system, self.level
            );
            return Ok(Message::csm(173, Severity::W, text));
        };
        if current.content == level.content {
            let text = format!("system {} runs exactly level {}", self.system, level.title());
            return Ok(Message::csm(174, Severity::I, text));
        }
        let other = system::level_with_content(&principal.tables(), &self.vrm, &current.content)?;
        let found = match &other {
            Some(other) => format!("level {other}"),
            None => format!("content {} of no level here", current.content.short()),
        };
        let text = format!(
            "system {} does not run level {} (content {}): it runs {found}",
            self.system,
            level.title(),
            level.content.short()
        );
        let refusal = Refusal::new(175, text);
        Err(match other {
            Some(other) => {
                refusal.hint(format!("tender servmgr system add {} {} {other} …", self.vrm, self.system))
            }
            None => refusal.hint("name the level it really runs, or bring it to one first"),
        }
        .into())
    }

    fn complete(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        level: &Level,
        record: &SystemRecord,
    ) -> Result<Outcome, ServiceError> {
        let wrap = |source| ServiceError::Link { system: self.system.to_string(), source };
        let keys = KeyDir::open(&principal.keys_dir())
            .map_err(ServiceError::repository(format!("keys of release {}", self.vrm)))?;
        let welcome = Welcome { vrm: self.vrm.clone(), trusted_root: keys.trusted_root().to_vec() };
        match context.enroller.complete(&system::address(record), &welcome) {
            Ok(()) => {}
            Err(LinkError::NotEnrolled { .. }) => return self.invite(context, record),
            // The token may have been lost, and nobody has been there yet.
            Err(error @ LinkError::Unreachable { .. }) => {
                let error = wrap(error);
                let mut outcome = self.invite(context, record)?;
                outcome.messages.insert(0, error.message());
                outcome.code = error.code();
                return Ok(outcome);
            }
            Err(error) => return Err(wrap(error)),
        }
        let mut link = context.fleet.connect(&system::address(record)).map_err(wrap)?;
        let info = link.info().map_err(wrap)?;
        system::check_info(record, &info)?;
        system::contact::note(principal, context, record, link.as_mut(), &info)?;
        let verdict = self.verify(principal, level, &info)?;
        let result = system::ask(principal, context, record, link.as_mut(), Asked::Enter, None)?;
        if result.outcome.code > ReturnCode::Warning {
            return Ok(result.outcome);
        }
        principal.transaction(|tables| {
            systems::set_record(tables, record, true, (context.now)())?;
            if info.current.is_some() {
                let known = info.current.as_ref().filter(|slot| slot.level.level == self.level);
                systems::set_prod(
                    tables,
                    &self.system,
                    &self.level,
                    known.map_or(0, |slot| slot.level.generation),
                )?;
            }
            Ok(())
        })?;
        let mut outcome = Outcome::default();
        outcome.say(verdict);
        let text = format!(
            "system {} {} is added; local service there is refused from now on",
            self.vrm, self.system
        );
        outcome.say(Message::csm(176, Severity::I, text));
        outcome.data = serde_json::json!({ "system": self.system, "state": "ADDED", "info": info });
        Ok(outcome)
    }
}

impl Verb for SystemAdd {
    fn word(&self) -> &'static str {
        "SYSTEM ADD"
    }

    fn subject(&self) -> Subject {
        let require = if self.is_tls_required { "REQUIRE" } else { "NOREQUIRE" };
        let text = format!(
            "{} {} {} HOSTNAME {} COMMTYPE FTP (PORT {} {require}",
            self.system, self.level, self.variant, self.host, self.port
        );
        Subject::new(&self.vrm, text)
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let (_, known) = self.plan(principal)?;
        if known.as_ref().is_some_and(|known| known.is_added) {
            return Ok(self.already());
        }
        let step = if known.is_some() { "would be completed" } else { "would be noted and get a join token" };
        let mut outcome = Outcome::default();
        outcome.say(Message::csm(177, Severity::I, format!("system {} {} {step}", self.vrm, self.system)));
        Ok(outcome)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let _lock = principal.lock_system(&self.system, &context.operator, self.word())?;
        let (level, known) = self.plan(principal)?;
        if known.as_ref().is_some_and(|known| known.is_added) {
            return Ok(self.already());
        }
        let record = self.record();
        systems::set_record(&principal.tables(), &record, false, (context.now)())?;
        if known.is_none() {
            return self.invite(context, &record);
        }
        self.complete(principal, context, &level, &record)
    }
}
