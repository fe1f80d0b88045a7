//! What holds for every plan, whatever is in the slots.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tender_package::{LevelRef, Mode};

use super::step::Step;
use super::{fallback, load, put2prod, samples, unload};
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

/// What may be asked, with a level by number.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Load(u32),
    Put2prod,
    Fallback,
    Unload,
}

fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![
        (1..4_u32).prop_map(Asked::Load),
        Just(Asked::Put2prod),
        Just(Asked::Fallback),
        Just(Asked::Unload),
    ]
}

fn slots_of(state: &State) -> Slots {
    let occupant = |slot| {
        let level: &LevelRef = state.get(&slot)?;
        Some(samples::occupant(level.level.as_str(), level.generation))
    };
    Slots { test: occupant(Slot::Test), current: occupant(Slot::Current), previous: occupant(Slot::Previous) }
}

/// Returns the slots after a request; a refused one changes nothing.
fn carried_out(state: State, asked: Asked) -> State {
    let slots = slots_of(&state);
    let plan = match asked {
        Asked::Load(number) => {
            load::plan_for(&slots, samples::manifest(&format!("BLD{number}"), 1), Mode::Stable)
        }
        Asked::Put2prod => put2prod::plan_for(&slots, Mode::Stable).unwrap_or_default(),
        Asked::Fallback => fallback::plan(&slots, &fallback::Found::default()).unwrap_or_default(),
        Asked::Unload => unload::plan(&slots),
    };
    after(state, &plan.steps)
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
        if before.get(&Slot::Current) == before.get(&Slot::Test) {
            prop_assert_eq!(done.get(&Slot::Previous), before.get(&Slot::Previous));
        } else if let Some(current) = before.get(&Slot::Current) {
            prop_assert_eq!(done.get(&Slot::Previous), Some(current));
        }
    }

    #[test]
    fn fallback_at_any_slots_swaps_wholly_or_not_at_all(slots in slots(), drifted in 0..2_usize) {
        let found = fallback::Found { drifted_previous: drifted, ..fallback::Found::default() };
        let before = state(&slots);
        let Ok(plan) = fallback::plan(&slots, &found) else {
            let is_same = before.get(&Slot::Previous) == before.get(&Slot::Current);
            prop_assert!(slots.previous.is_none() || is_same);
            return Ok(());
        };
        let done = check(&slots, &plan)?;
        prop_assert_eq!(done.get(&Slot::Current), before.get(&Slot::Previous));
        prop_assert_eq!(done.get(&Slot::Previous), before.get(&Slot::Current));
        let test = before.get(&Slot::Test).filter(|test| Some(*test) != before.get(&Slot::Previous));
        prop_assert_eq!(done.get(&Slot::Test), test);
    }

    #[test]
    fn way_back_after_any_requests_is_another_level_and_never_lost(
        requests in proptest::collection::vec(asked(), 0..24),
    ) {
        let mut state = State::new();
        for asked in requests {
            let before = state.clone();
            state = carried_out(state, asked);
            if let Some(current) = state.get(&Slot::Current) {
                prop_assert_ne!(state.get(&Slot::Previous), Some(current), "{:?} at {:?}", asked, &before);
                prop_assert_ne!(state.get(&Slot::Test), Some(current), "{:?} at {:?}", asked, &before);
            }
            for slot in [Slot::Current, Slot::Previous] {
                prop_assert!(!before.contains_key(&slot) || state.contains_key(&slot), "{:?}", asked);
            }
        }
    }
}
