use super::*;
use crate::executor::samples;
use crate::managed::ManagedBy;

fn facts() -> Facts {
    let now = Timestamp::now();
    Facts {
        now,
        asked: now,
        state: ManagedState {
            managed: Some(ManagedBy { operator: "op".to_owned(), since: Timestamp::UNIX_EPOCH }),
            ..ManagedState::default()
        },
        slots: Slots { current: Some(samples::occupant("BLD1", 1)), ..Slots::default() },
        bases: Vec::new(),
        inventory: Vec::new(),
        strays: Vec::new(),
        drift: Vec::new(),
        free_bytes: 1 << 40,
        free_bytes_min: 1 << 20,
        current_bytes: 1 << 20,
    }
}

fn verdict(facts: &Facts, number: u8) -> Verdict {
    checks(facts).into_iter().find(|line| line.number == number).unwrap().verdict
}

#[test]
fn system_as_it_should_be_passes_every_check() {
    for line in checks(&facts()) {
        assert_eq!(line.verdict, Verdict::Ok, "{line:?}");
        assert_eq!(message(&line), None);
    }
}

#[test]
fn clock_that_is_off_is_noticed() {
    let mut facts = facts();
    facts.asked = facts.now - SignedDuration::from_mins(10);
    assert_eq!(verdict(&facts, 1), Verdict::Warn);
    facts.asked = facts.now + SignedDuration::from_hours(48);
    assert_eq!(verdict(&facts, 1), Verdict::Bad);
    let mut facts = self::facts();
    facts.slots.current.as_mut().unwrap().record.loaded = facts.now + SignedDuration::from_hours(1);
    assert_eq!(verdict(&facts, 1), Verdict::Bad);
}

#[test]
fn override_is_a_warning_until_it_is_overdue() {
    let mut facts = facts();
    facts.state.overrides.push(samples::override_of("http", None));
    assert_eq!(verdict(&facts, 2), Verdict::Warn);
    facts.state.overrides.push(samples::override_of("ftp", Some(Timestamp::UNIX_EPOCH)));
    assert_eq!(verdict(&facts, 2), Verdict::Bad);
}

#[test]
fn drift_and_unknown_components_are_told_apart() {
    let mut facts = facts();
    facts.drift.push(samples::drift("current", "http", "bin/httpd"));
    assert_eq!((verdict(&facts, 5), verdict(&facts, 11)), (Verdict::Bad, Verdict::Ok));
    facts.drift[0].found = crate::trees::STRANGE.to_owned();
    assert_eq!(verdict(&facts, 11), Verdict::Warn);
}

#[test]
fn stable_level_waiting_is_a_warning() {
    let mut facts = facts();
    facts.slots.test = Some(samples::occupant("BLD2", 1));
    assert_eq!(verdict(&facts, 6), Verdict::Warn);
    facts.slots.test.as_mut().unwrap().record.mode = Mode::Test;
    assert_eq!(verdict(&facts, 6), Verdict::Ok);
}

#[test]
fn space_below_the_reserve_is_bad() {
    let mut facts = facts();
    facts.free_bytes = facts.free_bytes_min;
    assert_eq!(verdict(&facts, 10), Verdict::Warn);
    facts.free_bytes = facts.free_bytes_min - 1;
    assert_eq!(verdict(&facts, 10), Verdict::Bad);
}

#[test]
fn adopted_directory_is_fine_when_it_is_base_as_held_here() {
    let mut facts = facts();
    let current = samples::occupant(ADOPTED, 0);
    let held = BaseRecord {
        vrm: current.level().vrm.clone(),
        base: current.record.manifest.content,
        components: Vec::new(),
    };
    facts.slots.current = Some(current);
    assert_eq!(verdict(&facts, 3), Verdict::Warn);
    facts.bases.push(held);
    assert_eq!(verdict(&facts, 3), Verdict::Ok);
    facts.bases[0].vrm = tender_package::Vrm::new("710").unwrap();
    assert_eq!(verdict(&facts, 3), Verdict::Warn, "BASE of another release");
}

#[test]
fn inventory_that_contradicts_itself_is_bad() {
    let mut facts = facts();
    facts.inventory.push("slot current: gone".to_owned());
    facts.strays.push("L0001".to_owned());
    assert_eq!((verdict(&facts, 3), verdict(&facts, 4)), (Verdict::Bad, Verdict::Bad));
}
