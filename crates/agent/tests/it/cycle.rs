//! From a package to production and back.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::Timestamp;
use tender_agent::hooks::{HookError, LifecycleHooks};
use tender_agent::{audit, queue};
use tender_content::progress::NoProgress;
use tender_package::report::{TestRun, TestedComponent};
use tender_package::request::{RequestState, Verb};
use tender_package::{FixId, LevelRef, Mode, ReturnCode};

use crate::world::{Principal, System, ids, level, load, put2prod, request, vrm};

#[test]
fn level_is_loaded_tested_produced_and_fallen_back_from() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.receive(&principal, "BLD1");

    let result = system.done(load("BLD1", Mode::Test));
    assert_eq!(result.info.test.unwrap().mode, Mode::Test);
    assert_eq!(ids(&system.ask(put2prod())), ["CSM0754"]);

    principal.mark("BLD1", Mode::Stable);
    system.receive(&principal, "BLD1");
    let result = system.done(load("BLD1", Mode::Stable));
    assert!(!result.outcome.data.to_string().contains("stage"), "promotion sends no bytes again");
    system.done(put2prod());
    assert_eq!(system.slots(), ["-", "BLD1", "-"]);

    system.produce(&principal, "BLD2");
    assert_eq!(system.slots(), ["-", "BLD2", "BLD1"]);
    system.check_slots_are_whole(&principal);

    system.done(Verb::Fallback);
    assert_eq!(system.slots(), ["-", "BLD1", "BLD2"]);
    system.done(Verb::Fallback);
    assert_eq!(system.slots(), ["-", "BLD2", "BLD1"]);
    system.check_slots_are_whole(&principal);
    let log = audit::verify(&system.home.audit_log()).unwrap();
    let result = system.done(Verb::Servcheck { full: false });
    let head = result.info.audit.unwrap();
    assert_eq!(head.count, log.count + 1, "the request itself is in the log that its result tells of");
    assert_eq!(head.last, audit::verify(&system.home.audit_log()).unwrap().last);
}

#[test]
fn level_jumped_to_from_a_later_one_must_name_the_fixes_it_loses() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD2");
    system.receive(&principal, "BLD1");
    let result = system.ask(load("BLD1", Mode::Test));
    assert_eq!((result.outcome.code, ids(&result)), (ReturnCode::Refused, vec!["CSM0727"]));
    let lose = vec![FixId::new("UM00002").unwrap()];
    let verb = Verb::Load { level: level("BLD1"), mode: Mode::Test, lose, force: None, brings: Vec::new() };
    let result = system.done(verb);
    // Named: the fix that goes and the component that goes with it.
    assert!(ids(&result).contains(&"CSM0714") && ids(&result).contains(&"CSM0715"), "{:?}", ids(&result));
    system.check_slots_are_whole(&principal);
}

#[test]
fn level_tested_again_and_fallen_back_to_leaves_slot_test_and_the_way_back_stays() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD1");
    system.produce(&principal, "BLD2");
    let lose = vec![FixId::new("UM00002").unwrap()];
    system.done(Verb::Load {
        level: level("BLD1"),
        mode: Mode::Stable,
        lose,
        force: None,
        brings: Vec::new(),
    });
    assert_eq!(system.slots(), ["BLD1", "BLD2", "BLD1"]);
    system.done(Verb::Fallback);
    assert_eq!(system.slots(), ["-", "BLD1", "BLD2"]);
    // What an earlier version left behind: slot test names the level in production.
    std::os::unix::fs::symlink("levels/720/BLD1.1", system.home.root().join("test")).unwrap();
    let result = system.ask(put2prod());
    assert_eq!((result.outcome.code, ids(&result)), (ReturnCode::Done, vec!["CSM0763"]));
    assert_eq!(system.slots(), ["-", "BLD1", "BLD2"]);
    system.done(Verb::Fallback);
    assert_eq!(system.slots(), ["-", "BLD2", "BLD1"]);
    system.check_slots_are_whole(&principal);
}

#[test]
fn base_sent_to_a_system_without_media_carries_the_levels_after_it() {
    let principal = Principal::new();
    let system = System::bare(&principal);
    system.receive(&principal, "BLD1");
    assert_eq!(ids(&system.ask(load("BLD1", Mode::Test))), ["CSM0725", "CSM0725"]);
    system.receive(&principal, "BASE");
    system.done(load("BASE", Mode::Test));
    assert_eq!(system.info().bases.len(), 1);
    system.done(load("BLD1", Mode::Test));
    assert_eq!(system.slots(), ["BLD1", "-", "-"]);
    system.check_slots_are_whole(&principal);
}

#[test]
fn directory_adopted_is_recognised_as_the_level_it_equals() {
    let principal = Principal::new();
    let system = System::new(&principal);
    tender_agent::adopt(&system.home, &vrm(), &principal.media("BASE"), "op", &NoProgress).unwrap();
    let current = system.info().current.unwrap();
    assert_eq!(current.level.to_string(), "720 ADOPTED.0");
    assert_eq!(current.content, system.info().bases[0].base);
    system.produce(&principal, "BLD1");
    assert_eq!(system.slots(), ["-", "BLD1", "ADOPTED"]);
    system.done(Verb::Fallback);
    assert_eq!(system.slots(), ["-", "ADOPTED", "BLD1"]);
    let again = tender_agent::adopt(&system.home, &vrm(), &principal.media("BASE"), "op", &NoProgress);
    assert!(again.is_err(), "a level in production is never replaced by adopting");
}

#[test]
fn unload_empties_the_slot_and_frees_the_level() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.receive(&principal, "BLD1");
    system.done(load("BLD1", Mode::Test));
    assert!(system.home.level_dir(&level("BLD1")).exists());
    system.done(Verb::Unload);
    assert_eq!(system.slots(), ["-", "-", "-"]);
    assert!(!system.home.level_dir(&level("BLD1")).exists());
    system.done(load("BLD1", Mode::Test));
    system.check_slots_are_whole(&principal);
}

#[test]
fn request_with_a_known_id_is_not_carried_out_again() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD1");
    system.produce(&principal, "BLD2");
    let id = system.queue(Verb::Fallback);
    tender_agent::execute(&system.home, &tender_agent::NoHooks, &NoProgress).unwrap();
    assert_eq!(system.slots(), ["-", "BLD1", "BLD2"]);
    let state = queue::submit(&system.home, &request(&id, Verb::Fallback)).unwrap();
    assert_eq!(state, RequestState::Ended { code: ReturnCode::Done });
    tender_agent::execute(&system.home, &tender_agent::NoHooks, &NoProgress).unwrap();
    assert_eq!(system.slots(), ["-", "BLD1", "BLD2"]);
    queue::acknowledge(&system.home, &id).unwrap();
    assert_eq!(queue::state(&system.home, &id).unwrap(), state);
}

/// Fails at what it is told to fail at.
struct Failing {
    validate: bool,
}

impl LifecycleHooks for Failing {
    fn validate_and_configure(&self, level_dir: &Path) -> Result<(), HookError> {
        assert!(level_dir.join("http/bin/httpd").exists());
        if self.validate { Err(HookError::new("configuration is wrong", None)) } else { Ok(()) }
    }

    fn restart_and_ready(&self, current: &Path) -> Result<(), HookError> {
        let config = std::fs::read_to_string(current.join("http/etc/http.conf")).unwrap();
        if config.contains("build 2") { Err(HookError::new("http is not ready", None)) } else { Ok(()) }
    }
}

/// Has a test instance in which one component does not become ready.
struct Tested;

impl LifecycleHooks for Tested {
    fn validate_and_configure(&self, _level_dir: &Path) -> Result<(), HookError> {
        Ok(())
    }

    fn restart_and_ready(&self, _current: &Path) -> Result<(), HookError> {
        Ok(())
    }

    fn test_run(&self, level: &LevelRef, test: &Path) -> Option<TestRun> {
        let is_there = test.join("http/bin/httpd").exists();
        Some(TestRun {
            level: level.clone(),
            began: Timestamp::now(),
            took_ms: 1,
            is_ready: !is_there,
            summary: "http did not become ready".to_owned(),
            components: vec![TestedComponent {
                name: "http".to_owned(),
                state: "FAILED".to_owned(),
                reason: Some("exit 1".to_owned()),
                output: vec!["port 80 is taken".to_owned()],
            }],
        })
    }
}

#[test]
fn load_with_a_failing_test_instance_keeps_the_level_and_returns_what_it_showed() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.receive(&principal, "BLD1");
    let result = system.ask_with(load("BLD1", Mode::Test), &Tested);
    assert_eq!(result.outcome.code, ReturnCode::Warning, "{:?}", result.outcome.messages);
    assert_eq!(system.slots(), ["BLD1", "-", "-"]);
    let shown = result.test_run.unwrap();
    assert!(!shown.is_ready);
    assert_eq!(shown.components[0].output, ["port 80 is taken"]);
    let told = result.outcome.messages.iter().any(|message| message.to_string().contains("port 80 is taken"));
    assert!(told, "{:?}", result.outcome.messages);
}

#[test]
fn level_that_does_not_validate_changes_nothing() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD1");
    principal.mark("BLD2", Mode::Stable);
    system.receive(&principal, "BLD2");
    system.done(load("BLD2", Mode::Stable));
    let result = system.ask_with(put2prod(), &Failing { validate: true });
    assert_eq!(result.outcome.code, ReturnCode::Outside);
    assert_eq!(system.slots(), ["BLD2", "BLD1", "-"]);
}

#[test]
fn level_that_does_not_get_ready_is_switched_back_from() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD1");
    principal.mark("BLD2", Mode::Stable);
    system.receive(&principal, "BLD2");
    system.done(load("BLD2", Mode::Stable));
    let result = system.ask_with(put2prod(), &Failing { validate: false });
    assert_eq!(result.outcome.code, ReturnCode::Outside);
    assert!(result.outcome.messages[0].text.contains("http is not ready"), "{:?}", result.outcome);
    assert_eq!(system.slots(), ["BLD2", "BLD1", "-"]);
    system.check_slots_are_whole(&principal);
}

/// Fails to restart whatever is there.
struct NeverReady;

impl LifecycleHooks for NeverReady {
    fn validate_and_configure(&self, _level_dir: &Path) -> Result<(), HookError> {
        Ok(())
    }

    fn restart_and_ready(&self, current: &Path) -> Result<(), HookError> {
        let config = std::fs::read_to_string(current.join("http/etc/http.conf")).unwrap();
        Err(HookError::new(format!("{} is not ready", config.trim()), None))
    }
}

#[test]
fn level_gone_back_to_that_does_not_get_ready_either_is_told() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD1");
    system.produce(&principal, "BLD2");
    let result = system.ask_with(Verb::Fallback, &NeverReady);
    assert_eq!(result.outcome.code, ReturnCode::Outside);
    let text = &result.outcome.messages[0].text;
    assert!(text.contains("build 1 is not ready") && text.contains("build 2 is not ready"), "{text}");
    assert_eq!(system.slots(), ["-", "BLD2", "BLD1"]);
}

#[test]
fn way_back_that_is_blocked_stays_open_until_it_is_free() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD1");
    system.produce(&principal, "BLD2");
    let id = system.queue(Verb::Fallback);
    // A directory where the next link of slot `previous` is made: no switch of it can succeed, forth or back.
    let blocked = system.home.root().join(".previous.next");
    let block = Blocking { path: blocked.clone() };
    let error = tender_agent::execute(&system.home, &block, &NoProgress).unwrap_err();
    assert_eq!(error.code(), ReturnCode::Outside, "{error}");
    assert_eq!(system.info().open_requests, std::slice::from_ref(&id));
    std::fs::remove_dir(&blocked).unwrap();
    tender_agent::execute(&system.home, &tender_agent::NoHooks, &NoProgress).unwrap();
    assert_eq!(system.result(&id).outcome.code, ReturnCode::Outside);
    assert_eq!(system.slots(), ["-", "BLD2", "BLD1"]);
    system.check_slots_are_whole(&principal);
}

/// Blocks slot `previous` when the new level is to get ready, which it does not.
struct Blocking {
    path: std::path::PathBuf,
}

impl LifecycleHooks for Blocking {
    fn validate_and_configure(&self, _level_dir: &Path) -> Result<(), HookError> {
        Ok(())
    }

    fn restart_and_ready(&self, _current: &Path) -> Result<(), HookError> {
        std::fs::create_dir(&self.path).unwrap();
        Err(HookError::new("not ready", None))
    }
}

/// Writes into a part of a slot, as only root or its owner can.
pub(crate) fn vandalise(system: &System, part: &str, bytes: &[u8]) {
    let path = system.home.root().join(part);
    let permissions = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let before = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    permissions(0o644);
    std::fs::write(&path, bytes).unwrap();
    permissions(before);
}

#[test]
fn level_in_test_that_was_changed_is_not_produced_and_healed_by_loading_again() {
    let principal = Principal::new();
    let system = System::new(&principal);
    principal.mark("BLD1", Mode::Stable);
    system.receive(&principal, "BLD1");
    system.done(load("BLD1", Mode::Stable));
    vandalise(&system, "test/http/etc/http.conf", b"build X\n");
    vandalise(&system, "test/http/bin/httpd", b"not a program");
    let result = system.ask(put2prod());
    assert_eq!((result.outcome.code, ids(&result)), (ReturnCode::Integrity, vec!["CSM0755"]));
    system.done(load("BLD1", Mode::Stable));
    system.check_slots_are_whole(&principal);
    system.done(put2prod());
}

#[test]
fn previous_level_that_was_changed_is_made_again_before_the_way_back() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD1");
    system.produce(&principal, "BLD2");
    let extra = system.home.root().join("previous/http/etc");
    std::fs::set_permissions(&extra, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(extra.join("forgotten"), b"x").unwrap();
    let result = system.done(Verb::Fallback);
    assert!(ids(&result).contains(&"CSM0772"));
    assert_eq!(system.slots(), ["-", "BLD1", "BLD2"]);
    system.check_slots_are_whole(&principal);
}

#[test]
fn fallback_from_changed_parts_to_a_withdrawn_level_is_done_with_warnings() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD1");
    system.produce(&principal, "BLD2");
    vandalise(&system, "current/http/etc/http.conf", b"hot fix\n");
    principal.mark("BLD1", Mode::Withdrawn);
    system.receive(&principal, "BLD1");
    let result = system.ask(Verb::Fallback);
    assert_eq!(result.outcome.code, ReturnCode::Warning, "{:?}", result.outcome);
    assert_eq!(ids(&result), ["CSM0776", "CSM0777", "CSM0773"]);
    assert!(result.outcome.messages[0].text.contains("http/etc/http.conf"));
    assert_eq!(system.slots(), ["-", "BLD1", "BLD2"]);
}

#[test]
fn base_imported_again_heals_damaged_objects() {
    let principal = Principal::new();
    let system = System::new(&principal);
    system.produce(&principal, "BLD1");
    // `share/data` is unchanged since BASE, so only the media have it.
    let mut bytes = std::fs::read(principal.media("BASE").join("http/share/data")).unwrap();
    bytes[5] ^= 1;
    vandalise(&system, "current/http/share/data", &bytes);
    let refused = system.ask(load("BLD1", Mode::Stable));
    assert!(refused.outcome.code >= ReturnCode::Refused, "{:?}", refused.outcome);
    tender_agent::import(&system.home, &vrm(), &principal.media("BASE"), "op", &NoProgress).unwrap();
    assert_eq!(
        ids(&system.ask(load("BLD1", Mode::Stable))),
        ["CSM0729"],
        "what is in production is not touched"
    );
    let force = Some("repair".to_owned());
    system.done(Verb::Load {
        level: level("BLD1"),
        mode: Mode::Stable,
        lose: Vec::new(),
        force,
        brings: Vec::new(),
    });
    system.check_slots_are_whole(&principal);
}
