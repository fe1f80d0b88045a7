//! Who starts after whom, who stops before whom.

use tender_supervisor::console::{Reply, Request, State};
use tender_supervisor::plan::Probe;

use crate::world::{Holding, World, readiness, signal, wait_until};

/// Returns the order in which components came to a state, as the supervisor tells.
fn order_of(world: &World, id: &str) -> Vec<String> {
    let lines: Vec<String> = world.said().lines().map(str::to_owned).collect();
    let told = lines.iter().filter_map(|line| line.strip_prefix(&format!("{id} component ")));
    told.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
}

fn chain(world: &mut World) {
    world.component("c", "exec sleep 1000").requires = vec!["b".to_owned()];
    world.component("b", "exec sleep 1000").requires = vec!["a".to_owned()];
    world.component("a", "exec sleep 1000");
    world.component("free", "exec sleep 1000");
}

#[test]
fn components_start_after_what_they_require_and_stop_before_it() {
    let mut world = World::new(Holding::SubReaper);
    chain(&mut world);
    world.start();
    world.wait_ready();
    let only_chain = |mut names: Vec<String>| {
        names.retain(|name| name != "free");
        names.concat()
    };
    assert_eq!(only_chain(order_of(&world, "ZWEL0076I")), "abc");
    world.shut_down();
    assert_eq!(only_chain(order_of(&world, "ZWEL0002I")), "cba");
}

#[test]
fn stop_of_a_component_stops_what_requires_it_and_start_brings_along_what_it_requires() {
    let mut world = World::new(Holding::SubReaper);
    chain(&mut world);
    world.start();
    world.wait_ready();
    let free = world.pid("free");
    world.ask_well(&Request::Stop { components: vec!["a".to_owned()], wait: true });
    for name in ["a", "b", "c"] {
        assert_eq!(world.state(name), State::Stopped, "{name}");
    }
    world.ask_well(&Request::Start { components: vec!["b".to_owned()], wait: true });
    assert_eq!(
        [world.state("a"), world.state("b"), world.state("c")],
        [State::Ready, State::Ready, State::Stopped]
    );
    assert_eq!(world.pid("free"), free);
}

#[test]
fn restart_of_several_stops_and_starts_them_in_order_and_leaves_others_alone() {
    let mut world = World::new(Holding::SubReaper);
    chain(&mut world);
    world.start();
    world.wait_ready();
    let before: Vec<i32> = ["a", "b", "c", "free"].map(|name| world.pid(name)).to_vec();
    let names = ["a", "b"].map(str::to_owned).to_vec();
    world.ask_well(&Request::Restart { components: names, reconfigure: false, wait: true });
    let after: Vec<i32> = ["a", "b", "c", "free"].map(|name| world.pid(name)).to_vec();
    assert!(before[0] != after[0] && before[1] != after[1], "{before:?} {after:?}");
    assert_eq!(before[2..], after[2..]);
    assert_eq!(order_of(&world, "ZWEL0002I"), ["b", "a"]);
    assert_eq!(order_of(&world, "ZWEL0076I")[4..], ["a", "b"]);
}

#[test]
fn dependent_waits_through_a_restart_of_what_it_requires() {
    let mut world = World::new(Holding::SubReaper);
    let flag = world.path("flag");
    let text = format!("[ -e {0} ] && exec sleep 1000; exit 1", flag.display());
    let component = world.component("a", &format!("sleep 0.01; {text}"));
    component.restart.intervals_ms = vec![30; 10_000];
    component.readiness = readiness(Probe::Exec(["/usr/bin/test", "-e", "flag"].map(str::to_owned).to_vec()));
    world.component("b", "exec sleep 1000").requires = vec!["a".to_owned()];
    world.start();
    wait_until("a has failed a few times", || world.component_status("a").restarts > 3);
    assert_eq!(world.state("b"), State::Waiting);
    assert!(world.component_status("b").reason.unwrap().contains("requires a"));
    std::fs::write(&flag, "").unwrap();
    world.wait_state("b", State::Ready);
    // A crash of what it requires does not touch one that runs.
    let b = world.pid("b");
    signal(world.pid("a"), "KILL");
    world.wait_said("ended with signal KILL");
    world.wait_state("a", State::Ready);
    assert_eq!((world.state("b"), world.pid("b")), (State::Ready, b));
}

#[test]
fn component_that_requires_what_fails_or_is_left_out_says_so() {
    let mut world = World::new(Holding::SubReaper);
    let component = world.component("a", "sleep 0.01; exit 1");
    component.restart.intervals_ms = Vec::new();
    component.readiness = readiness(Probe::Exec(vec!["/bin/false".to_owned()]));
    world.component("b", "exec sleep 1000").requires = vec!["a".to_owned()];
    world.component("c", "exec sleep 1000").requires = vec!["gone".to_owned()];
    world.component("d", "exec sleep 1000").after = vec!["a".to_owned(), "gone".to_owned()];
    world.plan.left_out.push(tender_supervisor::plan::LeftOut {
        name: "gone".to_owned(),
        phase: "validate".to_owned(),
        reason: "its port is taken".to_owned(),
        output: Vec::new(),
    });
    world.start();
    world.wait_state("a", State::Failed);
    world.wait_state("d", State::Ready);
    world.wait_state("c", State::Failed);
    assert_eq!(world.state("b"), State::Waiting);
    assert!(world.component_status("b").reason.unwrap().contains("requires a, which is FAILED"));
    assert!(world.component_status("c").reason.unwrap().contains("its port is taken"));
    let replies = world.ask(&Request::Start { components: vec!["b".to_owned()], wait: true });
    assert_eq!(replies.last(), Some(&Reply::Done { ok: false }));
    assert_eq!(world.status().left_out.len(), 1);
    assert_eq!(world.shut_down(), 0);
}
