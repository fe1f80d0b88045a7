//! What holds for every plan, whatever is in the slots.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tender_package::{LevelRef, Mode};

use super::step::Step;
use super::{fallback, put2prod, samples};
use crate::queue::Plan;
use crate::slots::{Slot, Slots};

type State = BTreeMap<Slot, LevelRef>;

fn state(slots: &Slots) -> State {
    slots.occupied().map(|(slot, occupant)| (slot, occupant.level().clone())).collect()
}

fn after(mut state: State, steps: &[Step]) -> State {
    for step in steps {
        match step {
            Step::Slot { slot, level: Some(level) } => drop(state.insert(*slot, level.clone())),
            Step::Slot { slot, level: None } => drop(state.remove(slot)),
            _ => {}
        }
    }
    state
}

/// A level by number, 0 being none; numbers may repeat, as a level may be in two slots.
fn slots() -> impl Strategy<Value = Slots> {
    let occupant = |number: u32| (number > 0).then(|| samples::occupant(&format!("BLD{number}"), 1));
    (0..4_u32, 0..4_u32, 0..4_u32).prop_map(move |(test, current, previous)| Slots {
        test: occupant(test),
        current: occupant(current),
        previous: occupant(previous),
    })
}

/// Checks that a plan that fails at any step is undone wholly, and that doing steps twice changes nothing more.
fn check(slots: &Slots, plan: &Plan) -> Result<State, TestCaseError> {
    let before = state(slots);
    for failed_at in 0..plan.steps.len() {
        let middle = after(before.clone(), &plan.steps[..failed_at]);
        prop_assert_eq!(&after(middle.clone(), &plan.undo), &before, "undone from step {}", failed_at);
        for cut_at in 0..plan.undo.len() {
            let cut = after(middle.clone(), &plan.undo[..cut_at]);
            prop_assert_eq!(&after(cut, &plan.undo[cut_at.saturating_sub(1)..]), &before);
        }
        let again = after(middle, &plan.steps[failed_at.saturating_sub(1)..]);
        prop_assert_eq!(again, after(before.clone(), &plan.steps));
    }
    Ok(after(before, &plan.steps))
}

proptest! {
    #[test]
    fn put2prod_at_any_slots_switches_wholly_or_not_at_all(slots in slots()) {
        let Ok(plan) = put2prod::plan_for(&slots, Mode::Stable) else {
            prop_assert!(slots.test.is_none());
            return Ok(());
        };
        let (before, done) = (state(&slots), check(&slots, &plan)?);
        prop_assert_eq!(done.get(&Slot::Current), before.get(&Slot::Test));
        prop_assert_eq!(done.get(&Slot::Test), None);
        if let Some(current) = before.get(&Slot::Current) {
            prop_assert_eq!(done.get(&Slot::Previous), Some(current));
        }
    }

    #[test]
    fn fallback_at_any_slots_swaps_wholly_or_not_at_all(slots in slots(), drifted in 0..2_usize) {
        let Ok(plan) = fallback::plan(&slots, drifted) else {
            prop_assert!(slots.previous.is_none());
            return Ok(());
        };
        let (before, done) = (state(&slots), check(&slots, &plan)?);
        prop_assert_eq!(done.get(&Slot::Current), before.get(&Slot::Previous));
        prop_assert_eq!(done.get(&Slot::Previous), before.get(&Slot::Current));
        prop_assert_eq!(done.get(&Slot::Test), before.get(&Slot::Test));
    }
}
