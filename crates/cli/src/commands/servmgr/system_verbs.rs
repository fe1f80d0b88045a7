//! SYSTEM as typed becomes a verb of the principal.

use tender_content::PartPath;
use tender_service::system::Target;
use tender_service::verbs::{
    SystemAbsorb, SystemAdd, SystemAudit, SystemDelete, SystemException, SystemExceptionQuery,
    SystemFallback, SystemModify, SystemPut2prod, SystemQuery, SystemServcheck, SystemUnload,
};
use tender_service::{Principal, ServiceError, Verb};

use super::system::{Exception, Parts, System};

/// The control port when none is named.
const PORT: u16 = 4535;

impl System {
    /// Returns the verb that was typed.
    pub(super) fn verb(self, principal: &Principal) -> Result<Box<dyn Verb>, ServiceError> {
        Ok(match self {
            Self::Add(a) => Box::new(SystemAdd {
                vrm: a.release.of_level(principal, &a.level)?,
                host: a.reach.hostname.ok_or_else(|| ServiceError::Syntax {
                    text: format!("how {} is reached is missing", a.system),
                    hint: Some("add `hostname HOST`".to_owned()),
                })?,
                system: a.system,
                level: a.level,
                variant: a.variant,
                port: a.reach.port.unwrap_or(PORT),
                is_tls_required: !a.reach.norequire,
            }),
            Self::Delete(a) => Box::new(SystemDelete {
                vrm: a.at.release.of_target(principal, &a.at.target)?,
                target: a.at.target,
                force: a.force,
            }),
            Self::Modify(a) => Box::new(SystemModify {
                vrm: a.release.of_target(principal, &Target::Named(a.system.clone()))?,
                system: a.system,
                level: a.srvlvl,
                variant: a.variant,
                host: a.reach.hostname,
                port: a.reach.port,
                is_tls_required: match (a.reach.require, a.reach.norequire) {
                    (true, _) => Some(true),
                    (_, true) => Some(false),
                    _ => None,
                },
                force: a.force,
            }),
            Self::Query(a) => {
                Box::new(SystemQuery { vrm: a.release.of_target(principal, &a.target)?, target: a.target })
            }
            Self::Servcheck(a) => Box::new(SystemServcheck {
                vrm: a.at.release.of_target(principal, &a.at.target)?,
                target: a.at.target,
                is_full: a.full,
            }),
            Self::Put2prod(a) => Box::new(SystemPut2prod {
                vrm: a.at.release.of_target(principal, &a.at.target)?,
                target: a.at.target,
                expect: a.level.map(|level| (level, a.generation)),
                acknowledge: a.acknowledge,
                force: a.force,
                parallel_max: a.parallel,
            }),
            Self::Unload(a) => Box::new(SystemUnload {
                vrm: a.at.release.of_target(principal, &a.at.target)?,
                target: a.at.target,
            }),
            Self::Absorb(a) => Box::new(SystemAbsorb {
                vrm: a.release.of_target(principal, &Target::Named(a.system.clone()))?,
                system: a.system,
                components: a.components,
                into: a.into,
            }),
            Self::Audit(a) => Box::new(SystemAudit {
                vrm: a.release.of_target(principal, &Target::Named(a.system.clone()))?,
                system: a.system,
                last: a.last,
                renew: a.renew,
            }),
            Self::Exception(a) => return a.verb(principal),
            Self::Fallback(a) => Box::new(SystemFallback {
                vrm: a.at.release.of_target(principal, &a.at.target)?,
                target: a.at.target,
            }),
        })
    }
}

impl Exception {
    fn verb(self, principal: &Principal) -> Result<Box<dyn Verb>, ServiceError> {
        Ok(match self {
            Self::Add { parts, reason } => Box::new(parts.verb(principal, true, reason)?),
            Self::Delete { parts } => Box::new(parts.verb(principal, false, String::new())?),
            Self::Query { release, target } => {
                Box::new(SystemExceptionQuery { vrm: release.of_target(principal, &target)?, target })
            }
        })
    }
}

impl Parts {
    fn verb(
        self,
        principal: &Principal,
        keep: bool,
        reason: String,
    ) -> Result<SystemException, ServiceError> {
        let not_a_part = |fault: tender_content::path::PartPathError| ServiceError::Syntax {
            text: fault.to_string(),
            hint: Some("parts are named as below the component's directory, such as etc/x.conf".to_owned()),
        };
        let parts: Result<Vec<_>, _> = self.parts.into_iter().map(PartPath::new).collect();
        Ok(SystemException {
            vrm: self.release.of_target(principal, &Target::Named(self.system.clone()))?,
            system: self.system,
            keep,
            component: self.component,
            parts: parts.map_err(not_a_part)?,
            reason,
        })
    }
}
