//! PUT2PROD: the stable level in slot `test` goes into production.
//!
//! ```text
//! validate and configure ─► previous := current ─► current := test ─► test := nothing ─► restart ─► collect
//!        │ fails: nothing happened                     the switch            fails: everything back, restart
//! ```

use std::collections::BTreeSet;

use tender_content::PartPath;
use tender_content::scan::ScanMode;
use tender_package::changes::Exception;
use tender_package::report::DriftItem;
use tender_package::request::{Request, Verb};
use tender_package::{FixId, LevelRef, Message, Mode, ReturnCode, Severity};

use super::signed::{self, Signed};
use super::step::Step;
use super::{Context, Handler, Refusal};
use crate::changes;
use crate::managed::ManagedState;
use crate::queue::Plan;
use crate::slots::{self, Occupant, Slot, Slots};
use crate::trees;

/// The verb PUT2PROD.
#[derive(Debug)]
pub(super) struct Put2prod;

/// What the principal asks for.
#[derive(Debug, Clone, Copy)]
struct Wish<'a> {
    expect: Option<&'a LevelRef>,
    acknowledged: &'a [FixId],
    force: Option<&'a str>,
}

/// All that the decision rests on.
#[derive(Debug, Clone)]
struct Facts {
    slots: Slots,
    signed: Signed,
    drift_test: Vec<DriftItem>,
    drift_current: Vec<DriftItem>,
    state: ManagedState,
    free_bytes: u64,
}

/// Bytes that links, records and logs of a switch may need.
const SWITCH_BYTES: u64 = 1 << 20;

impl Handler for Put2prod {
    fn word(&self) -> &'static str {
        "PUT2PROD"
    }

    fn plan(&self, context: &Context<'_>, request: &Request) -> Result<Plan, Refusal> {
        let Verb::Put2prod { expect, acknowledged, force } = &request.verb else {
            return Ok(Plan::default());
        };
        let wish = Wish { expect: expect.as_ref(), acknowledged, force: force.as_deref() };
        plan(&gather(context)?, &wish)
    }
}

fn gather(context: &Context<'_>) -> Result<Facts, Refusal> {
    let home = context.home;
    let failed = |error: &(dyn std::error::Error + 'static)| Refusal::failed(750, "PUT2PROD", error);
    let slots = slots::read(home).map_err(|error| failed(&error))?;
    let drift = |slot: Slot| match slots.get(slot) {
        None => Ok(Vec::new()),
        Some(occupant) => trees::drift(
            home,
            &context.store,
            slot.word(),
            &occupant.record.contents(),
            ScanMode::Cached,
            context.progress,
        ),
    };
    Ok(Facts {
        signed: slots
            .test
            .as_ref()
            .map_or_else(|| Signed::Unavailable(String::new()), |test| signed::state(context, test.level())),
        drift_test: drift(Slot::Test).map_err(|error| failed(&error))?,
        drift_current: lost(context, &slots, drift(Slot::Current).map_err(|error| failed(&error))?)
            .map_err(|error| failed(&error))?,
        state: ManagedState::read(home).map_err(|error| failed(&error))?,
        free_bytes: home.free_bytes().map_err(|error| failed(&error))?,
        slots,
    })
}

/// Keeps of what was changed by hand what the level in slot `test` does not have in the very same state.
fn lost(
    context: &Context<'_>,
    slots: &Slots,
    drift: Vec<DriftItem>,
) -> Result<Vec<DriftItem>, trees::TreesError> {
    let (Some(current), Some(test), false) = (&slots.current, &slots.test, drift.is_empty()) else {
        return Ok(drift);
    };
    let next = trees::effective(&context.store, &test.record.contents())?;
    let brought = |component: &str, path: &PartPath| {
        let (_, tree) = next.iter().find(|(name, _)| name.as_str() == component)?;
        Some(tree.get(path.as_str()).cloned())
    };
    Ok(changes::not_brought(context.home, &current.record, drift, &brought))
}

fn plan(facts: &Facts, wish: &Wish<'_>) -> Result<Plan, Refusal> {
    let Some(test) = &facts.slots.test else {
        let current = facts.slots.current.as_ref().map(Occupant::level);
        if let Some(level) = current.filter(|current| wish.expect == Some(*current)) {
            return Ok(in_production_already(level, None));
        }
        let message =
            Message::csm(751, Severity::E, "slot test is empty: there is nothing to put in production");
        return Err(Refusal::new(
            ReturnCode::Refused,
            message.with_hint("send the level with (STABLE first"),
        ));
    };
    let mut refusal = Refusal::default();
    let is_current = facts.slots.current.as_ref().is_some_and(|current| current.level() == test.level());
    if is_current && wish.expect.is_none_or(|expected| expected == test.level()) {
        return Ok(in_production_already(test.level(), Some(test.level())));
    }
    check_level(facts, test, wish, &mut refusal);
    check_exceptions(facts, test, &mut refusal);
    check_actions(facts, test, wish, &mut refusal);
    check_changes(facts, wish, &mut refusal);
    refusal.or_fine()?;

    let level = test.level().clone();
    let named = |occupant: &Option<Occupant>| occupant.as_ref().map(|occupant| occupant.level().clone());
    let (current, previous) = (named(&facts.slots.current), named(&facts.slots.previous));
    let mut steps = vec![Step::Validate { level: level.clone() }];
    if let Some(current) = &current {
        steps.push(Step::Slot { slot: Slot::Previous, level: Some(current.clone()) });
    }
    steps.push(Step::Slot { slot: Slot::Current, level: Some(level.clone()) });
    steps.push(Step::Slot { slot: Slot::Test, level: None });
    steps.push(Step::Restart { level: Some(level.clone()) });
    if facts.state.without_changes() != facts.state {
        // What was changed by hand stays in what is `previous` now.
        steps.push(Step::State { state: facts.state.without_changes() });
    }
    steps.push(Step::Collect);
    let undo = vec![
        Step::Slot { slot: Slot::Current, level: current.clone() },
        Step::Slot { slot: Slot::Previous, level: previous },
        Step::Slot { slot: Slot::Test, level: Some(level.clone()) },
        Step::Restart { level: current.clone() },
    ];
    let before = current.map_or_else(|| "nothing".to_owned(), |current| current.to_string());
    let done = Message::csm(752, Severity::I, format!("{level} is in production; before it was {before}"));
    Ok(Plan { steps, undo, done: Some(done), notes: notes(facts, wish) })
}

/// Switching to what is current would make `previous` the same level, and the way back would be lost.
fn in_production_already(level: &LevelRef, tested: Option<&LevelRef>) -> Plan {
    let text = format!("{level} is in production already; slot test is empty now");
    Plan {
        steps: vec![Step::Slot { slot: Slot::Test, level: None }, Step::Collect],
        undo: vec![Step::Slot { slot: Slot::Test, level: tested.cloned() }],
        done: Some(Message::csm(763, Severity::I, text)),
        notes: Vec::new(),
    }
}

fn check_level(facts: &Facts, test: &Occupant, wish: &Wish<'_>, refusal: &mut Refusal) {
    let level = test.level();
    if let Some(expected) = wish.expect.filter(|expected| *expected != level) {
        let text = format!("slot test holds {level}, not {expected}");
        let message =
            Message::csm(753, Severity::E, text).with_hint("send the level that is meant with (STABLE");
        refusal.add(ReturnCode::Refused, message);
    }
    let is_taken_back = matches!(facts.signed, Signed::State(state) if state != Mode::Stable);
    if test.record.mode != Mode::Stable || is_taken_back {
        let state = match facts.signed {
            Signed::State(state) if is_taken_back => state,
            _ => test.record.mode,
        };
        let text = format!("{level} is {}, and only a STABLE level goes into production", word(state));
        let message =
            Message::csm(754, Severity::E, text).with_hint("send it with (STABLE when its tests are done");
        refusal.add(ReturnCode::Refused, message);
    }
    if let Some(first) = facts.drift_test.first() {
        let text = format!(
            "{} parts of {level} in slot test are not as they were loaded, such as {}/{} ({:?})",
            facts.drift_test.len(),
            first.component,
            first.path,
            first.kind
        );
        let message =
            Message::csm(755, Severity::S, text).with_hint("send the level again: that loads it anew");
        refusal.add(ReturnCode::Integrity, message);
    }
}

/// A level loaded before an exception was made, or dropped, does not have it, or has it still.
fn check_exceptions(facts: &Facts, test: &Occupant, refusal: &mut Refusal) {
    let wanted = super::load::kept(&facts.state, &test.record.manifest);
    let parts = |list: &[Exception]| -> BTreeSet<String> {
        list.iter().map(|one| format!("{}/{} {:?}", one.component, one.path, one.is)).collect()
    };
    if parts(&wanted) != parts(&test.record.kept) {
        let text = format!("the exceptions of this system are others than when {} was loaded", test.level());
        let message = Message::csm(764, Severity::E, text).with_hint("send the level again");
        refusal.add(ReturnCode::Refused, message);
    }
}

fn word(mode: Mode) -> String {
    format!("{mode:?}").to_uppercase()
}

/// Action items of fixes that come into production with this level must have been acknowledged.
fn check_actions(facts: &Facts, test: &Occupant, wish: &Wish<'_>, refusal: &mut Refusal) {
    let current = facts.slots.current.as_ref();
    let in_production: BTreeSet<&FixId> = current
        .into_iter()
        .flat_map(|current| &current.record.manifest.components)
        .flat_map(|component| component.fixes.iter().map(|fix| &fix.id))
        .collect();
    for action in &test.record.manifest.actions {
        if in_production.contains(&action.fix) || wish.acknowledged.contains(&action.fix) {
            continue;
        }
        let text = format!("{} of {} is not acknowledged: {}", action.reason, action.fix, action.text);
        let hint = format!("do what it says, then give the command again and acknowledge {}", action.fix);
        refusal.add(ReturnCode::Refused, Message::csm(756, Severity::E, text).with_hint(hint));
    }
}

fn check_changes(facts: &Facts, wish: &Wish<'_>, refusal: &mut Refusal) {
    if facts.free_bytes < SWITCH_BYTES {
        let text = format!("{} bytes are free, {SWITCH_BYTES} are needed to switch safely", facts.free_bytes);
        let message = Message::csm(757, Severity::E, text).with_hint("make room on the file system");
        refusal.add(ReturnCode::Outside, message);
    }
    if wish.force.is_some() {
        return;
    }
    for one in &facts.state.overrides {
        let text = format!(
            "component {} is out of management since {:.0}: {}",
            one.component, one.since, one.reason
        );
        let message = Message::csm(758, Severity::E, text)
            .with_hint("give it back with MANAGED ON, or force with a reason");
        refusal.add(ReturnCode::Refused, message);
    }
    if let Some(first) = facts.drift_current.first() {
        let text = format!(
            "{} parts in production were changed by hand and would be lost, such as {}/{} ({:?})",
            facts.drift_current.len(),
            first.component,
            first.path,
            first.kind
        );
        let message = Message::csm(759, Severity::E, text)
            .with_hint("make a local modification of what must stay, or force with a reason");
        refusal.add(ReturnCode::Refused, message);
    }
}

fn notes(facts: &Facts, wish: &Wish<'_>) -> Vec<Message> {
    let mut notes = Vec::new();
    if let Signed::Unavailable(reason) = &facts.signed {
        let text =
            format!("STABLE rests on what was verified at the load; newer metadata cannot be had: {reason}");
        notes.push(Message::csm(760, Severity::I, text));
    }
    if let Some(reason) = wish.force {
        notes.push(Message::csm(761, Severity::W, format!("forced: {reason}")));
    }
    for item in &facts.drift_current {
        let text = format!("a change by hand leaves production: {}/{}", item.component, item.path);
        notes.push(Message::csm(762, Severity::W, text));
    }
    notes
}

/// Plans without anything in the way, for tests of what holds for every plan.
#[cfg(test)]
pub(super) fn plan_for(slots: &Slots, signed: Mode) -> Result<Plan, Refusal> {
    let facts = Facts {
        slots: slots.clone(),
        signed: Signed::State(signed),
        drift_test: Vec::new(),
        drift_current: Vec::new(),
        state: ManagedState::default(),
        free_bytes: u64::MAX,
    };
    plan(&facts, &Wish { expect: None, acknowledged: &[], force: None })
}

#[cfg(test)]
mod tests;
