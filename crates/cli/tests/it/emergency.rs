//! Emergency service: what was changed by hand is found, told, and absorbed, overwritten or kept.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::world::World;

/// A world with two systems that have level ONE in production.
fn in_production(names: &[&str]) -> World {
    let mut world = World::with_level_one();
    for name in names {
        world.add_system(name);
        world.run("principal", &format!("servmgr srvlvl send 720 one {name} '(test'")).ends(0);
        world.run("principal", &format!("servmgr srvlvl send 720 one {name} '(stable'")).ends(0);
        world.run("principal", &format!("servmgr system put2prod 720 {name} --acknowledge ALL")).ends(0);
    }
    world
}

/// Changes parts of component `ledger` between MANAGED OFF and ON; the part is written in place.
fn repair(world: &World, host: &str, parts: &[(&str, &str)]) {
    let off = "servmgr managed off ledger --reason 'emergency fix' --until 2099-01-01T00:00Z";
    world.run(host, off).ends(0);
    let ledger = world.path(host).join("system/current/ledger");
    for (part, text) in parts {
        fs::create_dir_all(ledger.join(part).parent().unwrap()).unwrap();
        fs::write(ledger.join(part), text).unwrap();
    }
    world.run(host, "servmgr managed on ledger").ends(4).says("DIVERGED");
}

fn text_in(world: &World, host: &str, part: &str) -> String {
    world.slot_text(host, "current", part).unwrap()
}

const SERVER: &str = "lib/server.py";

#[test]
fn component_given_back_as_it_was_is_managed_again() {
    let world = in_production(&["vm01"]);
    world.run("vm01", "servmgr managed off ledger --reason look").ends(0);
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(stable'").ends(16).says("ledger");
    let part = world.path("vm01").join("system/current/ledger").join(SERVER);
    assert_ne!(fs::metadata(&part).unwrap().permissions().mode() & 0o200, 0, "it can be changed while OFF");
    world.run("vm01", "servmgr managed on ledger").ends(0);
    assert_eq!(fs::metadata(&part).unwrap().permissions().mode() & 0o222, 0, "it is closed again");
    world.run("principal", "servmgr system servcheck 720 vm01").ends(0);
    world.run("principal", "servmgr system query 720 vm01").ends(0).says("ADDED");
}

#[test]
fn overdue_emergency_service_shows_in_every_query() {
    let world = in_production(&["vm01"]);
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    world.run("vm01", &format!("servmgr managed off ledger --reason outage --until {until}")).ends(0);
    crate::world::wait_until("the end of the emergency", || jiff::Timestamp::now() > until);
    world.run("principal", "servmgr system servcheck 720 vm01").ends(4).says("overdue");
    world.run("principal", "servmgr system query 720 all").ends(4).says("overdue").says("outage");
}

#[test]
fn changes_by_hand_are_absorbed_into_a_level_that_counts_as_running_and_goes_everywhere() {
    let world = in_production(&["vm01", "vm02"]);
    // One of them in directories of its own.
    let parts = [(SERVER, "repaired\n"), ("etc/new.conf", "key = 1\n"), ("site/rules/one", "rule\n")];
    repair(&world, "vm01", &parts);
    world.run("principal", "servmgr system servcheck 720 vm01").ends(4).says("diverged").says(SERVER);
    let query = world.run("principal", "servmgr system query 720 vm01").ends(4);
    query.says("DIVERGED").says("ledger, 3 parts").says("etc/new.conf");
    // What goes over it is refused with every part by name, and nothing is sent.
    world
        .run("principal", "servmgr srvlvl send 720 one vm01 '(stable'")
        .ends(16)
        .says(SERVER)
        .says("etc/new.conf");

    let absorb = "servmgr system absorb 720 vm01 ledger into hot1";
    world.run("principal", &format!("{absorb} --check")).ends(0).says("L0001");
    world.run("principal", "servmgr srvlvl query 720 hot1").ends(28);
    world.run_until("localmod.begun", "principal", absorb).was_killed();
    world.run("principal", "servmgr srvlvl query 720 hot1").ends(4).says("unfinished");
    world.run("principal", absorb).ends(0).says("counts as running it");
    world.run("principal", "servmgr srvlvl query 720 hot1").ends(0).says("L0002");
    world.run("principal", absorb).ends(16).says("exists already");
    world.run("principal", "servmgr system query 720 vm01").ends(0).says("= HOT1");
    world.run("principal", "servmgr srvlvl query 720 hot1").says("L0001");

    // A level without the changes would take them away; the one with them needs no force.
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(stable'").ends(16).says("L0001");
    world.run("principal", "servmgr srvlvl package 720 hot1").ends(0);
    for line in ["'(test'", "'(stable'"] {
        world.run("principal", &format!("servmgr srvlvl send 720 hot1 vm01 {line}")).ends(0);
        world.run("principal", &format!("servmgr srvlvl send 720 hot1 vm02 {line}")).ends(0);
    }
    world.run("principal", "servmgr system put2prod 720 vm01").ends(0);
    world.run("principal", "servmgr system put2prod 720 vm02").ends(0);
    for host in ["vm01", "vm02"] {
        assert_eq!(world.slot(host, "current").as_deref(), Some("HOT1.1"));
        assert_eq!(text_in(&world, host, "ledger/lib/server.py"), "repaired\n");
        assert_eq!(text_in(&world, host, "ledger/etc/new.conf"), "key = 1\n");
        assert_eq!(text_in(&world, host, "ledger/site/rules/one"), "rule\n");
    }
    world.run("principal", "servmgr system servcheck 720 vm02").ends(0);
    // The part was written in place: the level before must not have suffered by it.
    world.run("principal", "servmgr system fallback 720 vm02").ends(0);
    let original = fs::read_to_string(world.path("media/rsu0801/ledger").join(SERVER)).unwrap();
    assert_eq!(text_in(&world, "vm02", "ledger/lib/server.py"), original);
}

#[test]
fn component_added_by_hand_is_absorbed_whole() {
    let world = in_production(&["vm01"]);
    let level = fs::canonicalize(world.path("vm01/system/current")).unwrap();
    let open = |mode| fs::set_permissions(&level, fs::Permissions::from_mode(mode)).unwrap();
    open(0o755);
    for (part, text) in [("manifest.yaml", "name: meter\n"), ("bin/start.sh", "#!/bin/sh\n")] {
        let path = level.join("meter").join(part);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir_all(level.join("meter/spool/in")).unwrap();
    open(0o555);
    world.run("principal", "servmgr system servcheck 720 vm01").says("current/meter");
    world.run("principal", "servmgr system query 720 vm01").says("meter, 3 parts");
    let keep = "servmgr system exception add 720 vm01 meter reason ours";
    world.run("principal", keep).ends(16).says("meter").says("ABSORB");
    // No level over it but one that has it.
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(stable'").ends(16).says("meter/bin/start.sh");
    world
        .run("principal", "servmgr system absorb 720 vm01 meter into hot1")
        .ends(0)
        .says("counts as running it");
    world.run("principal", "servmgr srvlvl package 720 hot1").ends(0);
    world.run("principal", "servmgr srvlvl send 720 hot1 vm01 '(test'").ends(0);
    world.run("principal", "servmgr srvlvl send 720 hot1 vm01 '(stable'").ends(0);
    world.run("principal", "servmgr system put2prod 720 vm01").ends(0);
    assert_eq!(world.slot("vm01", "current").as_deref(), Some("HOT1.1"));
    assert_eq!(text_in(&world, "vm01", "meter/bin/start.sh"), "#!/bin/sh\n");
    assert!(world.path("vm01/system/current/meter/spool/in").is_dir());
    // Only the level before has it still without being asked for it.
    let check = world.run("principal", "servmgr system servcheck 720 vm01").ends(4).says("previous/meter");
    assert!(!check.text.contains("current/meter"), "{}", check.text);
}

#[test]
fn fix_that_went_on_by_hand_is_recorded_as_the_fix() {
    let world = in_production(&["vm01"]);
    world.run("principal", "servmgr srvlvl add 720 two basedon one").ends(0);
    world.run("principal", "servmgr srvlvl service 720 two all rsu0802.envelope").ends(0);
    fs::create_dir_all(world.path("hot/ledger/lib")).unwrap();
    fs::write(world.path("hot/ledger/lib/rescue.py"), "rescue = 1\n").unwrap();
    world.run("principal", "envelope create hot.envelope --from media/base --to hot --overlay --fix UM50001 --vendor example --key vendor.key").ends(0);
    world.run("principal", "servmgr srvlvl service 720 two all hot.envelope").ends(0);

    repair(&world, "vm01", &[("lib/rescue.py", "rescue = 1\n"), ("etc/note", "by hand\n")]);
    world.run("principal", "servmgr system servcheck 720 vm01").ends(4);
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(stable'").ends(16).says("fix UM50001");
    world.run("principal", "servmgr system absorb 720 vm01 into hot1").ends(0).says("UM50001").says("L0001");
    world.run("principal", "servmgr srvlvl query 720 hot1").says("UM50001");
    world.run("principal", "servmgr fix query 720 UM50001").says("VM01");
    world.run("principal", "servmgr srvlvl compare 720 one hot1").says("UM50001");
}

#[test]
fn changes_by_hand_are_overwritten_only_with_a_reason() {
    let world = in_production(&["vm01"]);
    repair(&world, "vm01", &[(SERVER, "repaired\n")]);
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(stable'").ends(16).says(SERVER);
    assert_eq!(text_in(&world, "vm01", "ledger/lib/server.py"), "repaired\n");
    let force = "servmgr srvlvl send 720 one vm01 '(stable' force 'the vendor fixed it'";
    world.run("principal", force).ends(4).says(SERVER);
    let original = fs::read_to_string(world.path("media/rsu0801/ledger").join(SERVER)).unwrap();
    assert_eq!(text_in(&world, "vm01", "ledger/lib/server.py"), original);
    world.run("principal", "servmgr system query 720 vm01").ends(0).says("ADDED");
    world.run("principal", "servmgr system servcheck 720 vm01").ends(0);
}

#[test]
fn exception_is_listed_kept_over_new_levels_and_refused_when_the_vendor_changes_its_part() {
    let world = in_production(&["vm01"]);
    repair(&world, "vm01", &[("README.md", "ours\n"), ("etc/site.conf", "x\n")]);
    let add = "servmgr system exception add 720 vm01 ledger";
    world.run("principal", &format!("{add} no/such.part reason other printer")).ends(28).says("no/such.part");
    world.run("principal", &format!("{add} reason other printer")).ends(0).says("README.md");
    let query = world.run("principal", "servmgr system query 720 vm01").ends(0);
    query.says("README.md").says("other printer").says("ADDED");
    world.run("principal", "servmgr system servcheck 720 vm01").ends(0).says("other printer");
    world.run("vm01", "agent status").ends(0).says("other printer");

    // It stays with the next level, and is no drift there; a change of it is.
    world.run("principal", "servmgr srvlvl add 720 two basedon one").ends(0);
    world.run("principal", "servmgr srvlvl service 720 two all rsu0802.envelope").ends(0);
    world.run("principal", "servmgr srvlvl package 720 two").ends(0);
    world.run("principal", "servmgr srvlvl send 720 two vm01 '(test'").ends(0);
    world.run("principal", "servmgr srvlvl send 720 two vm01 '(stable'").ends(0);
    world.run("principal", "servmgr system put2prod 720 vm01 --acknowledge ALL").ends(0);
    assert_eq!(text_in(&world, "vm01", "ledger/README.md"), "ours\n");
    assert_eq!(text_in(&world, "vm01", "ledger/etc/site.conf"), "x\n");
    world.run("principal", "servmgr system servcheck 720 vm01").ends(0);
    world.run("principal", "servmgr system fallback 720 vm01").ends(0);
    assert_eq!(text_in(&world, "vm01", "ledger/README.md"), "ours\n");
    world.run("principal", "servmgr system servcheck 720 vm01").ends(0);

    // The vendor changes the part.
    fs::create_dir_all(world.path("news/ledger")).unwrap();
    fs::write(world.path("news/ledger/README.md"), "the vendor's news\n").unwrap();
    world.run("principal", "envelope create news.envelope --from media/base --to news --overlay --fix UM60001 --vendor example --key vendor.key").ends(0);
    world.run("principal", "servmgr srvlvl add 720 three basedon two").ends(0);
    world.run("principal", "servmgr srvlvl service 720 three all news.envelope").ends(0);
    world.run("principal", "servmgr srvlvl package 720 three").ends(0);
    let send = "servmgr srvlvl send 720 three vm01 '(test'";
    world.run("principal", send).ends(16).says("README.md").says("rework");
    world.run("principal", &format!("{send} force 'try all the same'")).ends(16).says("README.md");

    // Dropped, it is a change by hand like any other.
    world.run("principal", "servmgr system exception delete vm01 ledger README.md").ends(4);
    world.run("principal", "servmgr system query 720 vm01").ends(4).says("DIVERGED");
    assert_eq!(text_in(&world, "vm01", "ledger/README.md"), "ours\n");
    world.run("principal", send).ends(16).says("README.md");
    world.run("principal", &format!("{send} force 'the news are better'")).ends(4);
    world
        .run("principal", "servmgr srvlvl send 720 three vm01 '(stable'  force 'the news are better'")
        .ends(4);
    world
        .run("principal", "servmgr system put2prod 720 vm01 force 'the news are better' --acknowledge ALL")
        .ends(4);
    assert_eq!(text_in(&world, "vm01", "ledger/README.md"), "the vendor's news\n");
    assert_eq!(text_in(&world, "vm01", "ledger/etc/site.conf"), "x\n");
    world.run("principal", "servmgr system exception query all").ends(0).says("site.conf");
    // A system that leaves keeps what it keeps, and says so to whoever comes next.
    world.run("principal", "servmgr system delete 720 vm01").ends(0);
    world.run("vm01", "agent status").ends(0).says("site.conf");
}

#[test]
fn audit_log_is_copied_and_a_changed_one_is_noticed() {
    let world = in_production(&["vm01"]);
    world.run("principal", "servmgr system audit 720 vm01").ends(0).says("PUT2PROD").says("each follows");
    let copy = world.path("principal/principal/logs/systems/VM01.audit");
    let log = world.path("vm01/system/logs/audit.log");
    assert_eq!(fs::read_to_string(&copy).unwrap(), fs::read_to_string(&log).unwrap());
    let lines = |path| fs::read_to_string(path).unwrap().lines().count();
    let before = lines(&copy);
    world.run("principal", "servmgr system servcheck 720 vm01").ends(0);
    assert!(lines(&copy) > before, "every contact brings the new lines");

    // Someone writes the log anew, whole and longer, as root could.
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    for (number, _) in text.lines().enumerate().chain([(99, "")]) {
        let event = tender_agent::audit::AuditEvent {
            who: "nobody".to_owned(),
            what: "NOTHING".to_owned(),
            subject: number.to_string(),
            result: "0".to_owned(),
        };
        tender_agent::audit::append(&log, jiff::Timestamp::now(), event).unwrap();
    }
    world.run("principal", "servmgr system servcheck 720 vm01").ends(4).says("not what was copied");
    world.run("principal", "servmgr system query 720 vm01").ends(4).says("not what was copied");
    world.run("principal", "servmgr system audit 720 vm01").ends(32).says("PUT2PROD");
    world.run("principal", "servmgr system audit 720 vm01 renew 'we looked, it was a restore'").ends(0);
    world.run("principal", "servmgr system servcheck 720 vm01").ends(0);
    world.run("principal", "servmgr system audit 720 vm01").ends(0).says("NOTHING");
}
