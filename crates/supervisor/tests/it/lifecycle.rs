//! Start, stop, restart, and the races between them.

use std::os::unix::net::UnixDatagram;

use tender_supervisor::console::{Reply, Request, State};
use tender_supervisor::plan::{Restart, RestartMode};

use crate::world::{Holding, PATIENCE, World, is_alive, signal, wait_until};

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
    world.ask(&Request::Start { components: vec!["a".to_owned()], wait: false });
    wait_until("it has run again", || world.lines("a") == ["run", "run"]);
}

#[test]
fn two_back_offs_that_end_together_both_start() {
    let mut world = World::new(Holding::SubReaper);
    for name in ["a", "b", "c", "d"] {
        let restart = &mut world.component(name, "echo run; exit 1").restart;
        restart.intervals_ms = vec![300, 300];
    }
    world.start();
    for name in ["a", "b", "c", "d"] {
        world.wait_state(name, State::Failed);
        assert_eq!(world.lines(name).len(), 3, "{name}");
    }
    world.wait_said("ZWEL0038E component a is not started again after 3 failures");
}

#[test]
fn start_during_back_off_starts_now_and_is_not_stopped_by_the_old_timer() {
    let mut world = World::new(Holding::SubReaper);
    let flag = world.path("flag");
    let text = format!("[ -e {0} ] && exec sleep 1000; touch {0}; exit 1", flag.display());
    world.component("a", &text).restart.intervals_ms = vec![1500];
    world.component("clock", "exit 1").restart.intervals_ms = vec![3000];
    world.start();
    world.wait_state("a", State::Backoff);
    world.ask_well(&Request::Start { components: vec!["a".to_owned()], wait: true });
    let pid = world.pid("a");
    // The clock's back-off is longer and began no earlier: when it is over, so is that of `a`.
    wait_until("the clock fails a second time", || world.component_status("clock").failures == 2);
    assert_eq!((world.state("a"), world.pid("a")), (State::Ready, pid));
}

#[test]
fn component_that_exits_at_once_is_never_ready_and_what_requires_it_is_never_started() {
    let mut world = World::new(Holding::SubReaper);
    let restart = &mut world.component("a", "echo no configuration; exit 0").restart;
    (restart.intervals_ms, restart.settle_ms) = (vec![0, 0, 0], 60_000);
    world.component("b", "touch b-started; exec sleep 1000").requires = vec!["a".to_owned()];
    world.start();
    world.wait_state("a", State::Failed);
    let said = world.said();
    assert!(!said.contains("ZWEL0076I component a") && !said.contains("ZWEL0075I"), "{said}");
    assert!(!world.path("b-started").exists());
    let status = world.component_status("a");
    assert_eq!((status.restarts, status.failures, status.last_exit.as_deref()), (3, 4, Some("exit 0")));
    let replies = world.ask(&Request::AwaitReady { timeout_ms: 60_000 });
    assert_eq!(replies.last(), Some(&Reply::Done { ok: false }));
    assert!(!world.status().is_ready);
}

#[test]
fn component_without_a_probe_is_starting_until_it_has_settled() {
    let mut world = World::new(Holding::SubReaper);
    let flag = world.path("flag");
    let text = format!("while [ ! -e {} ]; do sleep 0.02; done; exit 1", flag.display());
    world.component("a", &text).restart = Restart { settle_ms: 3_600_000, ..Restart::default() };
    world.plan.components[0].restart.min_uptime_ms = u64::MAX;
    world.component("b", "exec sleep 1000").after = vec!["a".to_owned()];
    world.start();
    wait_until("a has started", || world.state("a") == State::Starting);
    assert_eq!(world.state("b"), State::Waiting);
    std::fs::write(&flag, "").unwrap();
    world.wait_state("a", State::Backoff);
    // The failure of what it only starts after does not matter.
    world.wait_state("b", State::Ready);
}

#[test]
fn fatal_exit_code_fails_at_once_and_a_start_begins_anew() {
    let mut world = World::new(Holding::SubReaper);
    world.component("a", "echo no such key; exit 78").restart.fatal_exit_codes = vec![78];
    world.start();
    world.wait_state("a", State::Failed);
    world.wait_said("ZWEL0080E");
    let replies = world.ask(&Request::AwaitReady { timeout_ms: 60_000 });
    assert_eq!(replies.last(), Some(&Reply::Done { ok: false }));
    let has_output = |reply: &Reply| matches!(reply, Reply::Line { text, .. } if text == "no such key");
    assert!(replies.iter().any(has_output), "{replies:?}");
    world.ask(&Request::Start { components: vec!["a".to_owned()], wait: false });
    wait_until("it has run again", || world.lines("a").len() == 2);
}

#[test]
fn component_that_is_done_is_stopped_and_does_not_keep_the_instance_from_being_ready() {
    let mut world = World::new(Holding::SubReaper);
    world.component("once", "echo done").restart.mode = RestartMode::OnFailure;
    world.component("later", "exec sleep 1000").requires = vec!["once".to_owned()];
    world.start();
    world.wait_ready();
    assert_eq!(world.state("once"), State::Stopped);
    world.wait_said("ZWEL0075I instance ha1 is ready");
    assert_eq!(world.said().matches("ZWEL0075I").count(), 1);
}

#[test]
fn program_that_is_not_there_is_told_with_its_path() {
    let mut world = World::new(Holding::SubReaper);
    world.component("a", "").command = vec!["/no/such/program".to_owned()];
    world.component("b", "").command = vec!["no-such-program".to_owned()];
    world.component("c", "sleep 1000").working_directory = "/no/where".into();
    world.start();
    for (name, what) in [("a", "/no/such/program"), ("b", "no-such-program"), ("c", "/no/where")] {
        world.wait_state(name, State::Failed);
        let reason = world.component_status(name).reason.unwrap();
        assert!(reason.contains(what), "{reason}");
    }
}

#[test]
fn supervisor_stops_at_a_signal_and_restarts_nothing() {
    let mut world = World::new(Holding::SubReaper);
    world.component("a", "exec sleep 1000");
    world.start();
    world.wait_ready();
    let pid = world.pid("a");
    signal(world.supervisor_pid(), "TERM");
    assert_eq!(world.wait_end(), 0);
    assert!(!is_alive(pid) && !world.console().exists());
    world.wait_said("ZWEL0009I");
}

#[test]
fn plan_with_something_wrong_is_refused_before_anything_starts() {
    let mut world = World::new(Holding::SubReaper);
    world.component("a", "touch started").requires = vec!["b".to_owned()];
    world.component("b", "sleep 1000").after = vec!["a".to_owned()];
    assert!(world.start_refused().contains("a → b → a"));
    world.plan.components.pop();
    world.plan.components[0].stop.signal = "SOON".to_owned();
    assert!(world.start_refused().contains("SOON"));
    assert!(!world.path("started").exists());
}

#[test]
fn second_supervisor_of_an_instance_is_refused_and_names_the_first() {
    let mut world = World::new(Holding::SubReaper);
    world.component("a", "exec sleep 1000");
    world.start();
    world.wait_ready();
    let refusal = world.start_refused();
    assert!(refusal.contains(&format!("run by process {}", world.supervisor_pid())), "{refusal}");
    world.wait_ready();
}

#[test]
fn supervisor_started_by_systemd_tells_when_it_is_ready_and_when_it_stops() {
    let mut world = World::new(Holding::SubReaper);
    world.component("a", "exec sleep 1000");
    let socket = UnixDatagram::bind(world.path("systemd")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = world.command();
    command.env("NOTIFY_SOCKET", world.path("systemd"));
    world.start_with(command);
    let mut buffer = [0; 200];
    let length = socket.recv(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"READY=1"));
    world.shut_down();
    let length = socket.recv(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"STOPPING=1"));
}
