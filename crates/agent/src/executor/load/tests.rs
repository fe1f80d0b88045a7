use tender_package::manifest::{AppliedLocalMod, content_digest};

use super::*;
use crate::executor::samples;

fn facts(name: &str) -> Facts {
    let manifest = samples::manifest(name, 1);
    Facts {
        custom: TargetCustom { state: Mode::Stable, content: manifest.content, generation: 1 },
        complete: manifest.components.iter().filter_map(|one| one.base_tree).collect(),
        manifest,
        variant: Variant::default(),
        slots: Slots::default(),
        loaded: None,
        held: None,
        state: ManagedState::default(),
        reworks: Vec::new(),
        drift: Vec::new(),
        unpacked_bytes: BTreeMap::new(),
        free_bytes: 1 << 40,
        free_bytes_min: 0,
        now: Timestamp::UNIX_EPOCH,
    }
}

fn numbers(facts: &Facts, mode: Mode, lose: &[FixId], force: Option<&str>) -> Vec<String> {
    let level = facts.manifest.level.clone();
    let wish = Wish { level: &level, mode, lose, force };
    match guard::check(facts, &wish) {
        Ok(()) => Vec::new(),
        Err(refusal) => {
            assert!(
                refusal.messages.iter().all(|message| message.hint.is_some()),
                "every refusal shows a way on"
            );
            refusal.messages.into_iter().map(|message| message.id).collect()
        }
    }
}

fn labels(facts: &Facts, mode: Mode) -> Vec<&'static str> {
    let level = facts.manifest.level.clone();
    let plan = plan(facts, &Wish { level: &level, mode, lose: &[], force: None });
    plan.steps.iter().map(|step| step.label("load")).collect()
}

#[test]
fn level_for_an_empty_system_is_staged_applied_and_loaded() {
    let facts = facts("BLD1");
    assert!(numbers(&facts, Mode::Test, &[], None).is_empty());
    let expected = ["stage", "apply", "materialise", "verify", "record", "slot", "test-run", "collect"];
    assert_eq!(labels(&facts, Mode::Test), expected);
}

#[test]
fn level_whose_trees_are_there_needs_no_servlink() {
    let mut facts = facts("BLD1");
    facts.complete.extend(facts.manifest.components[0].tree);
    facts.complete.remove(&facts.manifest.components[0].base_tree.unwrap());
    assert!(numbers(&facts, Mode::Stable, &[], None).is_empty());
    assert_eq!(labels(&facts, Mode::Stable), ["materialise", "verify", "record", "slot", "collect"]);
}

#[test]
fn level_in_production_is_verified_and_no_slot_changes() {
    let mut facts = facts("BLD1");
    facts.slots.current = Some(samples::occupant("BLD1", 1));
    facts.complete.extend(facts.manifest.components[0].tree);
    assert_eq!(labels(&facts, Mode::Stable), ["materialise", "verify", "collect"]);
}

#[test]
fn level_that_was_in_production_stays_stable() {
    let mut facts = facts("BLD1");
    facts.slots.previous = Some(samples::occupant("BLD1", 1));
    let level = facts.manifest.level.clone();
    let wish = Wish { level: &level, mode: Mode::Test, lose: &[], force: None };
    let plan = plan(&facts, &wish);
    let is_stable = |step: &Step| matches!(step, Step::Record { record } if record.mode == Mode::Stable);
    assert!(plan.steps.iter().any(is_stable));
}

#[test]
fn base_that_is_sent_is_remembered() {
    let mut facts = facts("BASE");
    let component = &mut facts.manifest.components[0];
    component.base_tree = None;
    facts.manifest.base = facts.manifest.content;
    assert!(numbers(&facts, Mode::Test, &[], None).is_empty());
    assert!(labels(&facts, Mode::Test).contains(&"base"));
}

#[test]
fn level_not_marked_stable_or_withdrawn_is_refused() {
    let mut facts = facts("BLD1");
    facts.custom.state = Mode::Test;
    assert_eq!(numbers(&facts, Mode::Stable, &[], None), ["CSM0722"]);
    assert!(numbers(&facts, Mode::Test, &[], None).is_empty());
    facts.custom.state = Mode::Withdrawn;
    assert_eq!(numbers(&facts, Mode::Test, &[], None), ["CSM0721"]);
}

#[test]
fn level_of_another_variant_or_base_is_refused() {
    let mut facts = facts("BLD1");
    facts.variant = Variant::new("ESM").unwrap();
    let vrm = facts.manifest.level.vrm.clone();
    facts.held = Some(BaseRecord { vrm, base: Digest::of(b"other"), components: Vec::new() });
    assert_eq!(numbers(&facts, Mode::Test, &[], Some("even forced")), ["CSM0723", "CSM0724"]);
}

#[test]
fn level_on_a_base_that_is_not_there_is_refused() {
    let mut facts = facts("BLD1");
    facts.complete.clear();
    assert_eq!(numbers(&facts, Mode::Test, &[], None), ["CSM0725"]);
}

#[test]
fn older_generation_needs_force() {
    let mut facts = facts("BLD1");
    facts.slots.test = Some(samples::occupant("BLD1", 2));
    assert_eq!(numbers(&facts, Mode::Test, &[], None), ["CSM0726"]);
    assert!(numbers(&facts, Mode::Test, &[], Some("wanted")).is_empty());
}

#[test]
fn level_that_loses_fixes_must_name_each() {
    let mut facts = facts("BLD1");
    let mut current = samples::occupant("BLD3", 1);
    current.record.manifest.components[0].local_mods.push(AppliedLocalMod {
        id: FixId::new("L0001").unwrap(),
        path: tender_content::PartPath::new("etc/http.conf").unwrap(),
    });
    facts.slots.current = Some(current);
    assert_eq!(numbers(&facts, Mode::Test, &[], Some("force does not help")), ["CSM0727"; 3]);
    let lose = ["UM00002", "UM00003", "L0001"].map(|id| FixId::new(id).unwrap());
    assert!(numbers(&facts, Mode::Test, &lose, None).is_empty());
    // Fixes of another release have nothing to do with this one.
    facts.slots.current.as_mut().unwrap().record.manifest.level.vrm =
        tender_package::Vrm::new("710").unwrap();
    assert!(numbers(&facts, Mode::Test, &[], None).is_empty());
}

#[test]
fn local_changes_need_force() {
    let mut facts = facts("BLD1");
    facts.state.overrides.push(samples::override_of("http", None));
    facts.drift.push(samples::drift("current", "http", "bin/httpd"));
    assert_eq!(numbers(&facts, Mode::Test, &[], None), ["CSM0728", "CSM0729"]);
    assert!(numbers(&facts, Mode::Test, &[], Some("the change is obsolete")).is_empty());
}

#[test]
fn level_without_room_is_an_outside_failure() {
    let mut facts = facts("BLD1");
    facts.unpacked_bytes.insert("servlink".to_owned(), 100);
    facts.free_bytes_min = 50;
    facts.free_bytes = 149;
    assert_eq!(numbers(&facts, Mode::Test, &[], None), ["CSM0730"]);
    facts.free_bytes = 150;
    assert!(numbers(&facts, Mode::Test, &[], None).is_empty());
}

#[test]
fn manifest_that_contradicts_itself_is_refused() {
    let mut wrong_content = facts("BLD1");
    wrong_content.manifest.content = Digest::of(b"other");
    let mut twice = facts("BLD1");
    twice.manifest.components.push(twice.manifest.components[0].clone());
    let mut no_servlink = facts("BLD1");
    no_servlink.manifest.components[0].servlink = None;
    let mut loaded_before = facts("BLD1");
    let mut record = samples::occupant("BLD1", 1).record;
    record.manifest.content = Digest::of(b"other");
    loaded_before.loaded = Some(record);
    for facts in [wrong_content, twice, no_servlink, loaded_before] {
        assert!(numbers(&facts, Mode::Test, &[], Some("x")).contains(&"CSM0720".to_owned()));
    }
    let http = tender_package::ComponentName::new("http").unwrap();
    let tree = Digest::of(b"BLD1");
    assert_eq!(facts("BLD1").manifest.content, content_digest([(&http, &tree)].into_iter()));
}
