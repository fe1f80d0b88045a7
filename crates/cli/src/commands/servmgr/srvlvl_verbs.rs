//! SRVLVL as typed becomes a verb of the principal.

use std::path::{Path, PathBuf};

use tender_content::PartPath;
use tender_package::{ComponentName, LevelName};
use tender_service::verbs::{
    Embargo, EmbargoOn, LocalmodAction, ServiceFunction, SrvlvlAdd, SrvlvlCompare, SrvlvlDelete,
    SrvlvlLocalmod, SrvlvlPackage, SrvlvlPromote, SrvlvlQuery, SrvlvlSend, SrvlvlService, SrvlvlSetlock,
    SrvlvlVmfsetup, SrvlvlWithdraw,
};
use tender_service::{Principal, ServiceError, Verb};

use super::srvlvl::{Localmod, Named, Query, Send, Service, Srvlvl};

impl Srvlvl {
    /// Returns the verb that was typed.
    pub(super) fn verb(self, principal: &Principal) -> Result<Box<dyn Verb>, ServiceError> {
        Ok(match self {
            Self::Add(a) => Box::new(SrvlvlAdd {
                vrm: a.at.release.of_level(principal, &a.basedon)?,
                level: a.at.level,
                basedon: a.basedon,
                variant: a.variant,
                description: a.desc,
            }),
            Self::Delete(a) => {
                let (vrm, level) = a.at.level(principal)?;
                Box::new(SrvlvlDelete { vrm, level, force: a.force })
            }
            Self::Service(a) => return a.verb(principal),
            Self::Localmod(a) => return a.verb(principal),
            Self::Package(a) => {
                let (vrm, level) = a.at.level(principal)?;
                Box::new(SrvlvlPackage { vrm, level, memory_bytes_max: a.max_memory })
            }
            Self::Setlock(a) => {
                let (vrm, level) = a.at.level(principal)?;
                Box::new(SrvlvlSetlock { vrm, level, on: a.on })
            }
            Self::Send(a) => return a.verb(principal),
            Self::Query(a) => return a.verb(principal),
            Self::Vmfsetup(a) => {
                let (vrm, level) = a.at.level(principal)?;
                Box::new(SrvlvlVmfsetup { vrm, level, component: a.component })
            }
            Self::Compare(a) => {
                let (vrm, level) = a.at.level(principal)?;
                Box::new(SrvlvlCompare { vrm, level, other: a.other })
            }
            Self::Promote(a) => {
                let (vrm, level) = a.at.level(principal)?;
                Box::new(SrvlvlPromote { vrm, level, force: a.force })
            }
            Self::Embargo(a) => {
                let (vrm, level) = a.at.level(principal)?;
                Box::new(Embargo { vrm, what: EmbargoOn::Level(level), on: a.on, reason: a.reason })
            }
            Self::Withdraw(a) => {
                let (vrm, level) = a.at.level(principal)?;
                Box::new(SrvlvlWithdraw { vrm, level, reason: a.reason })
            }
        })
    }
}

impl Named {
    fn level(self, principal: &Principal) -> Result<(tender_package::Vrm, LevelName), ServiceError> {
        Ok((self.release.of_level(principal, &self.level)?, self.level))
    }
}

/// Wraps a word that is not a name.
fn not_a_name(fault: impl std::fmt::Display) -> ServiceError {
    ServiceError::Syntax { text: fault.to_string(), hint: None }
}

impl Service {
    fn verb(self, principal: &Principal) -> Result<Box<dyn Verb>, ServiceError> {
        let (vrm, level) = self.at.level(principal)?;
        let function = match (self.restart, self.abandon, self.build, self.status) {
            (true, ..) => ServiceFunction::Restart,
            (_, true, ..) => ServiceFunction::Abandon,
            (_, _, true, _) => ServiceFunction::Build,
            (_, _, _, true) => ServiceFunction::Status,
            _ => ServiceFunction::Install,
        };
        let mut envelopes = self.envelopes;
        // An envelope where ALL was forgotten is an envelope: components have no files of their name.
        let is_envelope = envelopes.is_empty() && Path::new(&self.component).is_file();
        if is_envelope {
            envelopes.push(PathBuf::from(&self.component));
        }
        let component = if is_envelope || self.component.eq_ignore_ascii_case("ALL") {
            None
        } else {
            Some(ComponentName::new(&self.component).map_err(not_a_name)?)
        };
        Ok(Box::new(SrvlvlService {
            vrm,
            level,
            component,
            envelopes,
            select: self.select,
            exclude: self.exclude,
            include: self.include,
            function,
            redo: self.redo,
        }))
    }
}

impl Localmod {
    fn verb(self, principal: &Principal) -> Result<Box<dyn Verb>, ServiceError> {
        let (vrm, level) = self.at.level(principal)?;
        let part = |text: String| PartPath::new(text).map_err(not_a_name);
        let from = self.from.unwrap_or_default();
        let action = if let Some(path) = self.replace {
            LocalmodAction::Replace { path: part(path)?, from }
        } else if let Some(path) = self.patch {
            LocalmodAction::Patch { path: part(path)?, from }
        } else if let Some(path) = self.add {
            LocalmodAction::Add { path: part(path)?, from }
        } else if let Some(path) = self.delete {
            LocalmodAction::Delete { path: part(path)? }
        } else if let Some(id) = self.drop {
            LocalmodAction::Drop { id }
        } else if let Some(id) = self.reviewed {
            LocalmodAction::Reviewed { id }
        } else {
            return Err(not_a_name(
                "one of --replace, --patch, --add, --delete, --drop and --reviewed is needed",
            ));
        };
        Ok(Box::new(SrvlvlLocalmod {
            vrm,
            level,
            component: self.component,
            id: self.id,
            action,
            fixed_in: self.fixed_in,
            reason: self.reason,
        }))
    }
}

impl Send {
    fn verb(self, principal: &Principal) -> Result<Box<dyn Verb>, ServiceError> {
        let (vrm, level) = self.at.level(principal)?;
        Ok(Box::new(SrvlvlSend {
            vrm,
            level,
            target: self.target,
            is_stable: self.stable,
            lose: self.lose,
            is_repacked: self.repack,
            memory_bytes_max: self.max_memory,
            force: self.force,
            parallel_max: self.parallel,
        }))
    }
}

impl Query {
    fn verb(self, principal: &Principal) -> Result<Box<dyn Verb>, ServiceError> {
        let level = if self.level.eq_ignore_ascii_case("ALL") {
            None
        } else {
            Some(LevelName::new(&self.level).map_err(not_a_name)?)
        };
        let vrm = match &level {
            Some(level) => self.release.of_level(principal, level)?,
            None => self.release.only(principal)?,
        };
        Ok(Box::new(SrvlvlQuery { vrm, level, system: self.system }))
    }
}
