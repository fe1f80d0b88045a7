//! SYSTEM SERVCHECK: compares what systems have with what their level says.

use std::collections::BTreeSet;

use tender_package::report::{AuditHead, CheckLine, DriftKind, ServcheckReport, Verdict};
use tender_package::request::{RequestResult, Verb as Asked};
use tender_package::{FixId, Message, Outcome, Severity, Table, Vrm};

use super::{Context, Subject, Verb};
use crate::error::ServiceError;
use crate::hold;
use crate::principal::Principal;
use crate::query::{self, lineage};
use crate::system::{self, SystemContent, Target};
use crate::tables::systems::{self, SystemRow};
use crate::tables::{holds, settings};

/// SYSTEM SERVCHECK vrm target.
#[derive(Debug, Clone)]
pub struct SystemServcheck {
    /// The release.
    pub vrm: Vrm,
    /// Which systems.
    pub target: Target,
    /// Hash every part again.
    pub is_full: bool,
}

impl SystemServcheck {
    fn servcheck(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        system: &SystemRow,
    ) -> Result<Outcome, ServiceError> {
        let record = &system.record;
        system::refuse_unadded(system)?;
        let _lock = principal.lock_system(&record.name, &context.operator, self.word())?;
        let wrap = |source| ServiceError::Link { system: record.name.to_string(), source };
        let mut link = context.fleet.connect(&system::address(record)).map_err(wrap)?;
        let asked = Asked::Servcheck { full: self.is_full };
        let result = system::ask(principal, context, record, link.as_mut(), asked, None)?;
        let Some(mut report) = result.servcheck.clone() else { return Ok(result.outcome) };
        let before = system.info.as_ref().and_then(|info| info.audit.as_ref());
        let (mut verdict, mut detail) = audit_log(before, result.info.audit.as_ref());
        let known = systems::find(&principal.tables(), &record.name)?;
        if let Some(fault) = known.and_then(|row| row.audit).and_then(|copy| copy.fault) {
            (verdict, detail) = (Verdict::Bad, format!("the log is not what was copied of it: {fault}"));
        }
        let title = "audit log".to_owned();
        let taken = (context.now)();
        merge(&mut report.checks, CheckLine { number: 12, title, verdict, detail, taken });
        self.add_own_checks(principal, context, system, &result, &mut report)?;
        principal.transaction(|tables| systems::set_servcheck(tables, &record.name, &report))?;
        let mut outcome = outcome_of(&report);
        if let Some(row) = systems::find(&principal.tables(), &record.name)? {
            outcome.tables.extend(query::changes_of(std::slice::from_ref(&row)));
        }
        Ok(outcome)
    }

    /// Adds the checks that need what only the principal knows: 3, fix sets; 4, local modifications; 8, holds;
    /// 9, requisites across components.
    fn add_own_checks(
        &self,
        principal: &Principal,
        context: &Context<'_>,
        system: &SystemRow,
        result: &RequestResult,
        report: &mut ServcheckReport,
    ) -> Result<(), ServiceError> {
        let tables = principal.tables();
        let fresh = systems::find(&tables, &system.record.name)?;
        let system = fresh.as_ref().unwrap_or(system);
        let taken = (context.now)();
        let info = &result.info;
        let Some(current) = &info.current else {
            let detail = "nothing is in production".to_owned();
            let title = "fixes as in the level".to_owned();
            merge(
                &mut report.checks,
                CheckLine { number: 3, title, verdict: Verdict::Unknown, detail, taken },
            );
            report_order(report);
            return Ok(());
        };
        let level = &current.level.level;
        let expected = SystemContent::of_system(&tables, &self.vrm, info, system.prod.as_ref())?;
        let found: BTreeSet<FixId> =
            report.fixes.iter().flat_map(|(_, fixes)| fixes.iter().cloned()).collect();
        let is_known = current.level.level.as_str() != "ADOPTED";
        let (verdict, detail) = match (is_known, &system.prod) {
            (true, _) => compare(&expected.fixes, &found),
            (false, Some((equal, _))) => (
                Verdict::Ok,
                format!("a directory taken over as it was; its content is that of level {equal}"),
            ),
            (false, None) => adopted(system),
        };
        if !is_known && system.prod.is_some() {
            // The system cannot know which level has the content that was taken over.
            report.checks.retain(|line| line.number != 3);
        }
        let mut add = |number, title: &str, verdict, detail: String| {
            let line = CheckLine { number, title: title.to_owned(), verdict, detail, taken };
            merge(&mut report.checks, line);
        };
        add(3, "fixes as in the level", verdict, detail);
        let mods: Vec<_> = expected.mods.iter().map(|(id, path)| format!("{id} `{path}`")).collect();
        add(
            4,
            "local modifications",
            Verdict::Ok,
            format!("{} in level {level}: {}", mods.len(), mods.join(", ")),
        );
        let on: Vec<FixId> = expected.fixes.iter().cloned().collect();
        let active = holds::active(&tables, &self.vrm)?;
        let scopes = lineage(&tables, &self.vrm, level)?;
        let mut blocking = hold::blocking(&active, &scopes, &on);
        blocking.retain(|hold| !hold.is_accepted_on(&scopes, &system.record.name));
        let words: Vec<_> = blocking.iter().map(|hold| format!("{}: {}", hold.fix, hold.words())).collect();
        let (verdict, detail) = match words.as_slice() {
            [] => (Verdict::Ok, "no fix in production is held".to_owned()),
            words => (Verdict::Bad, format!("in production and held: {}", words.join(", "))),
        };
        add(8, "holds raised since", verdict, detail);
        let mut open = query::open_requisites(&tables, &self.vrm, &expected.fixes)?;
        open.extend(query::fleet_requisites(&tables, &self.vrm, &system.record.name, &expected.fixes)?);
        let (verdict, detail) = match open.as_slice() {
            [] => (Verdict::Ok, "every fix in production has what it needs".to_owned()),
            open => (Verdict::Bad, open.join(", ")),
        };
        add(9, "requisites", verdict, detail);
        report_order(report);
        Ok(())
    }
}

/// Adds a line; under a number that is there, both details stand in one line with the worse verdict.
fn merge(lines: &mut Vec<CheckLine>, line: CheckLine) {
    let rank = |verdict: Verdict| match verdict {
        Verdict::Ok => 0,
        Verdict::Unknown => 1,
        Verdict::Warn => 2,
        Verdict::Bad => 3,
    };
    match lines.iter_mut().find(|known| known.number == line.number) {
        Some(known) => {
            known.detail = format!("{}; {}", known.detail, line.detail);
            if rank(line.verdict) > rank(known.verdict) {
                known.verdict = line.verdict;
            }
        }
        None => lines.push(line),
    }
}

fn report_order(report: &mut ServcheckReport) {
    report.checks.sort_by_key(|line| line.number);
}

fn adopted(system: &SystemRow) -> (Verdict, String) {
    let said = system.record.asserted.to_string();
    (Verdict::Warn, format!("a directory that was taken over as it was; it is said to be level {said}"))
}

/// Compares where a system's audit log ends with where it ended when it was last seen; it may only have grown.
fn audit_log(before: Option<&AuditHead>, now: Option<&AuditHead>) -> (Verdict, String) {
    match (before, now) {
        (None, None) => (Verdict::Unknown, "no audit log has been seen".to_owned()),
        (Some(before), None) => {
            (Verdict::Bad, format!("the log is gone; it had {} records when last seen", before.count))
        }
        (Some(before), Some(now)) if now.count < before.count => {
            let text = format!("{} records, {} when last seen: its end was cut off", now.count, before.count);
            (Verdict::Bad, text)
        }
        (Some(before), Some(now)) if now.count == before.count && now.last != before.last => {
            (Verdict::Bad, format!("{} records as when last seen, but the last is another one", now.count))
        }
        (_, Some(now)) => (Verdict::Ok, format!("{} records, none missing at its end", now.count)),
    }
}

fn compare(expected: &BTreeSet<FixId>, found: &BTreeSet<FixId>) -> (Verdict, String) {
    let list = |fixes: Vec<&FixId>| fixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let missing: Vec<_> = expected.difference(found).collect();
    let extra: Vec<_> = found.difference(expected).collect();
    match (missing.is_empty(), extra.is_empty()) {
        (true, true) => (Verdict::Ok, format!("{} fixes", found.len())),
        _ => (Verdict::Bad, format!("missing: {}; extra: {}", list(missing), list(extra))),
    }
}

fn outcome_of(report: &ServcheckReport) -> Outcome {
    let mut outcome = Outcome::default();
    let mut table = Table::new("checks", &["no", "check", "verdict", "detail", "taken"]);
    for line in &report.checks {
        let verdict = match line.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Bad => "BAD",
            Verdict::Unknown => "unknown",
        };
        table.row([
            line.number.to_string(),
            line.title.clone(),
            verdict.to_owned(),
            line.detail.clone(),
            format!("{:.0}", line.taken),
        ]);
        if matches!(line.verdict, Verdict::Bad | Verdict::Warn) {
            let text = format!("check {}, {}: {}", line.number, line.title, line.detail);
            outcome.say(Message::csm(182, Severity::W, text));
        }
    }
    outcome.tables.push(table);
    if !report.drift.is_empty() {
        let mut table = Table::new("drift", &["slot", "component", "part", "what", "expected", "found"]);
        for item in &report.drift {
            let kind = match item.kind {
                DriftKind::Modified => "modified",
                DriftKind::Missing => "missing",
                DriftKind::Extra => "extra",
                DriftKind::Mode => "mode",
                DriftKind::Kind => "kind",
            };
            table.row([
                item.slot.clone(),
                item.component.clone(),
                item.path.to_string(),
                kind.to_owned(),
                item.expected.clone(),
                item.found.clone(),
            ]);
        }
        outcome.tables.push(table);
        outcome.say(Message::csm(183, Severity::W, format!("{} parts drifted", report.drift.len())));
    }
    if outcome.messages.is_empty() {
        outcome.say(Message::csm(184, Severity::I, "everything is as its level says"));
    }
    outcome.data = serde_json::json!({ "report": report });
    outcome
}

impl Verb for SystemServcheck {
    fn word(&self) -> &'static str {
        "SYSTEM SERVCHECK"
    }

    fn subject(&self) -> Subject {
        Subject::new(&self.vrm, format!("{}{}", self.target, if self.is_full { " FULL" } else { "" }))
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let targets = system::expand(&principal.tables(), &self.vrm, &self.target)?;
        let mut outcome = Outcome::default();
        for target in targets {
            let text = format!("system {} {} would be checked", self.vrm, target.record.name);
            outcome.say(Message::csm(185, Severity::I, text));
        }
        Ok(outcome)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let (targets, parallel) = {
            let tables = principal.tables();
            let parallel = settings::read(&tables, settings::PARALLEL_MAX)?;
            (system::expand(&tables, &self.vrm, &self.target)?, parallel as usize)
        };
        let results = system::each(&targets, parallel, &|system| self.servcheck(principal, context, system));
        Ok(system::gather(format!("SERVCHECK {} {}", self.vrm, self.target), results))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_number_become_one_with_the_worse_verdict() {
        let line = |verdict, detail: &str| CheckLine {
            number: 4,
            title: "t".to_owned(),
            verdict,
            detail: detail.to_owned(),
            taken: jiff::Timestamp::UNIX_EPOCH,
        };
        let mut lines = vec![line(Verdict::Ok, "a")];
        merge(&mut lines, line(Verdict::Bad, "b"));
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].verdict, lines[0].detail.as_str()), (Verdict::Bad, "a; b"));
    }

    #[test]
    fn audit_log_that_shrank_or_changed_its_end_is_bad() {
        let head = |count, text: &[u8]| AuditHead { count, last: tender_content::Digest::of(text) };
        let verdict =
            |before: Option<AuditHead>, now: Option<AuditHead>| audit_log(before.as_ref(), now.as_ref()).0;
        assert_eq!(verdict(None, None), Verdict::Unknown);
        assert_eq!(verdict(None, Some(head(3, b"c"))), Verdict::Ok);
        assert_eq!(verdict(Some(head(3, b"c")), Some(head(4, b"d"))), Verdict::Ok);
        assert_eq!(verdict(Some(head(3, b"c")), Some(head(3, b"c"))), Verdict::Ok);
        assert_eq!(verdict(Some(head(3, b"c")), Some(head(3, b"x"))), Verdict::Bad);
        assert_eq!(verdict(Some(head(3, b"c")), Some(head(2, b"b"))), Verdict::Bad);
        assert_eq!(verdict(Some(head(3, b"c")), None), Verdict::Bad);
    }
}
