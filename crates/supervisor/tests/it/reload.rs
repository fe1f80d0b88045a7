//! A new plan while everything runs.

use std::fs;

use tender_supervisor::console::{Reply, Request, State};
use tender_supervisor::plan::{LeftOut, Probe};

use crate::world::{Holding, World, component, readiness, wait_until};

fn reload(check: bool) -> Request {
    Request::Reload { check, wait: true }
}

fn start(world: &mut World) {
    for name in ["a", "b", "c"] {
        world.component(name, "exec sleep 1000");
    }
    world.start();
    world.wait_ready();
}

/// Writes the plan that the planner gives.
fn next_plan(world: &World, change: impl FnOnce(&mut tender_supervisor::plan::Plan)) {
    let mut plan = world.plan.clone();
    change(&mut plan);
    fs::write(world.path("next-plan"), serde_json::to_vec(&plan).unwrap()).unwrap();
}

fn pids(world: &World, names: &[&str]) -> Vec<i32> {
    names.iter().map(|name| world.pid(name)).collect()
}

fn changes(replies: &[Reply]) -> [String; 4] {
    let changes = replies.iter().find_map(|reply| match reply {
        Reply::Changes { added, removed, changed, unchanged } => {
            Some([added, removed, changed, unchanged].map(|names| names.join(" ")))
        }
        _ => None,
    });
    changes.unwrap()
}

#[test]
fn reload_restarts_what_changed_and_leaves_the_rest_its_processes() {
    let mut world = World::new(Holding::SubReaper);
    start(&mut world);
    let before = pids(&world, &["a", "b"]);
    let removed = world.pid("c");
    let dir = world.dir.path().to_owned();
    next_plan(&world, |plan| {
        plan.components.pop();
        plan.components[1] = component("b", "echo new; exec sleep 1000", &dir);
        plan.components.push(component("d", "exec sleep 1000", &dir));
        plan.components[1].requires = vec!["d".to_owned()];
    });
    let shown = changes(&world.ask_well(&reload(true)));
    assert_eq!(shown, ["d", "c", "b", "a"]);
    assert_eq!(pids(&world, &["a", "b"]), before);
    assert_eq!(changes(&world.ask_well(&reload(false))), shown);
    let after = pids(&world, &["a", "b"]);
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
    wait_until("the removed one is gone", || !crate::world::is_alive(removed));
    wait_until("status follows", || world.status().components.len() == 3);
    assert_eq!(world.lines("b"), ["new"]);
    assert_eq!(changes(&world.ask_well(&reload(false))), ["", "", "", "a b d"]);
    world.wait_said("ZWEL0091I planning everything");
}

#[test]
fn reload_whose_component_fails_says_which_with_its_last_output_and_the_old_plan_brings_it_back() {
    let mut world = World::new(Holding::SubReaper);
    start(&mut world);
    let before = pids(&world, &["a", "c"]);
    let dir = world.dir.path().to_owned();
    next_plan(&world, |plan| {
        plan.components[1] = component("b", "echo no such key; exit 2", &dir);
        plan.components[1].restart.intervals_ms = Vec::new();
        plan.components[1].readiness = readiness(Probe::Exec(vec!["/bin/false".to_owned()]));
    });
    let replies = world.ask(&reload(false));
    assert_eq!(replies.last(), Some(&Reply::Done { ok: false }));
    let text = format!("{replies:?}");
    assert!(text.contains("component b is FAILED") && text.contains("no such key"), "{text}");
    next_plan(&world, |_| {});
    world.ask_well(&reload(false));
    world.wait_ready();
    assert_eq!(pids(&world, &["a", "c"]), before);
}

#[test]
fn component_that_a_reload_had_to_kill_runs_with_its_new_plan() {
    let mut world = World::new(Holding::Cgroups);
    let stubborn = "trap '' TERM; echo on; while :; do sleep 1; done";
    world.component("stub", stubborn).stop.grace_ms = 100;
    world.start();
    world.wait_ready();
    let before = world.pid("stub");
    wait_until("stub ignores the signal", || !world.lines("stub").is_empty());
    next_plan(&world, |plan| plan.components[0].fingerprint.push('2'));
    let said = world.ask_well(&reload(false));
    let is_told = |reply: &Reply| matches!(reply, Reply::Message(told) if told.id == "ZWEL0063W");
    assert!(said.iter().any(is_told), "{said:?}");
    wait_until("the new process of stub says something", || world.lines("stub").len() == 2);
    let after = world.pid("stub");
    assert_ne!(after, before);
    assert!(crate::world::is_alive(after));
    assert_eq!(world.state("stub"), State::Ready);
}

#[test]
fn planner_that_fails_changes_nothing() {
    let mut world = World::new(Holding::SubReaper);
    start(&mut world);
    let before = pids(&world, &["a", "b", "c"]);
    next_plan(&world, |plan| plan.components.clear());
    fs::write(world.path("next-plan.fails"), "").unwrap();
    let text = format!("{:?}", world.ask(&reload(false)));
    assert!(text.contains("broken") && text.contains("exit 3") && text.contains("ok: false"), "{text}");
    fs::remove_file(world.path("next-plan.fails")).unwrap();
    fs::write(world.path("next-plan"), "{ no plan").unwrap();
    assert!(format!("{:?}", world.ask(&reload(false))).contains("makes no sense"));
    next_plan(&world, |plan| plan.components[0].requires = vec!["a".to_owned()]);
    assert!(format!("{:?}", world.ask(&reload(false))).contains("a → a"));
    next_plan(&world, |plan| plan.instance.id = "other".to_owned());
    assert!(format!("{:?}", world.ask(&reload(false))).contains("not this one"));
    let names = vec!["b".to_owned()];
    let restart = Request::Restart { components: names, reconfigure: true, wait: true };
    next_plan(&world, |plan| {
        plan.components.remove(1);
        plan.left_out.push(LeftOut {
            name: "b".to_owned(),
            phase: "configure".to_owned(),
            reason: "bad port".to_owned(),
            output: vec!["port -1".to_owned()],
        });
    });
    let text = format!("{:?}", world.ask(&restart));
    assert!(text.contains("bad port") && text.contains("port -1"), "{text}");
    // Left out by mistake, a component runs on.
    let text = format!("{:?}", world.ask(&reload(false)));
    assert!(text.contains("runs on as it was") && text.contains("ok: false"), "{text}");
    assert_eq!(pids(&world, &["a", "b", "c"]), before);
}

#[test]
fn restart_with_reconfigure_takes_the_new_plan_of_the_named_ones_alone() {
    let mut world = World::new(Holding::SubReaper);
    start(&mut world);
    let before = pids(&world, &["a", "b", "c"]);
    let dir = world.dir.path().to_owned();
    next_plan(&world, |plan| {
        for component_of in &mut plan.components {
            *component_of = component(&component_of.name.clone(), "echo new; exec sleep 1000", &dir);
        }
    });
    let restart = Request::Restart { components: vec!["b".to_owned()], reconfigure: true, wait: true };
    world.ask_well(&restart);
    let after = pids(&world, &["a", "b", "c"]);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    wait_until("it runs as the new plan has it", || world.lines("b") == ["new"]);
    assert_eq!(world.lines("a"), [""; 0]);
    world.wait_said("ZWEL0091I planning b");
}

#[test]
fn component_stopped_by_an_operator_stays_so_through_a_reload() {
    let mut world = World::new(Holding::SubReaper);
    start(&mut world);
    world.ask_well(&Request::Stop { components: vec!["b".to_owned()], wait: true });
    let dir = world.dir.path().to_owned();
    next_plan(&world, |plan| plan.components[1] = component("b", "echo new; exec sleep 1000", &dir));
    world.ask_well(&reload(false));
    assert_eq!(world.state("b"), State::Stopped);
    world.ask_well(&Request::Start { components: vec!["b".to_owned()], wait: true });
    wait_until("it runs as the new plan has it", || world.lines("b") == ["new"]);
}
