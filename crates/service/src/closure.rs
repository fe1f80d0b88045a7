//! Which fixes go on, in which order, and if not, exactly why (specification 4.4).
//!
//! A requisite is met when the fix it names is on, contained in one that is on, going on now, or contained in one
//! going on now. What is wanted is closed under requisites; fixes contained in others are dropped; every remaining
//! fix must be received, not excluded, not held; no fix may put a part back behind a version it does not contain.
//!
//! Fixes are numbered, known ones first in service order, so that the work is on small integers: a release has tens
//! of thousands of fixes.

mod graph;
mod order;
mod refuse;
mod walk;

use tender_content::PartPath;
use tender_package::{ComponentName, FixId, LevelName};

pub use refuse::{Cause, Fault, Refused};

use crate::hold::ActiveHold;
use crate::shapes::{Fix, LevelFix};

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Every fix received for the release.
    pub received: &'a [Fix],
    /// Fixes on, contained ones included, in the order they went on.
    pub on: &'a [LevelFix],
    /// Fixes wanted.
    pub want: &'a [FixId],
    /// Whether the wanted fixes were named one by one: then none may be left out.
    pub is_selected: bool,
    /// Fixes that must stay off.
    pub excluded: &'a [FixId],
    /// Holds.
    pub holds: &'a [ActiveHold],
    /// The level and those it is based on, for acceptances.
    pub scopes: &'a [LevelName],
    /// The components of the level in service order.
    pub components: &'a [ComponentName],
}

/// Why a fix goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It was wanted.
    Wanted,
    /// This fix needs it.
    NeededBy(FixId),
    /// This fix needs it because a condition holds.
    ConditionOf(FixId),
}

/// A fix that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The fix.
    pub id: FixId,
    /// Its component.
    pub component: ComponentName,
    /// Why.
    pub why: Why,
}

/// A wanted fix that does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The fix.
    pub id: FixId,
    /// Why.
    pub why: LeftOutWhy,
}

/// Why a wanted fix does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOutWhy {
    /// It is on.
    IsOn,
    /// This fix, which is on, contains it.
    ContainedOn(FixId),
    /// It was excluded.
    Excluded,
    /// It needs, along this chain, a fix that was excluded.
    NeedsExcluded(Vec<FixId>),
}

/// A conditional requisite that was open before and stays so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCondition {
    /// The fix that is on and needs another.
    pub fix: FixId,
    /// The fix it needs.
    pub needs: FixId,
}

/// A part that goes back because a fix that contains another does not bring it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoesBack {
    /// The contained fix, which brought the part.
    pub contained: FixId,
    /// The fix that contains it.
    pub by: FixId,
    /// The part.
    pub path: PartPath,
}

/// A held fix in whose place one that contains it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The held fix.
    pub fix: FixId,
    /// The fix that goes on.
    pub by: FixId,
    /// Class and reason of the hold.
    pub hold: String,
}

impl Replaced {
    /// Returns the words for people.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} instead of {}, which is held by {}", self.by, self.fix, self.hold)
    }
}

/// The answer: what to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Fixes that go on, in order.
    pub add: Vec<Added>,
    /// Fixes, on or wanted, that become contained, each with the fix that contains it.
    pub superseded: Vec<(FixId, FixId)>,
    /// Wanted fixes that do not go on.
    pub left_out: Vec<LeftOut>,
    /// Conditional requisites that were open before.
    pub open: Vec<OpenCondition>,
    /// Fixes that are held and in whose place others go on.
    pub replaced: Vec<Replaced>,
    /// Parts that go back to what they were before a contained fix.
    pub goes_back: Vec<GoesBack>,
}

/// Answers the question.
///
/// Limits: time grows with fixes and requisites, not with their square; 50 000 fixes with 200 000 requisites take
///         well under a second.
pub fn plan(question: &Question<'_>) -> Result<Plan, Refused> {
    let graph = graph::Graph::new(question);
    let mut dropped_roots = Vec::new();
    loop {
        let mut walk = walk::Walk::new(&graph, question, &dropped_roots);
        walk.run();
        if !question.is_selected {
            let more = walk.roots_needing_excluded();
            if !more.is_empty() {
                dropped_roots.extend(more);
                continue;
            }
        }
        return walk.finish(&dropped_roots);
    }
}

/// Returns the content of a level after a plan: fixes on in order, contained ones marked.
#[must_use]
pub fn apply(
    plan: &Plan,
    on: &[LevelFix],
    envelope_of: &dyn Fn(&FixId) -> (ComponentName, String),
) -> Vec<LevelFix> {
    let by: std::collections::HashMap<_, _> = plan.superseded.iter().map(|(fix, by)| (fix, by)).collect();
    let mut fixes: Vec<LevelFix> = on.to_vec();
    for fix in &mut fixes {
        if let Some(by) = by.get(&fix.id) {
            fix.superseded_by = Some((*by).clone());
        }
    }
    let known: std::collections::HashSet<FixId> = on.iter().map(|fix| fix.id.clone()).collect();
    let mut push = |id: &FixId, superseded_by: Option<FixId>| {
        let (component, envelope) = envelope_of(id);
        fixes.push(LevelFix { id: id.clone(), component, envelope, superseded_by });
    };
    for (fix, by) in plan.superseded.iter().filter(|(fix, _)| !known.contains(fix)) {
        push(fix, Some(by.clone()));
    }
    for added in &plan.add {
        push(&added.id, None);
    }
    fixes
}

#[cfg(test)]
mod tests;
