//! SYSTEM AUDIT: shows the principal's copy of a system's audit log.

use tender_package::audit::{beginning, follow_line};
use tender_package::{Message, Outcome, Severity, SystemName, Table, Vrm};

use super::{Context, Subject, Verb};
use crate::error::{Refusal, ServiceError};
use crate::principal::Principal;
use crate::system::contact;
use crate::tables::systems;

/// Lines that are shown when nothing else is said.
const LAST: usize = 20;

/// SYSTEM AUDIT vrm system.
#[derive(Debug, Clone)]
pub struct SystemAudit {
    /// The release.
    pub vrm: Vrm,
    /// The system.
    pub system: SystemName,
    /// How many of the last lines to show; twenty when absent.
    pub last: Option<usize>,
    /// Put the copy aside and begin a new one, with the reason, as after people looked at a log that was changed.
    pub renew: Option<String>,
}

impl SystemAudit {
    fn show(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let row = systems::expect(&principal.tables(), &self.vrm, &self.system)?;
        let mut outcome = Outcome::default();
        let Some(copy) = row.audit else {
            let text = format!("nothing of the audit log of system {} is copied yet", self.system);
            let hint = format!("tender servmgr system servcheck {} {}", self.vrm, self.system);
            outcome.say(Message::csm(270, Severity::W, text).with_hint(hint));
            return Ok(outcome);
        };
        let path = contact::audit_path(principal, &self.system);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && copy.bytes == 0 => Vec::new(),
            read => read.map_err(ServiceError::file("reading the copy of an audit log", &path))?,
        };
        let counted = usize::try_from(copy.bytes).unwrap_or(usize::MAX).min(bytes.len());
        let (mut end, mut records) = (beginning(), Vec::new());
        for line in bytes[..counted].split_inclusive(|byte| *byte == b'\n') {
            let (next, record) = follow_line(end, line.strip_suffix(b"\n").unwrap_or(line))
                .map_err(ServiceError::damaged(format!("the copy {}", path.display())))?;
            end = next;
            records.push(record);
        }
        if end != copy.end {
            let text =
                format!("the copy {} ends at record {}, not {}", path.display(), end.count, copy.end.count);
            outcome.say(Message::csm(271, Severity::S, text).with_hint("restore it from a backup"));
        }
        let shown = records.len().saturating_sub(self.last.unwrap_or(LAST));
        let mut table = Table::new(
            format!("Audit log of system {}", self.system),
            &["no", "at", "who", "what", "about", "rc"],
        );
        for record in &records[shown..] {
            let event = &record.event;
            table.row([
                record.seq.to_string(),
                format!("{:.0}", record.at),
                event.who.clone(),
                event.what.clone(),
                event.subject.clone(),
                event.result.clone(),
            ]);
        }
        outcome.tables.push(table);
        match &copy.fault {
            Some(fault) => outcome.say(self.fault(fault)),
            None => {
                let text =
                    format!("{} records are copied, and each follows from the one before", copy.end.count);
                outcome.say(Message::csm(272, Severity::I, text));
            }
        }
        outcome.data = serde_json::json!({ "copy": copy, "records": &records[shown..] });
        Ok(outcome)
    }

    fn fault(&self, fault: &str) -> Message {
        let text = format!("the audit log of system {} is not what was copied of it: {fault}", self.system);
        let hint = format!(
            "compare the two; then tender servmgr system audit {} {} --renew REASON puts this copy aside",
            self.vrm, self.system
        );
        Message::csm(273, Severity::S, text).with_hint(hint)
    }
}

impl Verb for SystemAudit {
    fn word(&self) -> &'static str {
        "SYSTEM AUDIT"
    }

    fn subject(&self) -> Subject {
        let renew = self.renew.as_ref().map_or_else(String::new, |reason| format!(" RENEW {reason}"));
        Subject::new(&self.vrm, format!("{}{renew}", self.system))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        self.show(principal)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let Some(reason) = &self.renew else { return self.show(principal) };
        if reason.trim().is_empty() {
            return Err(Refusal::new(274, "putting a copy aside needs a reason")
                .hint("say what was found out about the log: --renew REASON")
                .into());
        }
        let _lock = principal.lock_system(&self.system, &context.operator, self.word())?;
        drop(systems::expect(&principal.tables(), &self.vrm, &self.system)?);
        let aside = contact::set_audit_aside(principal, &self.system, (context.now)())?;
        let mut outcome = Outcome::default();
        let text = match aside {
            Some(path) => {
                format!("the copy is kept as {}; the next contact begins a new one", path.display())
            }
            None => "there was no copy; the next contact begins one".to_owned(),
        };
        outcome.say(Message::csm(275, Severity::I, text));
        Ok(outcome)
    }
}
