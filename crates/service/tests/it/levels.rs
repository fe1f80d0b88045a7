//! Levels: adding, service, local modifications, packages, and every refusal.

use tender_package::{ComponentName, ReturnCode};
use tender_service::Mode;
use tender_service::shapes::{Hold, HoldClass, Requisite};
use tender_service::verbs::{
    FixQuery, HoldAccept, HoldAdd, LocalmodAction, ServiceFunction, SrvlvlCompare, SrvlvlDelete,
    SrvlvlLocalmod, SrvlvlPromote, SrvlvlQuery, SrvlvlSetlock, StoreGc, VendorSet,
};

use crate::site::{CONFIG, Site, fix, fix_id, level, vrm, write};

fn localmod(site: &Site, name: &str, text: &str) -> SrvlvlLocalmod {
    let from = site.dir.join("ours.conf");
    write(from.clone(), text);
    SrvlvlLocalmod {
        vrm: vrm(),
        level: level(name),
        component: ComponentName::new("alpha").unwrap(),
        id: None,
        action: LocalmodAction::Replace { path: "etc/app.conf".parse().unwrap(), from },
        fixed_in: Vec::new(),
        reason: "site standard".to_owned(),
    }
}

#[test]
fn initialize_twice_warns_and_changes_nothing() {
    let site = Site::initialised();
    let base = site.base();
    assert_eq!(site.run(&site.initialize()).code, ReturnCode::Warning);
    assert_eq!(site.base(), base);
}

#[test]
fn service_puts_fixes_on_and_builds_objects() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    site.done(&site.service("L1", &site.rsu1()));
    assert_eq!(site.part("L1", "alpha", "lib/a.txt").unwrap(), "a1\n");
    assert_eq!(site.part("L1", "beta", "out/b.txt").unwrap(), "B1\n");
    assert_eq!(site.query("L1")["fixes"], serde_json::json!(["UM1", "UM2"]));
    assert_eq!(site.part("BASE", "alpha", "lib/a.txt").unwrap(), "a0\n");
}

#[test]
fn same_service_at_two_principals_gives_the_same_content() {
    let content = |_: ()| {
        let site = Site::initialised();
        site.add_level("L1", "BASE");
        site.done(&site.service("L1", &site.rsu1()));
        site.query("L1")["content"].clone()
    };
    assert_eq!(content(()), content(()));
}

#[test]
fn order_of_service_does_not_change_the_content() {
    let site = Site::initialised();
    let (rsu1, rsu2) = (site.rsu1(), site.rsu2());
    site.add_level("A", "BASE");
    site.done(&site.service("A", &rsu1));
    site.done(&site.service("A", &rsu2));
    site.add_level("B", "BASE");
    let mut both = site.service("B", &rsu2);
    both.envelopes.push(rsu1);
    site.done(&both);
    assert_eq!(site.query("A")["content"], site.query("B")["content"]);
    let fixes = site.query("A")["level_fixes"].clone();
    assert_eq!(fixes[0]["superseded_by"], "UM3");
}

#[test]
fn check_shows_the_plan_and_changes_nothing() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    let before = site.query("L1");
    let outcome = site.perform(&site.service("L1", &site.rsu1()), Mode::Check);
    assert_eq!(outcome.data["added"], serde_json::json!(["UM1", "UM2"]));
    assert_eq!(site.query("L1"), before);
    let unknown = FixQuery { vrm: vrm(), fix: fix_id("UM1") };
    site.refused(&unknown, ReturnCode::Unknown);
}

#[test]
fn locked_level_refuses_service_until_unlocked() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    let rsu = site.rsu1();
    site.done(&SrvlvlSetlock { vrm: vrm(), level: level("L1"), on: true });
    let said = site.refused(&site.service("L1", &rsu), ReturnCode::Refused);
    assert!(said.contains("setlock 720 L1 off"), "{said}");
    site.done(&SrvlvlSetlock { vrm: vrm(), level: level("L1"), on: false });
    site.done(&site.service("L1", &rsu));
}

#[test]
fn storage_itself_refuses_content_of_a_locked_level() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    site.done(&SrvlvlSetlock { vrm: vrm(), level: level("L1"), on: true });
    let tables = rusqlite::Connection::open(site.dir.join("principal/tables.db")).unwrap();
    for sql in [
        "DELETE FROM level_component WHERE level = 'L1'",
        "UPDATE level SET content = 'x' WHERE name = 'L1'",
        "INSERT INTO level_fix VALUES ('720', 'L1', 'X', 'alpha', 'E', NULL, 0)",
        "UPDATE level SET state = 'TEST', is_locked = 0 WHERE name = 'BASE'",
        "DELETE FROM level WHERE name = 'L1'",
        "DELETE FROM audit",
    ] {
        assert!(tables.execute(sql, []).is_err(), "{sql}");
    }
}

#[test]
fn missing_requisite_is_refused_and_leaves_the_level_alone() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    let before = site.query("L1");
    let mut needy = fix("UM9", "alpha");
    needy.requisites.push(Requisite::Pre { fix: fix_id("UM8") });
    let envelope = site.envelope("cor9", vec![(needy, &[("lib/a.txt", "x\n")], None)]);
    let said = site.refused(&site.service("L1", &envelope), ReturnCode::Refused);
    assert!(said.contains("UM9 needs UM8 : UM8 was not received"), "{said}");
    assert_eq!(site.query("L1"), before);
}

#[test]
fn held_fix_is_refused_until_accepted_and_blocks_packages_when_held_later() {
    let site = Site::initialised();
    let rsu = site.rsu1();
    site.add_level("L1", "BASE");
    site.done(&site.service("L1", &rsu));
    site.add_system("vm01");
    let hold = Hold { class: HoldClass::Error, reason: "VM7".into(), resolved_by: None, text: String::new() };
    let outcome = site.run(&HoldAdd { vrm: vrm(), fix: fix_id("UM1"), hold });
    assert!(outcome.messages.iter().any(|message| message.text.contains("is on in level L1")));
    let said = site.refused(&site.package("L1"), ReturnCode::Refused);
    assert!(said.contains("hold accept 720 L1 1"), "{said}");
    site.add_level("L2", "BASE");
    site.refused(&site.service("L2", &rsu), ReturnCode::Refused);
    let reason = "tested".to_owned();
    site.done(&HoldAccept { vrm: vrm(), level: level("L1"), number: 1, target: None, until: None, reason });
    site.done(&site.package("L1"));
    site.refused(&site.service("L2", &rsu), ReturnCode::Refused);
}

#[test]
fn excluded_fix_stays_off_and_so_does_what_needs_it() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    let mut service = site.service("L1", &site.rsu1());
    service.exclude.push(fix_id("UM1"));
    assert_eq!(site.run(&service).code, ReturnCode::Warning);
    assert_eq!(site.query("L1")["fixes"], serde_json::json!([]));
    assert_eq!(site.query("L1")["excluded"], serde_json::json!(["UM1"]));
}

#[test]
fn unsigned_envelope_of_unknown_vendor_is_refused() {
    let site = Site::new();
    site.done(&site.initialize());
    site.add_level("L1", "BASE");
    let rsu = site.rsu1();
    let said = site.refused(&site.service("L1", &rsu), ReturnCode::Refused);
    assert!(said.contains("vendor set acme"), "{said}");
    site.run(&VendorSet { name: "acme".to_owned(), key: None, is_unsigned: true });
    site.done(&site.service("L1", &rsu));
}

#[test]
fn failed_build_keeps_the_old_content_and_resumes() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    site.done(&site.service("L1", &site.rsu1()));
    let before = site.query("L1")["content"].clone();
    let mut broken = fix("UM5", "beta");
    broken.requisites.push(Requisite::Pre { fix: fix_id("UM2") });
    let envelope =
        site.envelope("cor5", vec![(broken, &[("build.sh", "echo sorry; exit 3\n")], Some("UM2"))]);
    let said = site.refused(&site.service("L1", &envelope), ReturnCode::Partial);
    assert!(said.contains("sorry"), "{said}");
    assert_eq!(site.query("L1")["content"], before);
    assert_eq!(site.query("L1")["incomplete"], true);
    let query = SrvlvlQuery { vrm: vrm(), level: Some(level("L1")), system: None };
    let said = site.refused(&query, ReturnCode::Warning);
    assert!(said.contains("components not built: beta"), "{said}");
    site.refused(&site.package("L1"), ReturnCode::Refused);
    let mut again = site.service("L1", &envelope);
    again.function = ServiceFunction::Restart;
    site.refused(&again, ReturnCode::Partial);
    again.function = ServiceFunction::Abandon;
    site.done(&again);
    assert_eq!(site.query("L1")["incomplete"], false);
    assert_eq!(site.query("L1")["fixes"], serde_json::json!(["UM1", "UM2"]));
}

#[test]
fn local_modification_merges_with_the_next_service() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    site.done(&site.service("L1", &site.rsu1()));
    site.done(&localmod(&site, "L1", &CONFIG.replace("one = 1", "one = 11")));
    let outcome = site.run(&site.service("L1", &site.rsu2()));
    assert_eq!(outcome.code, ReturnCode::Warning, "{:#?}", outcome.messages);
    let merged = site.part("L1", "alpha", "etc/app.conf").unwrap();
    assert!(merged.contains("one = 11") && merged.contains("six = 66"), "{merged}");
    assert_eq!(site.query("L1")["local_mods"][0]["state"], "review");
}

#[test]
fn conflicting_local_modification_waits_for_rework() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    site.done(&site.service("L1", &site.rsu1()));
    site.done(&localmod(&site, "L1", &CONFIG.replace("six = 6", "six = 7")));
    let rsu2 = site.rsu2();
    let said = site.refused(&site.service("L1", &rsu2), ReturnCode::Partial);
    assert!(said.contains("--id L0001"), "{said}");
    let mut rework = localmod(&site, "L1", &CONFIG.replace("six = 6", "six = 77"));
    site.refused(&rework, ReturnCode::Refused);
    rework.id = Some(fix_id("L0001"));
    assert_eq!(site.run(&rework).code, ReturnCode::Done);
    assert_eq!(site.run(&rework).code, ReturnCode::Done, "it may be reworked again before the restart");
    let mut restart = site.service("L1", &rsu2);
    restart.function = ServiceFunction::Restart;
    site.done(&restart);
    assert!(site.part("L1", "alpha", "etc/app.conf").unwrap().contains("six = 77"));
    assert_eq!(site.part("L1", "alpha", "lib/a.txt").unwrap(), "a2\n");
}

#[test]
fn unknown_names_are_refused_as_unknown() {
    let site = Site::initialised();
    let rsu = site.rsu1();
    site.refused(&site.service("NOPE", &rsu), ReturnCode::Unknown);
    site.add_level("L1", "BASE");
    site.refused(&site.service("L1", &site.dir.join("nope")), ReturnCode::Unknown);
    site.refused(&site.send("L1", "vm99", false), ReturnCode::Unknown);
    let mut other = site.service("L1", &rsu);
    other.component = Some(ComponentName::new("gamma").unwrap());
    site.refused(&other, ReturnCode::Unknown);
}

#[test]
fn level_in_use_is_not_deleted() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    site.add_level("L2", "L1");
    let delete = |name| SrvlvlDelete { vrm: vrm(), level: level(name), force: None };
    let said = site.refused(&delete("L1"), ReturnCode::Refused);
    assert!(said.contains("level L2 is based on it"), "{said}");
    site.done(&delete("L2"));
    site.done(&delete("L1"));
    site.refused(&delete("BASE"), ReturnCode::Refused);
}

#[test]
fn compare_lists_fixes_and_parts() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    site.done(&site.service("L1", &site.rsu1()));
    let data = site.done(&SrvlvlCompare { vrm: vrm(), level: level("BASE"), other: level("L1") }).data;
    assert_eq!(data["fixes"].as_array().unwrap().len(), 2);
    let parts: Vec<_> =
        data["parts"].as_array().unwrap().iter().map(|part| part["path"].as_str().unwrap()).collect();
    assert_eq!(parts, ["lib/a.txt", "out/b.txt", "src/b.txt"]);
}

#[test]
fn package_without_change_is_not_made_again() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    site.done(&site.service("L1", &site.rsu1()));
    assert_eq!(site.done(&site.package("L1")).data["generation"], 1);
    assert_eq!(site.done(&site.package("L1")).data["generation"], 1);
    site.done(&site.service("L1", &site.rsu2()));
    assert_eq!(site.query("L1")["package"], "STALE");
    assert_eq!(site.done(&site.package("L1")).data["generation"], 2);
}

#[test]
fn gc_keeps_everything_levels_need() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    site.done(&site.service("L1", &site.rsu1()));
    let digest = site.principal.store().put_bytes(b"nobody needs this").unwrap();
    site.done(&StoreGc);
    assert!(!site.principal.store().contains(&digest));
    assert_eq!(site.part("L1", "beta", "out/b.txt").unwrap(), "B1\n");
    site.done(&site.service("L1", &site.rsu2()));
}

#[test]
fn second_writer_is_told_who_holds_the_release() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    let path = site.dir.join("principal/locks/release-720.lock");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let said = site.refused(&site.service("L1", &site.rsu1()), ReturnCode::Busy);
    assert!(said.contains("SRVLVL ADD by operator"), "{said}");
    drop(file);
    site.done(&site.service("L1", &site.rsu1()));
}

#[test]
fn everything_done_is_in_the_audit_and_in_the_log() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    assert_eq!(site.principal.verify_audit().unwrap(), 3);
    let log = std::fs::read_to_string(site.dir.join("principal/logs/720.msglog")).unwrap();
    assert!(log.contains("SERVMGR SRVLVL ADD 720 L1 BASEDON BASE"), "{log}");
    assert!(log.contains("Ready(00000)"), "{log}");
}

#[test]
fn child_of_base_is_packaged_as_it_was_shipped() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    site.done(&site.package("L1"));
    assert_eq!(site.query("L1")["content"], site.query("BASE")["content"]);
    assert_eq!(site.query("L1")["unbuilt"], serde_json::json!([]));
    let mut redo = site.service("L1", &site.rsu1());
    redo.exclude = vec![fix_id("UM1"), fix_id("UM2")];
    redo.redo = true;
    site.run(&redo);
    assert_eq!(site.query("L1")["content"], site.query("BASE")["content"]);
}

#[test]
fn modification_is_dropped_when_a_fix_of_another_component_supersedes_the_one_that_brings_it() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    let mut own = localmod(&site, "L1", &CONFIG.replace("one = 1", "one = 11"));
    own.fixed_in = vec![fix_id("UM70")];
    site.done(&own);
    let mut other = fix("UM71", "beta");
    other.supersedes.push(fix_id("UM70"));
    let envelope = site.envelope("rsu7", vec![(other, &[("src/b.txt", "b7\n")], None)]);
    site.done(&site.service("L1", &envelope));
    assert_eq!(site.query("L1")["local_mods"], serde_json::json!([]));
    assert_eq!(site.part("L1", "alpha", "etc/app.conf").unwrap(), CONFIG);
}

#[test]
fn patch_without_effect_is_refused() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    let from = site.dir.join("p.diff");
    let mut patch = localmod(&site, "L1", "");
    patch.action = LocalmodAction::Patch { path: "lib/a.txt".parse().unwrap(), from: from.clone() };
    for (text, why) in [
        ("", "no hunk"),
        ("--- a\n+++ b\n", "no hunk"),
        ("--- a\n+++ b\n@@ -1 +1 @@\n-a0\n+a0\n", "the part is the same"),
    ] {
        write(from.clone(), text);
        let said = site.refused(&patch, ReturnCode::Refused);
        assert!(said.contains(why), "{said}");
    }
    write(from, "--- a\n+++ b\n@@ -1 +1 @@\n-a0\n+a9\n");
    site.done(&patch);
}

#[test]
fn check_of_a_modification_keeps_nothing() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    let ours = localmod(&site, "L1", "ours\n");
    site.perform(&ours, Mode::Check);
    assert!(!site.principal.store().contains(&tender_content::Digest::of(b"ours\n")));
    site.done(&ours);
    assert!(site.principal.store().contains(&tender_content::Digest::of(b"ours\n")));
}

#[test]
fn merged_modification_warns_until_it_was_reviewed() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    site.done(&site.service("L1", &site.rsu1()));
    site.done(&localmod(&site, "L1", &CONFIG.replace("one = 1", "one = 11")));
    site.done(&site.service("L1", &site.rsu2()));
    let packaged = site.run(&site.package("L1"));
    assert_eq!(packaged.code, ReturnCode::Warning);
    assert!(
        packaged.messages.iter().any(|one| one.hint.as_deref().unwrap_or("").contains("--reviewed L0001"))
    );
    let promote = SrvlvlPromote { vrm: vrm(), level: level("L1"), force: Some("test".to_owned()) };
    assert_eq!(site.perform(&promote, Mode::Check).code, ReturnCode::Warning);
    let mut reviewed = localmod(&site, "L1", "");
    reviewed.action = LocalmodAction::Reviewed { id: fix_id("L0001") };
    assert_eq!(site.run(&reviewed).code, ReturnCode::Done);
    assert_eq!(site.query("L1")["local_mods"][0]["state"], "carried");
    assert_eq!(site.run(&site.package("L1")).code, ReturnCode::Done);
    assert_eq!(site.query("L1")["generation"], 1);
    assert_eq!(site.run(&promote).code, ReturnCode::Done);
}

#[test]
fn excluded_fix_goes_on_when_it_is_included_again() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    let mut service = site.service("L1", &site.rsu1());
    service.exclude = vec![fix_id("UM2")];
    let left = site.run(&service);
    assert!(left.messages.iter().any(|message| message.text.contains("--include UM2")));
    let mut include = site.service("L1", &site.rsu1());
    include.envelopes.clear();
    include.include = vec![fix_id("UM2")];
    site.done(&include);
    assert_eq!(site.query("L1")["fixes"], serde_json::json!(["UM1", "UM2"]));
    assert_eq!(site.query("L1")["excluded"], serde_json::json!([]));
}

#[test]
fn build_beyond_its_time_is_killed_with_all_it_started() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    let pid_file = site.dir.join("pid");
    let script = format!("sleep 600 &\necho $! > {}\nwait\n", pid_file.display());
    let manifest = "name: beta\ntender:\n  build:\n    - object: out\n      inputs: [\"src/*\"]\n      command: [sh, build.sh]\n      outputs: [out/b.txt]\n      timeout_s: 1\n";
    let parts = [("build.sh", script.as_str()), ("manifest.yaml", manifest)];
    let envelope = site.envelope("slow", vec![(fix("UM8", "beta"), &parts, None)]);
    let said = site.refused(&site.service("L1", &envelope), ReturnCode::Partial);
    assert!(said.contains("was killed after 1 s"), "{said}");
    let pid = std::fs::read_to_string(pid_file).unwrap();
    let stat = std::path::Path::new("/proc").join(pid.trim()).join("stat");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let is_alive = || std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z "));
    while is_alive() {
        assert!(std::time::Instant::now() < deadline, "process {pid} lives on");
        std::thread::yield_now();
    }
}

#[test]
fn joined_envelopes_put_the_fixes_of_both_on() {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    let envelopes = [site.rsu1(), site.rsu2()];
    let options = tender_service::envelope::Options {
        name: "both".to_owned(),
        kind: tender_service::shapes::EnvelopeKind::Rsu,
        vendor: "acme".to_owned(),
        vrm: Some(vrm()),
        memo: None,
        holds: Vec::new(),
    };
    let out = site.dir.join("both.envelope");
    let progress = tender_content::NoProgress;
    tender_service::envelope::join(&envelopes, &options, None, &out, &progress).unwrap();
    site.done(&site.service("L1", &out));
    let mut fixes: Vec<String> = serde_json::from_value(site.query("L1")["fixes"].clone()).unwrap();
    fixes.sort();
    assert_eq!(fixes, ["UM1", "UM2", "UM3"]);
}

#[test]
fn joined_envelopes_keep_their_memos_and_holds() {
    let site = Site::initialised();
    let hold = tender_service::shapes::Hold {
        class: tender_service::shapes::HoldClass::Error,
        reason: "PM1".to_owned(),
        resolved_by: None,
        text: String::new(),
    };
    let mut options = tender_service::envelope::Options {
        name: "first".to_owned(),
        kind: tender_service::shapes::EnvelopeKind::Rsu,
        vendor: "acme".to_owned(),
        vrm: Some(vrm()),
        memo: Some("read me".to_owned()),
        holds: vec![("UM0".parse().unwrap(), hold.clone())],
    };
    let (first, both) = (site.dir.join("first.envelope"), site.dir.join("both.envelope"));
    let join = |envelopes: &[std::path::PathBuf], options: &_, out: &_| {
        tender_service::envelope::join(envelopes, options, None, out, &tender_content::NoProgress).unwrap()
    };
    join(&[site.rsu1()], &options, &first);
    options = tender_service::envelope::Options { memo: None, holds: Vec::new(), ..options };
    let header = join(&[first, site.rsu2()], &options, &both);
    assert_eq!(header.memo.as_deref(), Some("read me"));
    assert_eq!(header.holds, [("UM0".parse().unwrap(), hold)]);
}
