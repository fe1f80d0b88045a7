//! Kill -9 at every journalled step: a rerun ends right, and nothing half-done was ever visible in a slot.

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
fn service_killed_at_every_step_ends_right_after_restart() {
    let points = points("service.");
    assert!(points.len() >= 4, "{points:?}");
    let expected = World::with_level_one().json("principal", "servmgr srvlvl query 720 one")["data"].clone();
    for point in points {
        let world = World::new();
        world.run("principal", "envelope key vendor.key").ends(0);
        let create = "envelope create rsu0801.envelope --from media/base --to media/rsu0801 --overlay \
                      --describe media/rsu0801.yaml --key vendor.key";
        world.run("principal", create).ends(0);
        world.run("principal", "servmgr initialize 720 --from media/base").ends(0);
        world.run("principal", "servmgr vendor set example --key vendor.key.pub").ends(0);
        world.run("principal", "servmgr srvlvl add 720 one basedon BASE nonesm desc First").ends(0);
        let service = "servmgr srvlvl service 720 one all rsu0801.envelope";
        world.run_until(point, "principal", service).was_killed();
        let again = world.run("principal", service);
        if again.code != Some(0) {
            world.run("principal", "servmgr srvlvl service 720 one restart").ends(0);
        }
        let got = world.json("principal", "servmgr srvlvl query 720 one")["data"].clone();
        assert_eq!(content(&got), content(&expected), "after a kill at {point}");
        world.run("principal", "servmgr srvlvl package 720 one").ends(0);
    }
}

/// Finds the content digest in what SRVLVL QUERY answers.
fn content(data: &serde_json::Value) -> String {
    fn find(value: &serde_json::Value) -> Option<String> {
        match value {
            serde_json::Value::Object(fields) => fields
                .get("content")
                .and_then(|content| content.as_str().map(str::to_owned))
                .or_else(|| fields.values().find_map(find)),
            serde_json::Value::Array(items) => items.iter().find_map(find),
            _ => None,
        }
    }
    find(data).unwrap_or_else(|| panic!("no content digest in {data}"))
}

#[test]
fn package_killed_at_every_step_is_whole_after_rerun() {
    for point in points("package.") {
        let mut world = World::with_level_one();
        let localmod = "servmgr srvlvl localmod 720 one beacon --id L0001 --add etc/note.txt --from media/README.md --reason test";
        world.run("principal", localmod).ends(0);
        world.run_until(point, "principal", "servmgr srvlvl package 720 one").was_killed();
        world.run("principal", "servmgr srvlvl package 720 one").ends(0);
        world.add_system("vm01");
        world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'").ends(0);
        let note = world.slot_text("vm01", "test", "beacon/etc/note.txt");
        assert!(note.is_some(), "after a kill at {point}");
    }
}

#[test]
fn principal_killed_at_every_step_of_send_and_production_resumes() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    for point in points("send.") {
        world.run_until(point, "principal", "servmgr srvlvl send 720 one vm01 '(test'").was_killed();
        assert_slots_whole(&world, point);
        world.run("principal", "servmgr srvlvl send 720 one vm01 '(test'").ends(0);
        assert_eq!(world.slot("vm01", "test").as_deref(), Some("ONE.1"), "after a kill at {point}");
    }
    for point in points("promote.") {
        if world.json("principal", "servmgr srvlvl query 720 one").to_string().contains("STABLE") {
            break;
        }
        world.run_until(point, "principal", "servmgr srvlvl promote 720 one").was_killed();
    }
    world.run("principal", "servmgr srvlvl send 720 one vm01 '(stable'").ends(0);
    for point in points("put2prod.") {
        world.run_until(point, "principal", "servmgr system put2prod 720 vm01").was_killed();
        assert_slots_whole(&world, point);
        let again = world.run("principal", "servmgr system put2prod 720 vm01");
        assert_eq!(world.slot("vm01", "current").as_deref(), Some("ONE.1"), "after {point}: {}", again.text);
        // The next round puts it in production again.
        world.run("principal", "servmgr srvlvl send 720 one vm01 '(stable'");
    }
}

/// Kills the executor of vm01 at `point` while the principal runs `line`, then lets it go on.
fn kill_executor(world: &mut World, point: &str, line: &str) {
    world.kill_agent("vm01");
    world.start_agent("vm01", &[("TENDER_FAULT", point)]);
    let mut asked = world.command("principal", line).spawn().unwrap();
    let log = world.path("vm01/system/logs/executor.log");
    let killed = || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("ended by a signal"));
    wait_until(&format!("the kill at {point}"), killed);
    assert_slots_whole(world, point);
    std::fs::write(&log, "").unwrap();
    world.kill_agent("vm01");
    world.start_agent("vm01", &[]);
    let code = asked.wait().unwrap().code();
    if code != Some(0) {
        world.run("principal", line).ends(0);
    }
}

fn agent_points(verb: &str) -> Vec<String> {
    let is_forward = |point: &String| point.starts_with(&format!("{verb}.")) && !point.contains("undo.");
    tender_agent::fault::points().into_iter().filter(is_forward).collect()
}

#[test]
fn executor_killed_at_every_step_of_load_goes_on() {
    let mut world = World::with_level_one();
    world.add_system("vm01");
    let send = "servmgr srvlvl send 720 one vm01 '(test' --force again";
    for point in agent_points("load").into_iter().filter(|point| !point.contains("base")) {
        kill_executor(&mut world, &point, send);
        assert_eq!(world.slot("vm01", "test").as_deref(), Some("ONE.1"), "after a kill at {point}");
    }
}
