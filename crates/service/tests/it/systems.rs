//! Systems: from SYSTEM ADD to FALLBACK, alone and in groups.

use tender_package::{ReturnCode, SystemName};
use tender_service::shapes::{Hold, HoldClass};
use tender_service::system::Target;
use tender_service::verbs::{
    FixQuery, GroupSet, HoldAdd, SettingSet, SrvlvlQuery, SrvlvlWithdraw, SystemDelete, SystemFallback,
    SystemModify, SystemPut2prod, SystemQuery, SystemServcheck, SystemUnload,
};

use crate::site::{Site, fix, fix_id, level, vrm};

fn target(name: &str) -> Target {
    name.parse().unwrap()
}

fn put2prod(name: &str) -> SystemPut2prod {
    SystemPut2prod {
        vrm: vrm(),
        target: target(name),
        expect: None,
        acknowledge: Vec::new(),
        force: None,
        parallel_max: None,
    }
}

fn fallback(name: &str) -> SystemFallback {
    SystemFallback { vrm: vrm(), target: target(name) }
}

/// A site with level L1 packaged and systems that run BASE.
fn packaged(systems: &[&str]) -> Site {
    let site = Site::initialised();
    site.add_level("L1", "BASE");
    site.done(&site.service("L1", &site.rsu1()));
    site.done(&site.package("L1"));
    for system in systems {
        site.add_system(system);
    }
    site
}

fn in_production(site: &Site, name: &str) -> String {
    site.fleet.load(name).info.current.unwrap().level.to_string()
}

#[test]
fn add_issues_a_token_and_then_checks_what_the_system_runs() {
    let site = packaged(&[]);
    let first = site.run(&site.system_add("vm01", "BASE"));
    assert_eq!(first.code, ReturnCode::Warning);
    assert_eq!(first.data["token"], "join-VM01");
    let again = site.run(&site.system_add("vm01", "BASE"));
    assert_eq!(again.data["state"], "ADDING");
    site.fleet.install("vm01", site.base(), Some(site.base()));
    let said = site.refused(&site.system_add("vm01", "L1"), ReturnCode::Refused);
    assert!(said.contains("it runs level BASE"), "{said}");
    assert!(!site.fleet.load("vm01").info.is_managed);
    site.done(&site.system_add("vm01", "BASE"));
    assert!(site.fleet.load("vm01").info.is_managed);
    assert_eq!(site.run(&site.system_add("vm01", "BASE")).code, ReturnCode::Warning);
}

#[test]
fn scenario_of_the_seed_ends_in_production_and_back() {
    let site = packaged(&["vm01"]);
    let said = site.refused(&site.send("L1", "vm01", true), ReturnCode::Refused);
    assert!(said.contains("for a test"), "{said}");
    site.done(&site.send("L1", "vm01", false));
    site.refused(&put2prod("vm01"), ReturnCode::Refused);
    site.done(&site.send("L1", "vm01", true));
    assert_eq!(site.query("L1")["state"], "STABLE");
    site.refused(&site.service("L1", &site.rsu2()), ReturnCode::Refused);
    site.done(&put2prod("vm01"));
    assert_eq!(in_production(&site, "vm01"), "720 L1.1");
    let data = site.done(&FixQuery { vrm: vrm(), fix: fix_id("UM1") }).data;
    assert_eq!(data["systems"], serde_json::json!(["VM01"]));
    site.done(&fallback("vm01"));
    assert_eq!(in_production(&site, "vm01"), "720 ADOPTED.0");
    site.done(&fallback("vm01"));
    site.done(&SystemServcheck { vrm: vrm(), target: Target::All, is_full: false });
    site.done(&SystemQuery { vrm: vrm(), target: Target::All });
}

#[test]
fn level_whose_test_instance_failed_does_not_become_stable_until_one_is_ready() {
    let site = packaged(&["vm01"]);
    let said = site.fleet.dir("vm01").join("test-instance");
    std::fs::write(&said, "ledger ended with exit 1").unwrap();
    site.run(&site.send("L1", "vm01", false));
    let refused = site.refused(&site.send("L1", "vm01", true), ReturnCode::Refused);
    assert!(refused.contains("for a test"), "{refused}");
    let query = SystemQuery { vrm: vrm(), target: target("vm01") };
    let data = site.run(&query).data;
    assert_eq!(data["test_runs"][0]["run"]["summary"], "ledger ended with exit 1");

    std::fs::write(&said, "ready").unwrap();
    site.done(&site.send("L1", "vm01", false));
    site.done(&site.send("L1", "vm01", true));
    assert_eq!(site.query("L1")["state"], "STABLE");
}

#[test]
fn second_send_of_the_same_level_sends_metadata_only() {
    let site = packaged(&["vm01"]);
    let first = site.done(&site.send("L1", "vm01", false)).data["systems"]["VM01"]["sent_bytes"].as_u64();
    let second = site.done(&site.send("L1", "vm01", true)).data["systems"]["VM01"]["sent_bytes"].as_u64();
    assert!(second < first, "{second:?} {first:?}");
}

#[test]
fn memo_blocks_production_until_acknowledged() {
    let site = packaged(&["vm01"]);
    site.add_level("L2", "L1");
    site.done(&site.service("L2", &site.rsu2()));
    site.done(&site.package("L2"));
    site.done(&site.send("L2", "vm01", false));
    site.done(&site.send("L2", "vm01", true));
    let said = site.refused(&put2prod("vm01"), ReturnCode::Refused);
    assert!(said.contains("read this first") && said.contains("--acknowledge UM3"), "{said}");
    let mut acknowledged = put2prod("vm01");
    acknowledged.acknowledge.push(fix_id("UM3"));
    site.done(&acknowledged);
}

#[test]
fn send_that_would_lose_a_fix_is_refused_unless_named() {
    let site = packaged(&["vm01"]);
    site.done(&site.send("L1", "vm01", false));
    site.done(&site.send("L1", "vm01", true));
    site.done(&put2prod("vm01"));
    site.add_level("L0", "BASE");
    let mut none = site.service("L0", &site.dir.join("rsu1.envelope"));
    none.exclude = vec![fix_id("UM1"), fix_id("UM2")];
    site.run(&none);
    site.done(&site.package("L0"));
    let said = site.refused(&site.send("L0", "vm01", false), ReturnCode::Refused);
    assert!(said.contains("would lose fix UM1, fix UM2"), "{said}");
    let mut named = site.send("L0", "vm01", false);
    named.lose = vec![fix_id("UM1"), fix_id("UM2")];
    site.done(&named);
}

#[test]
fn dead_system_of_a_group_spoils_only_its_own_result() {
    let site = packaged(&["vm01", "vm02", "vm03"]);
    let members = ["vm01", "vm02", "vm03"].map(|name| SystemName::new(name).unwrap()).to_vec();
    site.done(&GroupSet { vrm: vrm(), nickname: SystemName::new("east").unwrap(), members });
    std::fs::write(site.fleet.dir("vm02").join("down"), "").unwrap();
    let outcome = site.run(&site.send("L1", "east", false));
    assert_eq!(outcome.code, ReturnCode::Outside);
    let rc = |name: &str| outcome.data["systems"][name]["rc"].as_u64().unwrap();
    assert_eq!((rc("VM01"), rc("VM02"), rc("VM03")), (0, 12, 0));
    std::fs::remove_file(site.fleet.dir("vm02").join("down")).unwrap();
    site.done(&site.send("L1", "east", false));
    assert_eq!(site.fleet.load("vm02").loads, 1);
}

#[test]
fn agent_of_an_older_version_is_refused_by_name() {
    let site = packaged(&["vm01"]);
    site.fleet.change("vm01", |info| info.protocol = 0);
    let before = (site.query("L1"), site.fleet.load("vm01").loads);
    let said = site.refused(&site.send("L1", "vm01", false), ReturnCode::Refused);
    assert!(said.contains("system VM01 runs Tender test"), "{said}");
    assert_eq!((site.query("L1"), site.fleet.load("vm01").loads), before);
}

#[test]
fn withdrawn_level_goes_nowhere() {
    let site = packaged(&["vm01", "vm02"]);
    site.done(&site.send("L1", "vm01", false));
    site.done(&site.send("L1", "vm01", true));
    site.done(&SrvlvlWithdraw { vrm: vrm(), level: level("L1"), reason: "loses mail".to_owned() });
    site.refused(&site.send("L1", "vm02", true), ReturnCode::Refused);
    site.refused(&put2prod("vm01"), ReturnCode::Refused);
}

#[test]
fn query_with_a_system_shows_what_would_change_there() {
    let site = packaged(&["vm01"]);
    let system = Some(SystemName::new("vm01").unwrap());
    let data = site.done(&SrvlvlQuery { vrm: vrm(), level: Some(level("L1")), system }).data;
    assert_eq!(data["fixes"].as_array().unwrap().len(), 2);
    assert_eq!(data["restart"], serde_json::json!(["alpha", "web"]));
}

#[test]
fn unreachable_system_is_deleted_by_force_only() {
    let site = packaged(&["vm01"]);
    std::fs::write(site.fleet.dir("vm01").join("down"), "").unwrap();
    let mut delete = SystemDelete { vrm: vrm(), target: target("vm01"), force: None };
    site.refused(&delete, ReturnCode::Outside);
    delete.force = Some("burnt".to_owned());
    assert_eq!(site.run(&delete).code, ReturnCode::Warning);
    assert!(site.fleet.dir("vm01").join("forgotten").exists());
    site.refused(&SystemQuery { vrm: vrm(), target: target("vm01") }, ReturnCode::Unknown);
}

fn modify(level_name: Option<&str>) -> SystemModify {
    SystemModify {
        vrm: vrm(),
        system: SystemName::new("vm01").unwrap(),
        level: level_name.map(level),
        variant: None,
        host: None,
        port: None,
        is_tls_required: None,
        force: None,
    }
}

fn known(site: &Site) -> serde_json::Value {
    site.done(&SystemQuery { vrm: vrm(), target: target("vm01") }).data["systems"][0].clone()
}

#[test]
fn modify_with_a_level_is_refused_unless_the_system_runs_it() {
    let site = packaged(&["vm01"]);
    let said = site.refused(&modify(Some("L1")), ReturnCode::Refused);
    assert!(said.contains("does not run level 720 L1"), "{said}");
    assert_eq!(known(&site)["production"][0], "BASE");
    let mut forced = modify(Some("L1"));
    forced.force = Some("it will".to_owned());
    site.done(&forced);
    assert_eq!(known(&site)["record"]["asserted"], "L1");
    assert_eq!(known(&site)["production"][0], "BASE", "only what the system says counts");
    site.done(&modify(Some("BASE")));
    assert_eq!(known(&site)["record"]["asserted"], "BASE");
    let mut moved = modify(None);
    moved.port = Some(4600);
    site.done(&moved);
    assert_eq!(known(&site)["record"]["port"], 4600);
}

#[test]
fn asserted_level_follows_production_and_fallback() {
    let site = packaged(&["vm01"]);
    site.done(&site.send("L1", "vm01", false));
    site.done(&site.send("L1", "vm01", true));
    site.done(&put2prod("vm01"));
    assert_eq!(known(&site)["record"]["asserted"], "L1");
    assert_eq!(known(&site)["production"], serde_json::json!(["L1", 1]));
    site.done(&fallback("vm01"));
    assert_eq!(known(&site)["record"]["asserted"], "BASE");
    assert_eq!(known(&site)["production"], serde_json::json!(["BASE", 0]));
    let data = site.done(&FixQuery { vrm: vrm(), fix: fix_id("UM1") }).data;
    assert_eq!(data["systems"], serde_json::json!([]));
}

#[test]
fn adopted_content_of_no_level_counts_as_no_level() {
    let site = packaged(&["vm01"]);
    site.fleet.change("vm01", |info| {
        info.current.as_mut().unwrap().content = tender_content::Digest::of(b"other");
    });
    site.done(&SystemServcheck { vrm: vrm(), target: Target::All, is_full: false });
    assert!(known(&site)["production"].is_null());
}

fn pair(site: &Site, name: &str) -> String {
    let query = SrvlvlQuery { vrm: vrm(), level: Some(level("L1")), system: None };
    let tables = site.done(&query).tables;
    let table = tables.iter().find(|table| table.title == "Systems").unwrap();
    table.rows.iter().find(|row| row[0] == name).unwrap()[2].clone()
}

#[test]
fn send_of_the_level_in_production_leaves_it_there() {
    let site = packaged(&["vm01"]);
    site.done(&site.send("L1", "vm01", false));
    site.done(&site.send("L1", "vm01", true));
    site.done(&put2prod("vm01"));
    let data = site.done(&site.send("L1", "vm01", true)).data;
    assert_eq!(data["systems"]["VM01"]["is_in_production"], true);
    assert_eq!(pair(&site, "VM01"), "PROD");
    std::fs::write(site.fleet.dir("vm01").join("down"), "").unwrap();
    site.refused(&site.send("L1", "vm01", true), ReturnCode::Outside);
    assert_eq!(pair(&site, "VM01"), "PROD");
}

#[test]
fn deleted_system_is_forgotten_and_leaves_its_groups() {
    let site = packaged(&["vm01", "vm02"]);
    let members = ["vm01", "vm02"].map(|name| SystemName::new(name).unwrap()).to_vec();
    site.done(&GroupSet { vrm: vrm(), nickname: SystemName::new("east").unwrap(), members });
    let deleted = site.done(&SystemDelete { vrm: vrm(), target: target("vm01"), force: None });
    assert!(site.fleet.dir("vm01").join("forgotten").exists());
    let said = serde_json::to_string(&deleted.data).unwrap();
    assert!(said.contains("no longer in group EAST"), "{said}");
}

#[test]
fn memo_of_an_envelope_blocks_production_until_acknowledged() {
    let site = packaged(&["vm01"]);
    let changes = vec![(fix("UM4", "alpha"), &[("lib/new.txt", "n\n")][..], None)];
    let envelope = site.envelope_with_memo("rsu4", Some("stop the mail first"), changes);
    site.add_level("L4", "L1");
    site.done(&site.service("L4", &envelope));
    assert_eq!(site.query("L4")["actions"][0]["fix"], "RSU4");
    site.done(&site.package("L4"));
    site.done(&site.send("L4", "vm01", false));
    site.done(&site.send("L4", "vm01", true));
    let said = site.refused(&put2prod("vm01"), ReturnCode::Refused);
    assert!(said.contains("stop the mail first") && said.contains("--acknowledge RSU4"), "{said}");
    let mut acknowledged = put2prod("vm01");
    acknowledged.acknowledge.push(fix_id("RSU4"));
    site.done(&acknowledged);
}

fn action(fix: &str) -> HoldAdd {
    let hold = Hold {
        class: HoldClass::Action,
        reason: "RESTART".to_owned(),
        resolved_by: None,
        text: "restart the mail".to_owned(),
    };
    HoldAdd { vrm: vrm(), fix: fix_id(fix), hold }
}

#[test]
fn action_raised_after_packaging_is_asked_for_once() {
    let site = packaged(&["vm01"]);
    site.done(&site.send("L1", "vm01", false));
    site.done(&site.send("L1", "vm01", true));
    let said = site.run(&action("UM1"));
    assert_eq!(said.code, ReturnCode::Warning);
    assert!(said.messages.iter().any(|message| message.text.contains("is on in level L1")));
    let said = site.refused(&put2prod("vm01"), ReturnCode::Refused);
    assert!(said.contains("restart the mail"), "{said}");
    let mut acknowledged = put2prod("vm01");
    acknowledged.acknowledge.push(fix_id("ALL"));
    site.done(&acknowledged);
    site.run(&action("UM2"));
    site.add_level("L5", "L1");
    let changes = vec![(fix("UM5", "alpha"), &[("lib/new.txt", "n\n")][..], None)];
    site.done(&site.service("L5", &site.envelope("rsu5", changes)));
    site.done(&site.package("L5"));
    site.done(&site.send("L5", "vm01", false));
    site.done(&site.send("L5", "vm01", true));
    site.done(&put2prod("vm01"));
}

#[test]
fn hold_of_a_fix_not_received_says_so() {
    let site = packaged(&[]);
    let said = site.run(&action("UM99"));
    assert_eq!(said.code, ReturnCode::Warning);
    assert!(said.messages.iter().any(|message| message.text.contains("was not received yet")));
}

#[test]
fn unload_takes_the_level_out_of_slot_test() {
    let site = packaged(&["vm01"]);
    let unload = SystemUnload { vrm: vrm(), target: target("vm01") };
    assert_eq!(site.run(&unload).code, ReturnCode::Warning);
    site.done(&site.send("L1", "vm01", false));
    assert_eq!(pair(&site, "VM01"), "LOADED_TEST");
    site.done(&unload);
    assert!(site.fleet.load("vm01").info.test.is_none());
    assert_eq!(pair(&site, "VM01"), "NONE");
}

#[test]
fn base_is_sent_to_a_system_without_install_media() {
    let site = packaged(&[]);
    site.fleet.install("vm02", site.base(), None);
    site.fleet.change("vm02", |info| info.bases.clear());
    site.run(&site.system_add("vm02", "BASE"));
    site.done(&site.system_add("vm02", "BASE"));
    let said = site.refused(&site.send("L1", "vm02", false), ReturnCode::Refused);
    assert!(said.contains("tender agent base 720 --from DIR"), "{said}");
    assert!(said.contains("tender servmgr srvlvl send 720 BASE VM02"), "{said}");
    site.done(&site.send("BASE", "vm02", true));
    let info = site.fleet.load("vm02").info;
    assert_eq!(info.bases[0].base, site.base());
    assert_eq!(info.test.unwrap().level.to_string(), "720 BASE.1");
    site.done(&put2prod("vm02"));
    assert_eq!(in_production(&site, "vm02"), "720 BASE.1");
    site.done(&site.send("L1", "vm02", false));
    assert_eq!(site.done(&site.package("BASE")).data["generation"], 1);
}

#[test]
fn fallback_to_a_withdrawn_level_warns() {
    let site = packaged(&["vm01"]);
    for name in ["L1", "L6"] {
        if name == "L6" {
            site.add_level("L6", "L1");
            let changes = vec![(fix("UM6", "alpha"), &[("lib/new.txt", "n\n")][..], None)];
            site.done(&site.service("L6", &site.envelope("rsu6", changes)));
            site.done(&site.package("L6"));
        }
        site.done(&site.send(name, "vm01", false));
        site.done(&site.send(name, "vm01", true));
        site.done(&put2prod("vm01"));
    }
    assert_eq!(site.perform(&fallback("vm01"), tender_service::Mode::Check).code, ReturnCode::Done);
    site.done(&SrvlvlWithdraw { vrm: vrm(), level: level("L1"), reason: "loses mail".to_owned() });
    let check = site.perform(&fallback("vm01"), tender_service::Mode::Check);
    assert_eq!(check.code, ReturnCode::Warning);
    let back = site.run(&fallback("vm01"));
    assert_eq!(back.code, ReturnCode::Warning);
    assert!(back.messages.iter().any(|message| message.text.contains("was withdrawn")));
    assert_eq!(in_production(&site, "vm01"), "720 L1.1");
}

#[test]
fn servcheck_tells_requisites_and_knows_adopted_content() {
    let site = packaged(&["vm01"]);
    let checked = site.done(&SystemServcheck { vrm: vrm(), target: Target::All, is_full: false });
    let lines = checked.data["systems"]["VM01"]["report"]["checks"].as_array().unwrap().clone();
    let numbers: Vec<_> = lines.iter().map(|line| line["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [3, 4, 8, 9, 12]);
    assert_eq!(checked.code, ReturnCode::Done, "{:#?}", checked.messages);
}

#[test]
fn send_check_says_what_keeps_the_level_off_a_system() {
    let site = packaged(&["vm01"]);
    let fine = site.perform(&site.send("L1", "vm01", false), tender_service::Mode::Check);
    assert_eq!(fine.code, ReturnCode::Done, "{:#?}", fine.messages);
    site.fleet.change("vm01", |info| info.bases.clear());
    site.done(&SystemServcheck { vrm: vrm(), target: Target::All, is_full: false });
    let kept = site.perform(&site.send("L1", "vm01", false), tender_service::Mode::Check);
    assert_eq!(kept.code, ReturnCode::Warning);
    assert!(kept.messages.iter().any(|message| message.text.contains("does not have the BASE")));
}

#[test]
fn systems_are_limited_by_the_setting() {
    let site = packaged(&["vm01"]);
    let value = site.done(&SettingSet { change: None }).data["systems_max"].as_u64();
    assert_eq!(value, Some(54));
    site.done(&SettingSet { change: Some(("systems_max".to_owned(), 1)) });
    let said = site.refused(&site.system_add("vm02", "BASE"), ReturnCode::Refused);
    assert!(said.contains("setting systems_max"), "{said}");
    let unknown = SettingSet { change: Some(("nope".to_owned(), 1)) };
    site.refused(&unknown, ReturnCode::Unknown);
}
