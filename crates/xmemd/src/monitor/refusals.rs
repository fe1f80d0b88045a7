//! The last refusals, and what operators and EXPLAIN are shown of the monitor.

use tender_saf::{AccessLevel, AuditEntry};
use tender_xmem::Refusal;
use tender_xmem::service::RefusalRecord;

use super::floods::{Told, WINDOW_MS};
use super::policy::Policy;
use super::rights::PluginService;
use super::{Monitor, Remembered, Timer};
use crate::messages;

/// Refusals that are remembered.
const REMEMBERED_MAX: usize = 256;

impl Monitor {
    /// Remembers a refusal and prints it, unless one of its kind was printed a moment ago; its record is the next one that is written.
    pub(super) fn remember(&mut self, connection: u64, entry: &AuditEntry, code: u32) {
        let Some(known) = self.connections.get(&connection) else { return };
        let subject = entry.user.clone().unwrap_or_else(|| format!("uid {}", known.uid));
        let level = entry.level.map_or("", AccessLevel::as_str);
        let what = format!("{level} {}", entry.resource);
        let told = self.floods.refused(known.uid, &format!("access {what} of class {}", entry.class));
        if told == Told::First {
            self.timers.arm(Timer::Refusals(known.uid), self.clock.now_ms() + WINDOW_MS);
        }
        if told != Told::Counted {
            self.print.say(
                messages::REFUSED,
                &[&"access", &what, &entry.class, &subject, &connection, &known.uid, &entry.rule],
            );
        }
        let refusal = Refusal {
            subject,
            class: entry.class.clone(),
            resource: entry.resource.clone(),
            level: level.to_owned(),
            rule: entry.rule.clone(),
            remedy: entry.remedy.clone().unwrap_or_default(),
            reference: 0,
        };
        let service = entry.resource.strip_prefix("ZWES.IS.SRV.").unwrap_or(&entry.resource).to_owned();
        let record = RefusalRecord {
            time: entry.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            uid: known.uid,
            connection,
            service,
            code,
            refusal,
        };
        self.refusals.truncate(REMEMBERED_MAX - 1);
        let ticket = self.next_ticket + 1;
        self.refusals.push_front(Remembered { ticket, shown: record });
    }

    /// Prints how many refusals of a user were not.
    pub(super) fn tell_refusals(&mut self, uid: u32) {
        let counted = self.floods.end_of_window(uid);
        for (kind, more) in &counted {
            self.print.say(messages::REFUSED_MORE, &[more, &(WINDOW_MS / 1000), &uid, kind]);
        }
        if !counted.is_empty() {
            self.timers.arm(Timer::Refusals(uid), self.clock.now_ms() + WINDOW_MS);
        }
    }

    /// Returns the last refusals, the newest first.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = &RefusalRecord> {
        self.refusals.iter().map(|remembered| &remembered.shown)
    }

    pub(crate) fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    pub(crate) fn plugin_services(&self) -> &[PluginService] {
        &self.plugin_services
    }

    pub(crate) fn audit_backlog(&self) -> (usize, bool) {
        self.audit.backlog()
    }

    pub(crate) fn settings(&self) -> &crate::settings::Settings {
        &self.settings
    }

    pub(crate) fn proofs(&mut self) -> &mut super::proofs::Proofs {
        &mut self.proofs
    }

    pub(crate) fn actors(&mut self) -> &mut tender_identity::Actors {
        &mut self.actors
    }

    pub(crate) fn debug(&self, what: impl FnOnce() -> String) {
        self.print.debug(what);
    }

    /// Returns the profiles as they are in force.
    pub(crate) fn database(&self) -> Result<&tender_saf::Database, super::calls::Step> {
        let policy = self.policy.as_ref().map(|policy| &policy.database);
        policy.ok_or_else(|| super::calls::Answer::code(tender_xmem::code::CmsCode::ServerNotReady))
    }
}
