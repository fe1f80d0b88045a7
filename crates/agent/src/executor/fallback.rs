//! FALLBACK: goes back to slot `previous` in one switch; what was in production becomes `previous`.
//!
//! A level that was also being tested is in production then, so slot `test` is cleared: `test` and `current` never
//! name the same level, and no later PUT2PROD can overwrite the way back with it.

use tender_content::scan::ScanMode;
use tender_package::changes::Exception;
use tender_package::report::DriftItem;
use tender_package::request::Request;
use tender_package::{LevelRef, Message, Mode, ReturnCode, Severity};

use super::signed::{self, Signed};
use super::step::Step;
use super::{Context, Handler, Refusal};
use crate::chain;
use crate::managed::ManagedState;
use crate::queue::Plan;
use crate::slots::{self, LevelRecord, Slot, Slots};
use crate::trees;

/// The verb FALLBACK.
#[derive(Debug)]
pub(super) struct Fallback;

impl Handler for Fallback {
    fn word(&self) -> &'static str {
        "FALLBACK"
    }

    fn plan(&self, context: &Context<'_>, _request: &Request) -> Result<Plan, Refusal> {
        let failed = |error: &(dyn std::error::Error + 'static)| Refusal::failed(770, "FALLBACK", error);
        let slots = slots::read(context.home).map_err(|error| failed(&error))?;
        let state = ManagedState::read(context.home).map_err(|error| failed(&error))?;
        let drift = |slot: Slot| match slots.get(slot) {
            None => Ok(Vec::new()),
            Some(occupant) => trees::drift(
                context.home,
                &context.store,
                slot.word(),
                &occupant.record.contents(),
                ScanMode::Cached,
                context.progress,
            ),
        };
        // A level in production that cannot even be compared must not keep anyone from leaving it.
        let (drift_current, uncompared) = match drift(Slot::Current) {
            Ok(items) => (items, None),
            Err(error) => (Vec::new(), Some(chain(&error))),
        };
        let found = Found {
            drifted_previous: drift(Slot::Previous).map_err(|error| failed(&error))?.len(),
            drift_current,
            uncompared,
            exceptions: exceptions(context, &slots, &state).map_err(|error| failed(&error))?,
            state,
            is_withdrawn: slots.previous.as_ref().is_some_and(|previous| {
                signed::state(context, previous.level()) == Signed::State(Mode::Withdrawn)
            }),
        };
        plan(&slots, &found)
    }
}

/// What is worth a warning, none of which keeps a system from going back.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// Parts of slot `previous` that differ: its directory is made again first.
    pub(super) drifted_previous: usize,
    /// Parts of slot `current` that differ, which leave production.
    pub(super) drift_current: Vec<DriftItem>,
    /// Why slot `current` could not be compared with its level.
    pub(super) uncompared: Option<String>,
    /// The state of management.
    pub(super) state: ManagedState,
    /// The exceptions of this system that stand in slot `previous`, and those that cannot.
    pub(super) exceptions: (Vec<Exception>, Vec<Exception>),
    /// Whether newer signed metadata took back the level gone back to.
    pub(super) is_withdrawn: bool,
}

/// Sorts the exceptions of this system into those that can stand in slot `previous` and those that cannot: whoever
/// goes back is in need, and nothing may be in the way.
fn exceptions(
    context: &Context<'_>,
    slots: &Slots,
    state: &ManagedState,
) -> Result<(Vec<Exception>, Vec<Exception>), trees::TreesError> {
    let Some(previous) = &slots.previous else { return Ok(Default::default()) };
    let (mut kept, mut out) = (Vec::new(), Vec::new());
    for one in &state.exceptions {
        let tree = previous.record.tree(&one.component);
        let tree = tree.map(|digest| trees::read(&context.store, digest)).transpose()?;
        let stands = tree.is_some_and(|tree| trees::reworks(&tree, &[one]).is_empty());
        if stands { &mut kept } else { &mut out }.push(one.clone());
    }
    Ok((kept, out))
}

/// Decides the steps.
pub(super) fn plan(slots: &Slots, found: &Found) -> Result<Plan, Refusal> {
    let Some(previous) = &slots.previous else {
        let message =
            Message::csm(771, Severity::E, "slot previous is empty: there is nothing to go back to");
        return Err(Refusal::new(
            ReturnCode::Refused,
            message.with_hint("send another level and put it in production"),
        ));
    };
    let level = previous.level().clone();
    let current = slots.current.as_ref().map(|current| current.level().clone());
    if current.as_ref() == Some(&level) {
        let text =
            format!("slot previous holds {level}, which is in production: there is nothing to go back to");
        return Err(Refusal::new(
            ReturnCode::Refused,
            Message::csm(774, Severity::E, text).with_hint("send another level and put it in production"),
        ));
    }
    let is_tested = slots.test.as_ref().is_some_and(|test| *test.level() == level);
    let mut steps = Vec::new();
    let mut notes = warnings(&level, found);
    let record = LevelRecord { kept: found.exceptions.0.clone(), ..previous.record.clone() };
    let is_kept_anew = record != previous.record;
    if is_kept_anew {
        steps.push(Step::Record { record: Box::new(record.clone()) });
    }
    if is_kept_anew || found.drifted_previous > 0 {
        steps.push(Step::Materialise { contents: record.contents() });
    }
    steps.extend([
        Step::Validate { level: level.clone() },
        Step::Slot { slot: Slot::Current, level: Some(level.clone()) },
        Step::Slot { slot: Slot::Previous, level: current.clone() },
    ]);
    let mut undo = vec![
        Step::Slot { slot: Slot::Current, level: current.clone() },
        Step::Slot { slot: Slot::Previous, level: Some(level.clone()) },
    ];
    if is_tested {
        steps.push(Step::Slot { slot: Slot::Test, level: None });
        undo.push(Step::Slot { slot: Slot::Test, level: Some(level.clone()) });
        notes.push(Message::csm(
            775,
            Severity::I,
            format!("{level} leaves slot test, as it is in production"),
        ));
    }
    steps.push(Step::Restart { level: Some(level.clone()) });
    undo.push(Step::Restart { level: current.clone() });
    if found.state.without_changes() != found.state {
        steps.push(Step::State { state: found.state.without_changes() });
    }
    let before = current.map_or_else(|| "nothing".to_owned(), |current| current.to_string());
    let done =
        Message::csm(773, Severity::I, format!("{level} is in production again; before it was {before}"));
    Ok(Plan { steps, undo, done: Some(done), notes })
}

fn warnings(level: &LevelRef, found: &Found) -> Vec<Message> {
    let mut texts = Vec::new();
    if found.drifted_previous > 0 {
        let count = found.drifted_previous;
        texts
            .push((772, format!("{count} parts of {level} were not as loaded; its directory is made again")));
    }
    let changed = found.drift_current.iter();
    texts.extend(changed.map(|item| {
        (
            776,
            format!("a change by hand leaves production: {}/{} ({:?})", item.component, item.path, item.kind),
        )
    }));
    if let Some(reason) = &found.uncompared {
        texts.push((
            778,
            format!("changes by hand in production may be lost, as none can be found: {reason}"),
        ));
    }
    texts.extend(found.exceptions.1.iter().map(|one| {
        (
            779,
            format!(
                "{level} has something else under exception {}/{}, which is left out",
                one.component, one.path
            ),
        )
    }));
    if found.is_withdrawn {
        texts.push((777, format!("{level} was withdrawn since it was in production")));
    }
    texts.into_iter().map(|(number, text)| Message::csm(number, Severity::W, text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::samples;

    #[test]
    fn fallback_without_previous_is_refused() {
        let slots = Slots { current: Some(samples::occupant("BLD1", 1)), ..Slots::default() };
        assert_eq!(plan(&slots, &Found::default()).unwrap_err().code, ReturnCode::Refused);
    }

    #[test]
    fn fallback_swaps_current_and_previous() {
        let slots = Slots {
            current: Some(samples::occupant("BLD2", 1)),
            previous: Some(samples::occupant("BLD1", 1)),
            test: None,
        };
        let plan = plan(&slots, &Found::default()).unwrap();
        let switches: Vec<_> = plan.steps.iter().filter(|step| matches!(step, Step::Slot { .. })).collect();
        assert_eq!(
            switches,
            [
                &Step::Slot { slot: Slot::Current, level: Some(samples::level("BLD1", 1)) },
                &Step::Slot { slot: Slot::Previous, level: Some(samples::level("BLD2", 1)) },
            ]
        );
        assert!(!plan.steps.iter().any(|step| matches!(step, Step::Materialise { .. })));
    }

    #[test]
    fn fallback_to_the_level_being_tested_clears_slot_test() {
        let slots = Slots {
            current: Some(samples::occupant("BLD5", 1)),
            previous: Some(samples::occupant("BLD1", 1)),
            test: Some(samples::occupant("BLD1", 1)),
        };
        let plan = plan(&slots, &Found::default()).unwrap();
        let labels = |steps: &[Step]| -> Vec<_> { steps.iter().map(|step| step.label("fallback")).collect() };
        assert_eq!(labels(&plan.steps), ["validate", "switch", "previous", "clear", "restart"]);
        assert_eq!(labels(&plan.undo), ["switch", "previous", "clear", "restart"]);
    }

    #[test]
    fn fallback_to_another_generation_of_the_level_being_tested_leaves_slot_test() {
        let slots = Slots {
            current: Some(samples::occupant("BLD5", 1)),
            previous: Some(samples::occupant("BLD1", 1)),
            test: Some(samples::occupant("BLD1", 2)),
        };
        let is_test = |step: &Step| matches!(step, Step::Slot { slot: Slot::Test, .. });
        assert!(!plan(&slots, &Found::default()).unwrap().steps.iter().any(is_test));
    }

    #[test]
    fn fallback_to_what_is_in_production_is_refused() {
        let slots = Slots {
            current: Some(samples::occupant("BLD1", 1)),
            previous: Some(samples::occupant("BLD1", 1)),
            test: None,
        };
        assert_eq!(plan(&slots, &Found::default()).unwrap_err().code, ReturnCode::Refused);
    }

    #[test]
    fn fallback_to_a_changed_level_makes_it_again_first() {
        let slots = Slots { previous: Some(samples::occupant("BLD1", 1)), ..Slots::default() };
        let plan = plan(&slots, &Found { drifted_previous: 2, ..Found::default() }).unwrap();
        assert!(matches!(plan.steps[0], Step::Materialise { .. }));
        assert_eq!(plan.notes.len(), 1);
    }

    #[test]
    fn fallback_from_changed_parts_to_a_withdrawn_level_warns_and_goes() {
        let slots = Slots {
            current: Some(samples::occupant("BLD2", 1)),
            previous: Some(samples::occupant("BLD1", 1)),
            test: None,
        };
        let drift_current = vec![samples::drift("current", "http", "bin/httpd")];
        let plan = plan(&slots, &Found { drift_current, is_withdrawn: true, ..Found::default() }).unwrap();
        let notes: Vec<_> = plan.notes.iter().map(|note| (note.id.as_str(), note.severity)).collect();
        assert_eq!(notes, [("CSM0776", Severity::W), ("CSM0777", Severity::W)]);
        assert!(!plan.steps.iter().any(|step| matches!(step, Step::Materialise { .. })));
    }
}
