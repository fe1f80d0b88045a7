use tender_package::manifest::ActionItem;

use super::*;
use crate::executor::samples;

fn facts() -> Facts {
    Facts {
        slots: Slots {
            test: Some(samples::occupant("BLD2", 1)),
            current: Some(samples::occupant("BLD1", 1)),
            previous: Some(samples::occupant("BASE", 0)),
        },
        signed: Signed::State(Mode::Stable),
        drift_test: Vec::new(),
        drift_current: Vec::new(),
        state: ManagedState::default(),
        free_bytes: 1 << 30,
    }
}

const PLAIN: Wish<'static> = Wish { expect: None, acknowledged: &[], force: None };

fn numbers(facts: &Facts, wish: &Wish<'_>) -> Vec<String> {
    match plan(facts, wish) {
        Ok(_) => Vec::new(),
        Err(refusal) => refusal.messages.into_iter().map(|message| message.id).collect(),
    }
}

#[test]
fn stable_level_is_switched_to_and_the_old_one_kept() {
    let plan = plan(&facts(), &PLAIN).unwrap();
    let labels: Vec<_> = plan.steps.iter().map(|step| step.label("put2prod")).collect();
    assert_eq!(labels, ["validate", "previous", "switch", "clear", "restart", "collect"]);
    let back: Vec<_> = plan.undo.iter().map(|step| step.label("put2prod")).collect();
    assert_eq!(back, ["switch", "previous", "clear", "restart"]);
    assert_eq!(plan.undo[1], Step::Slot { slot: Slot::Previous, level: Some(samples::level("BASE", 0)) });
}

#[test]
fn first_level_of_a_system_leaves_previous_empty() {
    let mut facts = facts();
    facts.slots.current = None;
    facts.slots.previous = None;
    let plan = plan(&facts, &PLAIN).unwrap();
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::Slot { slot: Slot::Previous, .. })));
    assert_eq!(plan.undo[0], Step::Slot { slot: Slot::Current, level: None });
}

#[test]
fn level_in_production_already_leaves_the_way_back_alone() {
    let mut facts = facts();
    facts.slots.current = facts.slots.test.clone();
    let plan = plan(&facts, &PLAIN).unwrap();
    assert_eq!(plan.steps, [Step::Slot { slot: Slot::Test, level: None }, Step::Collect]);
    assert!(plan.notes.is_empty(), "nothing to warn of");
    let expected = samples::level("BLD9", 1);
    assert_eq!(numbers(&facts, &Wish { expect: Some(&expected), ..PLAIN }), ["CSM0753"]);
    // The same command given again finds slot test empty.
    facts.slots.test = None;
    let (current, wrong) = (samples::level("BLD2", 1), samples::level("BLD2", 2));
    assert!(numbers(&facts, &Wish { expect: Some(&current), ..PLAIN }).is_empty());
    assert_eq!(numbers(&facts, &Wish { expect: Some(&wrong), ..PLAIN }), ["CSM0751"]);
}

#[test]
fn empty_test_slot_or_another_level_is_refused() {
    let expected = samples::level("BLD9", 1);
    assert_eq!(numbers(&facts(), &Wish { expect: Some(&expected), ..PLAIN }), ["CSM0753"]);
    let mut facts = facts();
    facts.slots.test = None;
    assert_eq!(numbers(&facts, &PLAIN), ["CSM0751"]);
}

#[test]
fn level_that_is_not_stable_is_refused() {
    let mut loaded_as_test = facts();
    loaded_as_test.slots.test.as_mut().unwrap().record.mode = Mode::Test;
    let mut withdrawn = facts();
    withdrawn.signed = Signed::State(Mode::Withdrawn);
    for facts in [loaded_as_test, withdrawn] {
        assert_eq!(numbers(&facts, &Wish { force: Some("no way"), ..PLAIN }), ["CSM0754"]);
    }
}

#[test]
fn metadata_that_cannot_be_had_is_noted_only() {
    let mut facts = facts();
    facts.signed = Signed::Unavailable("expired".to_owned());
    assert_eq!(plan(&facts, &PLAIN).unwrap().notes[0].id, "CSM0760");
}

#[test]
fn action_of_a_new_fix_must_be_acknowledged() {
    let mut facts = facts();
    let action = |fix: &str| ActionItem {
        fix: FixId::new(fix).unwrap(),
        reason: "ACTION".to_owned(),
        text: "rebind".to_owned(),
    };
    let test = &mut facts.slots.test.as_mut().unwrap().record.manifest;
    // UM00001 is in production with BLD1 already, UM00002 comes with BLD2.
    test.actions = vec![action("UM00001"), action("UM00002")];
    assert_eq!(numbers(&facts, &PLAIN), ["CSM0756"]);
    let acknowledged = [FixId::new("UM00002").unwrap()];
    assert!(numbers(&facts, &Wish { acknowledged: &acknowledged, ..PLAIN }).is_empty());
}

#[test]
fn changed_test_slot_is_refused_even_with_force() {
    let mut facts = facts();
    facts.drift_test.push(samples::drift("test", "http", "bin/httpd"));
    let refusal = plan(&facts, &Wish { force: Some("no way"), ..PLAIN }).unwrap_err();
    assert_eq!(refusal.code, ReturnCode::Integrity);
}

#[test]
fn changes_in_production_need_force() {
    let mut facts = facts();
    facts.drift_current.push(samples::drift("current", "http", "bin/httpd"));
    facts.state.overrides.push(samples::override_of("http", None));
    assert_eq!(numbers(&facts, &PLAIN), ["CSM0758", "CSM0759"]);
    let plan = plan(&facts, &Wish { force: Some("obsolete"), ..PLAIN }).unwrap();
    assert_eq!(plan.notes.len(), 2);
}

#[test]
fn full_disk_is_refused_before_anything_happens() {
    let mut facts = facts();
    facts.free_bytes = 10;
    assert_eq!(numbers(&facts, &PLAIN), ["CSM0757"]);
}
