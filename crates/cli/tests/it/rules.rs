//! Rules over the whole fleet: holds accepted for a while or on a system, embargoes, requisites across systems.

use std::fs;

use crate::world::World;

fn with_systems(names: &[&str]) -> World {
    let mut world = World::with_level_one();
    for name in names {
        world.add_system(name);
    }
    world
}

#[test]
fn hold_accepted_on_one_system_or_for_a_while_blocks_elsewhere_and_afterwards() {
    let world = with_systems(&["vm01", "vm02"]);
    world.run("principal", "servmgr hold add 720 UM10001 error PM007 --text 'loses entries'").says("UM10001");
    let send =
        |target: &str| world.run("principal", &format!("servmgr srvlvl send 720 one {target} '(test'"));
    send("vm01").ends(16).says("PM007");
    let accept = "servmgr hold accept 720 one 1 --reason 'only a test'";
    world.run("principal", &format!("{accept} --until 2001-01-01T00:00Z")).ends(16).says("past");
    world.run("principal", &format!("{accept} --system vm01")).ends(0).says("VM01");
    send("vm01").ends(0);
    send("vm02").ends(16).says("PM007");
    // Of several, the one it may not go to is refused alone.
    send("all").ends(16).says("is loaded as TEST").says("PM007");

    world.run("principal", &format!("{accept} --system vm02 --until 2099-01-01T00:00Z")).ends(0);
    send("vm02").ends(0);
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    world.run("principal", &format!("{accept} --system vm02 --until {until}")).ends(0);
    crate::world::wait_until("the end of the acceptance", || jiff::Timestamp::now() > until);
    send("vm02").ends(16).says("PM007");
    world.run("principal", "servmgr hold query 720").ends(0).says("(expired)").says("ONE on VM01");
}

#[test]
fn embargo_on_a_level_or_a_fix_keeps_it_from_being_sent() {
    let world = with_systems(&["vm01"]);
    let send = || world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'");
    world.run("principal", "servmgr srvlvl embargo 720 one on").ends(16).says("reason");
    world.run("principal", "servmgr srvlvl embargo 720 nosuch on reason x").ends(28);
    world.run("principal", "SERVMGR SRVLVL EMBARGO 720 ONE ON REASON wait for the audit").ends(0);
    send().ends(16).says("wait for the audit");
    world.run("principal", "servmgr srvlvl query 720 one").ends(4).says("wait for the audit");
    world.run("principal", "servmgr srvlvl embargo 720 one off").ends(0);
    world.run("principal", "servmgr srvlvl embargo 720 one off").ends(4);
    world.run("principal", "servmgr fix embargo 720 UM10001 on --reason 'a court order'").says("ONE");
    send().ends(16).says("UM10001").says("a court order");
    assert_eq!(world.slot("vm01", "test"), None);
    world.run("principal", "servmgr fix embargo 720 UM10001 off").ends(0);
    send().ends(0);
    let log = fs::read_to_string(world.path("principal/principal/logs/720.msglog")).unwrap();
    assert!(log.contains("SRVLVL EMBARGO 720 ONE ON REASON wait for the audit"), "{log}");
}

#[test]
fn fix_that_needs_another_across_the_fleet_waits_for_the_other_systems() {
    let world = with_systems(&["vm01", "vm02", "vm03"]);
    let put = |level: &str, system: &str| {
        for mode in ["'(test'", "'(stable'"] {
            world.run("principal", &format!("servmgr srvlvl send 720 {level} {system} {mode}")).ends(0);
        }
        world.run("principal", &format!("servmgr system put2prod 720 {system} --acknowledge ALL"))
    };
    world.run("principal", "servmgr group set 720 east vm01 vm02").ends(0);
    fs::create_dir_all(world.path("next/beacon")).unwrap();
    fs::write(world.path("next/beacon/protocol"), "2\n").unwrap();
    fs::write(
        world.path("next.yaml"),
        "name: NEXT\nfixes:\n  - id: UM70001\n    component: beacon\n    requisites:\n      \
         - { kind: fleet, fix: UM10003, component: beacon, systems: [east] }\n",
    )
    .unwrap();
    let create = "envelope create next.envelope --from media/base --to next --overlay --describe next.yaml \
                  --vendor example --key vendor.key";
    world.run("principal", create).ends(0);
    world
        .run("principal", "envelope inspect next.envelope")
        .ends(0)
        .says("FLEET UM10003 on EAST with beacon");
    world.run("principal", "servmgr srvlvl add 720 two basedon one").ends(0);
    world.run("principal", "servmgr srvlvl service 720 two all next.envelope").ends(0);
    world.run("principal", "servmgr srvlvl package 720 two").ends(0);

    put("two", "vm01").ends(16).says("UM10003").says("VM02");
    assert_eq!(world.slot("vm01", "current"), None);
    put("one", "vm02").ends(0);
    world.run("principal", "servmgr system put2prod 720 vm01 --acknowledge ALL").ends(0);
    assert_eq!(world.slot("vm01", "current").as_deref(), Some("TWO.1"));
    world.run("principal", "servmgr system servcheck 720 vm01").ends(0);

    // A system that goes back breaks what was promised, and everyone sees it.
    put("two", "vm02").ends(0);
    world.run("principal", "servmgr system fallback 720 vm02").ends(0);
    world.run("principal", "servmgr system servcheck 720 vm01").ends(0);
    // With a reason it goes on, and says what was gone past.
    world.run("principal", "servmgr system delete 720 vm02").ends(0);
    world.run("principal", "servmgr group set 720 east vm01 vm03").ends(0);
    world.run("principal", "servmgr system servcheck 720 vm01").ends(4).says("UM10003 in production on VM03");
}
