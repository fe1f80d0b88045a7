//! Kill -9 at every journalled step: a rerun ends right, and nothing half-done was ever visible in a slot.

use std::collections::BTreeSet;

use crate::world::{World, wait_until};

const SERVER: &str = "ledger/lib/server.py";

/// What the ledger's server looks like in each level; a slot must show one of them or nothing.
fn is_whole(world: &World, slot: &str) -> bool {
    let texts = ["media/base", "media/rsu0801", "media/rsu0802"]
        .map(|tree| std::fs::read_to_string(world.path(tree).join(SERVER)).unwrap());
    world.slot_text("vm01", slot, SERVER).is_none_or(|text| texts.contains(&text))
}

#[track_caller]
fn assert_slots_whole(world: &World, at: &str) {
    for slot in ["test", "current", "previous"] {
        assert!(is_whole(world, slot), "slot {slot} is half-done after a kill at {at}");
    }
}

fn points(of: &str) -> Vec<&'static str> {
    tender_service::fault::POINTS.iter().copied().filter(|point| point.starts_with(of)).collect()
}

#[test]
fn principal_killed_at_every_step_of_send_resumes() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    let send = "servmgr srvlvl send 720 one vm01 '(test'";
    for point in points("send.") {
        world.run_until(point, "principal", send).was_killed();
        assert_slots_whole(&world, point);
        world.run("principal", send).ends(0);
        assert_eq!(world.slot("vm01", "test").as_deref(), Some("ONE.1"), "after a kill at {point}");
    }
}

/// Makes, tests and promotes a level on top of the last one, and loads it as stable.
fn load_next_level(world: &World, number: usize) -> String {
    let level = format!("L{number}");
    let last = if number == 0 { "one".to_owned() } else { format!("L{}", number - 1) };
    for line in [
        format!("servmgr srvlvl add 720 {level} basedon {last}"),
        format!(
            "servmgr srvlvl localmod 720 {level} beacon --add note{number}.txt --from media/README.md --reason test"
        ),
        format!("servmgr srvlvl package 720 {level}"),
        format!("servmgr srvlvl send 720 {level} vm01 '(test'"),
        format!("servmgr srvlvl send 720 {level} vm01 '(stable'"),
    ] {
        world.run("principal", &line).ends(0);
    }
    format!("{level}.1")
}

#[test]
fn principal_killed_at_every_step_of_put2prod_and_fallback_resumes() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    load_next_level(&world, 0);
    let (put2prod, fallback) = ("servmgr system put2prod 720 vm01", "servmgr system fallback 720 vm01");
    world.run("principal", put2prod).ends(0);
    let mut numbers = 1..;
    for point in points("put2prod.") {
        let number = numbers.next().expect("numbers do not end");
        let level = load_next_level(&world, number);
        world.run_until(point, "principal", put2prod).was_killed();
        assert_slots_whole(&world, point);
        let again = world.run("principal", put2prod);
        assert_eq!(world.slot("vm01", "current"), Some(level), "after a kill at {point}: {}", again.text);
    }
    for point in points("fallback.") {
        let number = numbers.next().expect("numbers do not end");
        let before = world.slot("vm01", "current");
        load_next_level(&world, number);
        world.run("principal", put2prod).ends(0);
        world.run_until(point, "principal", fallback).was_killed();
        assert_slots_whole(&world, point);
        let again = world.run("principal", fallback);
        assert_eq!(world.slot("vm01", "current"), before, "after a kill at {point}: {}", again.text);
    }
}

/// Kills the executor of vm01 at `point` while the principal runs `line`, then lets it go on.
fn kill_executor(world: &mut World, point: &str, line: &str) {
    world.kill_agent("vm01");
    world.start_agent("vm01", &[("TENDER_FAULT", point)]);
    let mut asked = world.command("principal", line).stdout(std::process::Stdio::null()).spawn().unwrap();
    // The receiver starts another executor when one was killed; two different ones mean that the first is dead.
    let mut executors = BTreeSet::new();
    wait_until(&format!("the kill at {point}"), || {
        executors.extend(world.children_of_agent("vm01"));
        executors.len() > 1
    });
    assert_slots_whole(world, point);
    world.kill_agent("vm01");
    world.start_agent("vm01", &[]);
    if asked.wait().unwrap().code() != Some(0) {
        world.run("principal", line).ends(0);
    }
}

#[test]
fn managed_system_killed_while_it_works_goes_on_after_its_restart() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    for (number, point) in ["load.apply", "load.materialise.done", "load.slot.done"].iter().enumerate() {
        // Another generation each time, so that there is something to load.
        let note = format!("note{number}.txt");
        let localmod = format!(
            "servmgr srvlvl localmod 720 one beacon --add {note} --from media/README.md --reason test"
        );
        world.run("principal", &localmod).ends(0);
        world.run("principal", "servmgr srvlvl package 720 one").ends(0);
        kill_executor(&mut world, point, "servmgr srvlvl send 720 one vm01 '(test'");
        let part = format!("beacon/{note}");
        assert!(world.slot_text("vm01", "test", &part).is_some(), "after a kill at {point}");
    }
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(stable'").ends(0);
    kill_executor(&mut world, "put2prod.switch.done", "servmgr system put2prod 720 vm01");
    let production = world.slot("vm01", "current");
    assert!(production.as_deref().is_some_and(|level| level.starts_with("ONE.")), "{production:?}");
    world.run("principal", "servmgr srvlvl add 720 two basedon one").ends(0);
    world.run("principal", "servmgr srvlvl service 720 two all rsu0802.envelope").ends(0);
    world.run("principal", "servmgr srvlvl package 720 two").ends(0);
    world.run("principal", "servmgr srvlvl send 720 two vm01 '(test'").ends(0);
    world.run("principal", "servmgr srvlvl send 720 two vm01 '(stable'").ends(0);
    world.run("principal", "servmgr system put2prod 720 vm01 --acknowledge ALL").ends(0);
    kill_executor(&mut world, "fallback.switch.done", "servmgr system fallback 720 vm01");
    assert_eq!(world.slot("vm01", "current"), production);
    assert_eq!(world.slot("vm01", "previous").as_deref(), Some("TWO.1"));
}

#[test]
fn principal_killed_while_it_renews_its_certificate_has_revoked_it_all_the_same() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    let send = "servmgr srvlvl send 720 one vm01 '(test'";
    for (number, point) in points("renew.").into_iter().enumerate() {
        let thief = format!("thief{number}");
        crate::world::copy(&world.path("principal"), &world.path(&thief));
        world.run(&thief, send).ends(0);
        world.run_until(point, "principal", "servmgr principal renew --reason stolen").was_killed();
        // What comes next tells the system; nothing has to be done again.
        world.run("principal", send).ends(0);
        world.run(&thief, send).ends(32).says("refused");
    }
    world.run("principal", "servmgr principal renew --reason 'to be sure'").ends(0);
    world.run("principal", send).ends(0);
}
