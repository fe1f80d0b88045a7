//! Start, stop, restart, and the races between them.

use tender_supervisor::console::{Reply, Request, State};

use crate::world::{Holding, World, is_alive, signal};

const BOTH: [Holding; 2] = [Holding::SubReaper, Holding::Cgroups];

#[test]
fn component_killed_is_started_again_and_told_of() {
    for holding in BOTH {
        let mut world = World::new(holding);
        world.component("a", "echo up; exec sleep 1000");
        world.component("b", "exec sleep 1000");
        world.start();
        world.wait_ready();
        let (a, b) = (world.pid("a"), world.pid("b"));
        signal(a, "KILL");
        world.wait_said(&format!("ZWEL0004I component a process {a} ended with signal KILL"));
        world.wait_ready();
        let status = world.component_status("a");
        assert_eq!((status.restarts, status.failures), (1, 1));
        assert_ne!(world.pid("a"), a);
        assert_eq!(world.pid("b"), b);
        assert_eq!(status.last_exit.as_deref(), Some("signal KILL"));
        assert_eq!(world.shut_down(), 0);
        assert!(!is_alive(b));
        assert_eq!(world.lines("a"), ["up", "up"]);
    }
}

#[test]
fn operator_forms_answer_with_the_known_ids() {
    let mut world = World::new(Holding::SubReaper);
    world.component("Redis", "exec sleep 1000");
    world.start();
    world.wait_ready();
    let ids = |line: &str| {
        let replies = world.operator(line);
        let ids: Vec<String> = replies
            .iter()
            .filter_map(|reply| match reply {
                Reply::Message(message) => Some(message.id.clone()),
                _ => None,
            })
            .collect();
        (ids.join(" "), replies.last() == Some(&Reply::Done { ok: true }))
    };
    let expect = |id: &str, ok| (format!("ZWEL0013I {id}").trim_end().to_owned(), ok);
    assert_eq!(ids("DISP"), expect("ZWEL0010I ZWEL0011I", true));
    assert_eq!(ids("START(redis)"), expect("ZWEL0039E", false));
    assert_eq!(ids(" stop ( redis ) "), expect("", true));
    assert_eq!(world.state("Redis"), State::Stopped);
    assert_eq!(ids("START(REDIS)"), expect("", true));
    assert_eq!(ids("START(other)"), expect("ZWEL0054W", false));
    assert_eq!(ids("START()"), expect("ZWEL0041E", false));
    assert_eq!(ids("STARTx(redis)"), expect("ZWEL0042E", false));
    world.wait_ready();
}

#[test]
fn stop_during_back_off_holds_and_start_comes_at_once() {
    let mut world = World::new(Holding::SubReaper);
    world.component("a", "echo run; exit 3").restart.intervals_ms = vec![3_600_000];
    world.start();
    world.wait_state("a", State::Backoff);
    let status = world.component_status("a");
    assert!(status.next_start_ms.unwrap() > 3_500_000);
    assert_eq!((status.last_exit.as_deref(), status.last_output), (Some("exit 3"), vec!["run".to_owned()]));
    world.ask_well(&Request::Stop { components: vec!["a".to_owned()], wait: true });
    assert_eq!(world.state("a"), State::Stopped);
    world.ask(&Request::Start { components: vec!["a".to_owned()], wait: true });
    assert_eq!(world.lines("a"), ["run", "run"]);
}
