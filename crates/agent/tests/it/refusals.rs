//! Packages that must not be loaded: each is refused with its reason, and nothing changes.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use tender_package::repository::Expiry;
use tender_package::request::Verb;
use tender_package::{Mode, ReturnCode};

use crate::world::{Principal, System, level, load, vrm};

/// Expects a LOAD of BLD2 to be refused with `code` and the slots to stay.
fn check_refused(system: &System, code: ReturnCode, reason: &str) {
    let before = system.slots();
    let result = system.ask(load("BLD2", Mode::Test));
    let text: String = result.outcome.messages.iter().map(|message| message.text.clone()).collect();
    assert_eq!(result.outcome.code, code, "{text}");
    assert!(text.contains(reason), "{text}");
    assert!(result.outcome.messages.iter().all(|message| message.hint.is_some()), "{:?}", result.outcome);
    assert_eq!(system.slots(), before);
    assert!(!system.home.level_dir(&level("BLD2")).exists());
}

fn produced(principal: &Principal) -> System {
    let system = System::new(principal);
    system.produce(principal, "BLD1");
    system.receive(principal, "BLD2");
    system
}

#[test]
fn package_signed_with_another_key_is_refused() {
    let principal = Principal::new();
    let system = produced(&principal);
    let other = Principal::new();
    std::fs::remove_dir_all(system.home.received(&vrm())).unwrap();
    system.receive(&other, "BLD2");
    check_refused(&system, ReturnCode::Integrity, "another principal");
    system.check_slots_are_whole(&principal);
}

#[test]
fn package_rolled_back_is_refused() {
    let principal = Principal::new();
    let system = produced(&principal);
    let kept = system.home.root().join("kept");
    std::fs::rename(system.home.received(&vrm()), &kept).unwrap();
    principal.mark("BLD2", Mode::Stable);
    system.receive(&principal, "BLD2");
    system.done(load("BLD2", Mode::Test));
    system.done(Verb::Unload);
    std::fs::remove_dir_all(system.home.received(&vrm())).unwrap();
    std::fs::rename(&kept, system.home.received(&vrm())).unwrap();
    check_refused(&system, ReturnCode::Integrity, "rollback");
}

#[test]
fn package_whose_signatures_expired_is_refused() {
    let past = Timestamp::now() - SignedDuration::from_hours(48);
    let principal = Principal::at(past, &Expiry { timestamp_s: 3600, ..Expiry::default() });
    let system = System::new(&principal);
    system.receive(&principal, "BLD2");
    check_refused(&system, ReturnCode::Refused, "expired");
}

fn servlink(principal: &Principal, system: &System) -> PathBuf {
    let name = principal.manifest("BLD2").1.remove(1).name;
    let file = principal.repository().files_for(&[name]).unwrap().remove(0);
    system.home.received(&vrm()).join(file.path)
}

#[test]
fn servlink_with_a_flipped_byte_cut_short_or_missing_is_refused() {
    let principal = Principal::new();
    let system = produced(&principal);
    let path = servlink(&principal, &system);
    let good = std::fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    check_refused(&system, ReturnCode::Integrity, "SHA-256");
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    check_refused(&system, ReturnCode::Integrity, "are signed");
    std::fs::remove_file(&path).unwrap();
    check_refused(&system, ReturnCode::Outside, "is missing");
    std::fs::write(&path, &good).unwrap();
    system.done(load("BLD2", Mode::Test));
    system.check_slots_are_whole(&principal);
}

#[test]
fn package_of_a_newer_format_is_refused_and_says_so() {
    let principal = Principal::new();
    let system = System::new(&principal);
    let (mut manifest, targets) = principal.manifest("BLD2");
    manifest.format = 2;
    principal.publish(&manifest, targets, Timestamp::now());
    system.receive(&principal, "BLD2");
    check_refused(&system, ReturnCode::Refused, "bring Tender up to date");
}

#[test]
fn package_on_another_base_is_refused() {
    let principal = Principal::new();
    let system = System::bare(&principal);
    tender_agent::import(
        &system.home,
        &vrm(),
        &principal.media("BLD1"),
        "op",
        &tender_content::progress::NoProgress,
    )
    .unwrap();
    system.receive(&principal, "BLD2");
    check_refused(&system, ReturnCode::Refused, "rests on BASE");
}

#[test]
fn servlink_that_leads_elsewhere_than_its_manifest_says_leaves_nothing_behind() {
    let principal = Principal::new();
    let system = produced(&principal);
    let (mut manifest, targets) = principal.manifest("BLD2");
    // Signed by the right key, but wrong: the servlink makes another tree than the manifest promises.
    let http = manifest.components.iter_mut().find(|one| one.name.as_str() == "http").unwrap();
    http.tree = Some(tender_content::Digest::of(b"promised"));
    let trees = manifest.components.iter().filter_map(|one| Some((&one.name, one.tree.as_ref()?)));
    manifest.content = tender_package::manifest::content_digest(trees);
    principal.publish(&manifest, targets, Timestamp::now());
    system.receive(&principal, "BLD2");
    check_refused(&system, ReturnCode::Integrity, "leads to tree");
    assert!(system.info().open_requests.is_empty());
}

#[test]
fn level_withdrawn_after_it_was_loaded_does_not_go_into_production() {
    let principal = Principal::new();
    let system = produced(&principal);
    principal.mark("BLD2", Mode::Stable);
    system.receive(&principal, "BLD2");
    system.done(load("BLD2", Mode::Stable));
    principal.mark("BLD2", Mode::Withdrawn);
    system.receive(&principal, "BLD2");
    let result = system.ask(crate::world::put2prod());
    assert_eq!(result.outcome.code, ReturnCode::Refused);
    assert!(result.outcome.messages[0].text.contains("WITHDRAWN"), "{:?}", result.outcome);
}

#[test]
fn level_that_was_never_packaged_is_unknown() {
    let principal = Principal::new();
    let system = produced(&principal);
    let mut unknown = level("BLD2");
    unknown.generation = 9;
    let verb =
        Verb::Load { level: unknown, mode: Mode::Test, lose: Vec::new(), force: None, brings: Vec::new() };
    assert_eq!(system.ask(verb).outcome.code, ReturnCode::Unknown);
}

#[test]
fn system_whose_clock_went_back_loads_nothing() {
    let principal = Principal::new();
    let system = produced(&principal);
    let known = system.home.identity().join("tuf/executor-720/latest_known_time.json");
    assert!(known.exists());
    let future = Timestamp::now() + SignedDuration::from_hours(24);
    std::fs::write(&known, format!("\"{future}\"")).unwrap();
    check_refused(&system, ReturnCode::Outside, "set the clock right");
}
