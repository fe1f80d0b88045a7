//! What SERVCHECK and MANAGED report of a system that was changed by hand.

use std::os::unix::fs::PermissionsExt as _;

use tender_package::report::{DriftKind, Verdict};
use tender_package::request::Verb;
use tender_package::{ComponentName, Mode, ReturnCode};

use crate::cycle::vandalise;
use crate::world::{Principal, System, ids, load};

fn check(system: &System) -> tender_package::report::ServcheckReport {
    system.done(Verb::Servcheck { full: false }).servcheck.unwrap()
}

fn verdict(report: &tender_package::report::ServcheckReport, number: u8) -> Verdict {
    report.checks.iter().find(|line| line.number == number).unwrap().verdict
}

#[test]
fn system_in_order_passes_and_lists_its_fixes() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.done(Verb::Enter);
    system.produce(&principal, "BLD2");
    let report = check(&system);
    assert!(report.drift.is_empty());
    assert!(report.checks.iter().all(|line| line.verdict == Verdict::Ok), "{:?}", report.checks);
    let numbers: Vec<u8> = report.checks.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 10, 11, 13]);
    let http = report.fixes.iter().find(|(name, _)| name.as_str() == "http").unwrap();
    assert_eq!(http.1.len(), 2);
}

#[test]
fn system_that_adopted_its_base_passes() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.done(Verb::Enter);
    let media = principal.media("BASE");
    let progress = tender_content::progress::NoProgress;
    tender_agent::adopt(&system.home, &crate::world::vrm(), &media, "op", &progress).unwrap();
    let result = system.ask(Verb::Servcheck { full: true });
    assert_eq!(result.outcome.code, ReturnCode::Done, "{:?}", result.outcome);
    let report = result.servcheck.unwrap();
    let line = report.checks.iter().find(|line| line.number == 3).unwrap();
    assert!(line.detail.contains("exactly BASE"), "{}", line.detail);
}

#[test]
fn parts_modified_missing_and_extra_are_named_exactly() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD1");
    vandalise(&system, "current/http/etc/http.conf", b"build X\n");
    let current = system.home.root().join("current");
    let open = |dir: &str| {
        std::fs::set_permissions(current.join(dir), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let close = |dir: &str| {
        std::fs::set_permissions(current.join(dir), std::fs::Permissions::from_mode(0o555)).unwrap();
    };
    for dir in ["msg", "http/bin", "."] {
        open(dir);
    }
    std::fs::remove_file(current.join("msg/messages.txt")).unwrap();
    std::fs::write(current.join("http/bin/backdoor"), b"x").unwrap();
    std::fs::create_dir(current.join("local")).unwrap();
    for dir in ["msg", "http/bin", "."] {
        close(dir);
    }

    let report = check(&system);
    let found: Vec<(DriftKind, String)> =
        report.drift.iter().map(|item| (item.kind, format!("{}/{}", item.component, item.path))).collect();
    assert_eq!(
        found,
        [
            (DriftKind::Extra, "http/bin/backdoor".to_owned()),
            (DriftKind::Modified, "http/etc/http.conf".to_owned()),
            (DriftKind::Extra, "local/local".to_owned()),
            (DriftKind::Missing, "msg/messages.txt".to_owned()),
        ]
    );
    assert_eq!((verdict(&report, 5), verdict(&report, 11)), (Verdict::Bad, Verdict::Warn));
    let full = system.done(Verb::Servcheck { full: true }).servcheck.unwrap();
    assert_eq!(full.drift, report.drift);
}

#[test]
fn component_taken_out_blocks_service_until_it_is_given_back_with_an_inventory() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.done(Verb::Enter);
    system.produce(&principal, "BLD1");
    let http = ComponentName::new("http").unwrap();
    let managed = |on, reason: &str| Verb::Managed {
        on,
        components: vec![http.clone()],
        reason: reason.to_owned(),
        until: None,
    };
    assert!(!tender_agent::managed::is_locally_serviceable(&system.home, &http).unwrap());
    system.done(managed(false, "outage"));
    assert!(tender_agent::managed::is_locally_serviceable(&system.home, &http).unwrap());
    assert_eq!(verdict(&check(&system), 2), Verdict::Warn);

    system.receive(&principal, "BLD2");
    let result = system.ask(load("BLD2", Mode::Test));
    assert_eq!((result.outcome.code, ids(&result)), (ReturnCode::Refused, vec!["CSM0728"]));

    vandalise(&system, "current/http/etc/http.conf", b"hot fix\n");
    let result = system.done(managed(true, ""));
    assert!(ids(&result).contains(&"CSM0786"), "{:?}", result.outcome);
    assert_eq!(result.servcheck.unwrap().drift.len(), 1);
    assert!(result.info.overrides.is_empty());
    // What was changed by hand and is not in the level needs a decision.
    assert_eq!(ids(&system.ask(load("BLD2", Mode::Test))), ["CSM0729"]);
    system.done(Verb::Leave);
    assert!(!system.info().is_managed);
}

#[test]
fn verb_asked_for_on_the_system_itself_gives_its_result_at_once() {
    let principal = Principal::new();
    let system = System::new(&principal);
    let all_off =
        || Verb::Managed { on: false, components: Vec::new(), reason: "outage".to_owned(), until: None };
    assert_eq!(system.ask(all_off()).outcome.code, ReturnCode::Refused, "there is nothing to take out yet");
    system.produce(&principal, "BLD1");
    let result = tender_agent::ask_locally(
        &system.home,
        all_off(),
        "operator\nroot",
        &tender_agent::NoHooks,
        &tender_content::progress::NoProgress,
    );
    let result = result.unwrap().unwrap();
    assert_eq!(result.info.overrides.len(), 2);
    assert_eq!(result.outcome.messages[0].text, "MANAGED OFF: http, msg out of management");
    let log =
        std::fs::read_to_string(system.home.results().join(format!("{}.log", result.request.id))).unwrap();
    assert!(log.contains("asked by operator root"), "what people wrote stays on its line: {log}");
}
