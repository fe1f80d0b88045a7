//! Holds: which keep a fix off, what resolves them, and what people must do or accept (specification 10).
//!
//! | class    | keeps the fix off | resolved by                                                        |
//! |----------|-------------------|--------------------------------------------------------------------|
//! | error    | yes               | its curing fix being on, contained in one that is, or going on too |
//! | user     | yes               | acceptance for the level only                                      |
//! | action   | no                | acknowledgement for each system before production                  |
//! | category | no                | its curing fix; reported as missing until then                     |

use jiff::Timestamp;
use serde::Serialize;
use tender_package::manifest::ActionItem;
use tender_package::{FixId, LevelName, SystemName};

use crate::shapes::{Fix, Hold, HoldClass, LevelFix};

/// A hold that was not released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveHold {
    /// Its number in the tables.
    pub number: i64,
    /// The fix it holds.
    pub fix: FixId,
    /// The hold.
    pub hold: Hold,
    /// For what people accepted it.
    pub accepted: Vec<Acceptance>,
}

/// That people took the risk of a hold: for a level, everywhere or on one system, for ever or up to a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acceptance {
    /// The level.
    pub level: String,
    /// The only system where it counts; everywhere when absent.
    pub system: Option<String>,
    /// When it ends.
    pub until: Option<Timestamp>,
}

impl Acceptance {
    /// Reads what the tables hold: `LEVEL` or `LEVEL@SYSTEM`.
    pub(crate) fn read(scope: &str, until: Option<Timestamp>) -> Self {
        let (level, system) = match scope.split_once('@') {
            Some((level, system)) => (level, Some(system.to_owned())),
            None => (scope, None),
        };
        Self { level: level.to_owned(), system, until }
    }

    pub(crate) fn scope(&self) -> String {
        match &self.system {
            Some(system) => format!("{}@{system}", self.level),
            None => self.level.clone(),
        }
    }

    /// An acceptance whose time is over counts no more, and the hold blocks again.
    fn counts(&self, levels: &[LevelName]) -> bool {
        !self.is_over(Timestamp::now()) && levels.iter().any(|level| level.as_str() == self.level)
    }

    /// Tells whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Returns the words for people, such as `BLD1 on VM01 until 2026-12-24T18:00:00Z`.
    #[must_use]
    pub fn words(&self, now: Timestamp) -> String {
        let system = self.system.as_ref().map_or_else(String::new, |system| format!(" on {system}"));
        let until = self.until.map_or_else(String::new, |until| format!(" until {until:.0}"));
        let over = if self.is_over(now) { " (expired)" } else { "" };
        format!("{}{system}{until}{over}", self.level)
    }
}

impl ActiveHold {
    /// Tells whether its curing fix is on, as `is_on` tells.
    #[must_use]
    pub fn is_resolved(&self, is_on: &dyn Fn(&FixId) -> bool) -> bool {
        let may_resolve = matches!(self.hold.class, HoldClass::Error | HoldClass::Category);
        may_resolve && self.hold.resolved_by.as_ref().is_some_and(is_on)
    }

    /// Tells whether it was accepted for one of the levels: the level itself or one it is based on.
    #[must_use]
    pub fn is_accepted(&self, levels: &[LevelName]) -> bool {
        self.accepted.iter().any(|one| one.system.is_none() && one.counts(levels))
    }

    /// Tells whether it was accepted for one of the levels on this system.
    #[must_use]
    pub fn is_accepted_on(&self, levels: &[LevelName], system: &SystemName) -> bool {
        let is_here = |one: &Acceptance| one.system.as_deref().is_none_or(|name| name == system.as_str());
        self.accepted.iter().any(|one| is_here(one) && one.counts(levels))
    }

    /// Tells whether it keeps its fix off a level.
    #[must_use]
    pub fn blocks(&self, levels: &[LevelName], is_on: &dyn Fn(&FixId) -> bool) -> bool {
        matches!(self.hold.class, HoldClass::Error | HoldClass::User)
            && !self.is_accepted(levels)
            && !self.is_resolved(is_on)
    }

    /// Returns the words for people, such as `error hold VM66872`.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} hold {}", self.hold.class.word(), self.hold.reason)
    }
}

/// Lists the holds that block fixes which are on already: raised later, not resolved, not accepted.
#[must_use]
pub fn blocking<'h>(holds: &'h [ActiveHold], levels: &[LevelName], on: &[FixId]) -> Vec<&'h ActiveHold> {
    let is_on = |fix: &FixId| on.contains(fix);
    holds.iter().filter(|hold| is_on(&hold.fix) && hold.blocks(levels, &is_on)).collect()
}

/// Lists the category holds of fixes that are on whose curing fix is not: what is missing for a category.
#[must_use]
pub fn missing_for_category<'h>(
    holds: &'h [ActiveHold],
    levels: &[LevelName],
    on: &[FixId],
) -> Vec<&'h ActiveHold> {
    let is_on = |fix: &FixId| on.contains(fix);
    let is_missing = |hold: &&ActiveHold| {
        hold.hold.class == HoldClass::Category
            && is_on(&hold.fix)
            && !hold.is_resolved(&is_on)
            && !hold.is_accepted(levels)
    };
    holds.iter().filter(is_missing).collect()
}

/// Lists what people must do or read before fixes go into production: memos, and holds of class action.
#[must_use]
pub fn actions<'a>(fixes: impl IntoIterator<Item = &'a Fix>, holds: &[ActiveHold]) -> Vec<ActionItem> {
    let mut items = Vec::new();
    for fix in fixes {
        if let Some(memo) = &fix.memo {
            items.push(ActionItem { fix: fix.id.clone(), reason: "MEMO".to_owned(), text: memo.clone() });
        }
        for hold in holds.iter().filter(|hold| hold.fix == fix.id && hold.hold.class == HoldClass::Action) {
            items.push(ActionItem {
                fix: fix.id.clone(),
                reason: hold.hold.reason.clone(),
                text: hold.hold.text.clone(),
            });
        }
    }
    items.sort();
    items.dedup();
    items
}

/// Lists the memos of envelopes as something to read; an envelope of which no fix is on asks for nothing.
///
/// The item carries the envelope's name where a fix stands otherwise, which is the word that acknowledges it.
#[must_use]
pub fn envelope_memos(on: &[LevelFix], memos: &[(String, String)]) -> Vec<ActionItem> {
    let item = |(name, text): &(String, String)| {
        let first = on.iter().find(|fix| fix.envelope == *name)?;
        let fix = FixId::new(name).unwrap_or_else(|_| first.id.clone());
        Some(ActionItem { fix, reason: "MEMO".to_owned(), text: text.clone() })
    };
    memos.iter().filter_map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> FixId {
        FixId::new(text).unwrap()
    }

    fn hold(class: HoldClass) -> ActiveHold {
        let hold = Hold { class, reason: "R".into(), resolved_by: Some(id("B")), text: String::new() };
        ActiveHold { number: 1, fix: id("A"), hold, accepted: Vec::new() }
    }

    #[test]
    fn error_hold_is_resolved_by_its_curing_fix() {
        let hold = hold(HoldClass::Error);
        assert!(hold.blocks(&[], &|_| false));
        assert!(!hold.blocks(&[], &|fix| *fix == id("B")));
    }

    #[test]
    fn category_hold_reports_what_is_missing_until_it_is_on_or_accepted() {
        let mut holds = [hold(HoldClass::Category)];
        let level = [LevelName::new("L1").unwrap()];
        assert!(!holds[0].blocks(&level, &|_| false));
        assert_eq!(missing_for_category(&holds, &level, &[id("A")]).len(), 1);
        assert!(missing_for_category(&holds, &level, &[id("A"), id("B")]).is_empty());
        assert!(missing_for_category(&holds, &level, &[id("C")]).is_empty());
        holds[0].accepted.push(Acceptance::read("L1", None));
        assert!(missing_for_category(&holds, &level, &[id("A")]).is_empty());
    }

    #[test]
    fn user_hold_is_resolved_by_acceptance_only() {
        let mut hold = hold(HoldClass::User);
        let level = LevelName::new("L1").unwrap();
        assert!(hold.blocks(std::slice::from_ref(&level), &|_| true));
        hold.accepted.push(Acceptance::read("L1", None));
        assert!(!hold.blocks(&[level], &|_| false));
    }

    #[test]
    fn acceptance_counts_on_its_system_and_until_its_end() {
        let (here, there) = (SystemName::new("VM01").unwrap(), SystemName::new("VM02").unwrap());
        let levels = [LevelName::new("L1").unwrap()];
        let mut hold = hold(HoldClass::User);
        hold.accepted.push(Acceptance::read("L1@VM01", None));
        assert!(hold.is_accepted_on(&levels, &here));
        assert!(!hold.is_accepted_on(&levels, &there));
        assert!(!hold.is_accepted(&levels));
        hold.accepted = vec![Acceptance::read("L1", Some(Timestamp::UNIX_EPOCH))];
        assert!(!hold.is_accepted_on(&levels, &here), "its time is over");
        assert_eq!(hold.accepted[0].words(Timestamp::now()), "L1 until 1970-01-01T00:00:00Z (expired)");
    }

    #[test]
    fn action_hold_never_blocks_but_becomes_an_action() {
        let hold = hold(HoldClass::Action);
        assert!(!hold.blocks(&[], &|_| false));
        let fix = Fix {
            id: id("A"),
            component: tender_package::ComponentName::new("c").unwrap(),
            description: String::new(),
            problems: Vec::new(),
            requisites: Vec::new(),
            supersedes: Vec::new(),
            holds: Vec::new(),
            memo: Some("read me".to_owned()),
            categories: Vec::new(),
            parts: Vec::new(),
        };
        let items = actions([&fix], &[hold]);
        assert_eq!(items.iter().map(|item| item.reason.as_str()).collect::<Vec<_>>(), ["MEMO", "R"]);
    }

    #[test]
    fn memo_of_an_envelope_counts_when_a_fix_of_it_is_on() {
        let component = tender_package::ComponentName::new("c").unwrap();
        let on = [LevelFix { id: id("A"), component, envelope: "RSU1".to_owned(), superseded_by: None }];
        let memos = ["RSU1", "RSU2"].map(|name| (name.to_owned(), "read".to_owned()));
        let items = envelope_memos(&on, &memos);
        assert_eq!(items.iter().map(|item| item.fix.as_str()).collect::<Vec<_>>(), ["RSU1"]);
    }

    #[test]
    fn hold_raised_later_blocks_fix_that_is_on() {
        let holds = [hold(HoldClass::Error)];
        assert_eq!(blocking(&holds, &[], &[id("A")]).len(), 1);
        assert!(blocking(&holds, &[], &[id("A"), id("B")]).is_empty());
        assert!(blocking(&holds, &[], &[id("C")]).is_empty());
    }
}
