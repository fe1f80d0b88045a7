//! PRINCIPAL RENEW: shuts a stolen certificate of CSMWORK out of every system, without enrolling one again.

use tender_package::{Message, Outcome, Severity};

use super::srvlvl_service::join;
use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::principal::Principal;
use crate::system;
use crate::tables::systems::{self, SystemRow};
use crate::tables::{releases, settings};

/// PRINCIPAL RENEW.
#[derive(Debug, Clone)]
pub struct PrincipalRenew {
    /// Why.
    pub reason: String,
}

impl PrincipalRenew {
    fn systems(&self, principal: &Principal) -> Result<Vec<SystemRow>, ServiceError> {
        if self.reason.trim().is_empty() {
            return Err(Refusal::new(300, "revoking a certificate needs a reason")
                .hint("say why: --reason WHY")
                .into());
        }
        let tables = principal.tables();
        let mut rows = Vec::new();
        for release in releases::all(&tables)? {
            rows.extend(systems::all(&tables, &release.vrm)?.into_iter().filter(|row| row.is_added));
        }
        Ok(rows)
    }
}

impl Verb for PrincipalRenew {
    fn word(&self) -> &'static str {
        "PRINCIPAL RENEW"
    }

    fn subject(&self) -> Subject {
        Subject::general(format!("REASON {}", self.reason))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let rows = self.systems(principal)?;
        let mut outcome = Outcome::default();
        let text = format!("the certificate of CSMWORK would be revoked, and {} systems told", rows.len());
        outcome.say(Message::csm(301, Severity::I, text));
        Ok(outcome)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let rows = self.systems(principal)?;
        let wrap = |source| ServiceError::Link { system: "CSMWORK".to_owned(), source };
        let revoked = context.enroller.renew().map_err(wrap)?;
        crate::fault::point("renew.revoked");
        let mut outcome = Outcome::default();
        let text = format!("certificate {revoked} of CSMWORK is revoked; a new one with a new key is in use");
        outcome.say(Message::csm(302, Severity::I, text).with_hint(
            "a system that cannot be reached now lets the old certificate in until it is next connected to",
        ));
        outcome.data = serde_json::json!({ "revoked": revoked });
        let parallel = settings::read(&principal.tables(), settings::PARALLEL_MAX)? as usize;
        let results = system::each(&rows, parallel, &|system| {
            let name = &system.record.name;
            let visit = system::visit(principal, context, system, self.word())?;
            crate::fault::point("renew.told");
            let list = visit.system.info.as_ref().map_or(0, |info| info.revocations);
            let mut outcome = Outcome::default();
            outcome.say(match list {
                0 => {
                    Message::csm(304, Severity::E, format!("system {name} runs a Tender that cannot revoke"))
                        .with_hint("bring its Tender up to date, or enrol it again")
                }
                _ => Message::csm(303, Severity::I, "lets the new certificate in, and the old one no more"),
            });
            Ok(outcome)
        });
        Ok(join(outcome, system::gather("PRINCIPAL RENEW".to_owned(), results)))
    }
}
