//! Whole trees: followed, contained, stopped.

use std::fs;

use tender_supervisor::console::{Request, State};

use crate::world::{Holding, World, is_alive, signal, wait_until};

const BOTH: [Holding; 2] = [Holding::SubReaper, Holding::Cgroups];

fn read_pid(world: &World, name: &str) -> i32 {
    let path = world.path(name);
    wait_until("a pid is written", || fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n')));
    fs::read_to_string(&path).unwrap().trim().parse().unwrap()
}

#[test]
fn start_script_that_backgrounds_its_server_is_followed() {
    for holding in BOTH {
        let mut world = World::new(holding);
        world.component("a", "sleep 1000 & echo $! > server; exit 0");
        world.start();
        let server = read_pid(&world, "server");
        wait_until("the server is followed", || world.pid("a") == server);
        world.wait_ready();
        let status = world.component_status("a");
        assert_eq!((status.state, status.restarts), (State::Ready, 0));
        fs::remove_file(world.path("server")).unwrap();
        signal(server, "KILL");
        world.wait_said(&format!("process {server} ended with signal KILL"));
        let next = read_pid(&world, "server");
        wait_until("the next is followed", || world.pid("a") == next);
        assert_eq!(world.component_status("a").restarts, 1);
        assert_eq!(world.shut_down(), 0);
        assert!(!is_alive(next));
    }
}

#[test]
fn daemon_that_forks_away_is_followed_and_stopped() {
    for holding in BOTH {
        let mut world = World::new(holding);
        let text =
            "(setsid sh -c 'setsid sh -c \"echo \\$\\$ > daemon; exec sleep 1000\" & exit 0' &) ; exit 0";
        world.component("a", text);
        world.start();
        let daemon = read_pid(&world, "daemon");
        wait_until("the daemon is followed", || world.pid("a") == daemon);
        world.ask_well(&Request::Stop { components: vec!["a".to_owned()], wait: true });
        assert!(!is_alive(daemon), "{holding:?}");
        assert_eq!(world.state("a"), State::Stopped);
    }
}

#[test]
fn tree_of_a_component_that_crashes_is_cleared_away_before_it_starts_again() {
    for holding in BOTH {
        let mut world = World::new(holding);
        let text = "setsid sh -c 'trap \"\" TERM; echo $$ > child; while :; do sleep 1; done' & \
                    while [ ! -s child ]; do sleep 0.01; done; exec sleep 1000";
        world.component("a", text).stop.grace_ms = 200;
        world.start();
        world.wait_ready();
        let child = read_pid(&world, "child");
        fs::remove_file(world.path("child")).unwrap();
        signal(world.pid("a"), "KILL");
        let next = read_pid(&world, "child");
        assert!(!is_alive(child), "{holding:?}");
        assert_ne!(child, next);
        // What ignores the signal is killed with the rest.
        assert_eq!(world.shut_down(), 4);
        assert!(!is_alive(next));
    }
}

#[test]
fn component_that_ignores_the_signal_is_killed_and_told_of() {
    for holding in BOTH {
        let mut world = World::new(holding);
        let text = "trap '' TERM; echo up; while :; do sleep 0.1; done";
        world.component("stubborn", text).stop.grace_ms = 300;
        world.start();
        wait_until("it is up", || !world.lines("stubborn").is_empty());
        let pid = world.pid("stubborn");
        assert_eq!(world.shut_down(), 4);
        assert!(!is_alive(pid));
        let said = world.said();
        assert!(said.contains("ZWEL0063W component stubborn") && said.contains("ZWEL0053W"), "{said}");
    }
}

#[test]
fn second_signal_stops_without_grace_time() {
    let mut world = World::new(Holding::SubReaper);
    world.component("a", "trap '' TERM; echo up; while :; do sleep 0.1; done").stop.grace_ms = 3_600_000;
    world.component("b", "trap '' TERM; echo up; while :; do sleep 0.1; done").stop.grace_ms = 3_600_000;
    world.plan.components[1].requires = vec!["a".to_owned()];
    world.start();
    wait_until("it is up", || !world.lines("b").is_empty());
    signal(world.supervisor_pid(), "TERM");
    world.wait_said("ZWEL0008I");
    signal(world.supervisor_pid(), "TERM");
    assert_eq!(world.wait_end(), 4);
}

#[test]
fn process_that_is_halted_is_stopped_all_the_same() {
    let mut world = World::new(Holding::SubReaper);
    world.component("a", "exec sleep 1000").stop.grace_ms = 60_000;
    world.start();
    world.wait_ready();
    signal(world.pid("a"), "STOP");
    assert_eq!(world.shut_down(), 0);
}

#[test]
fn pre_stop_program_runs_before_the_signal() {
    let mut world = World::new(Holding::SubReaper);
    let stop =
        &mut world.component("a", "trap 'echo signal; exit 0' TERM; while :; do sleep 0.05; done").stop;
    let text = "echo \"$NAME $MAINPID\" > pre-stop; sleep 0.2";
    stop.pre_stop = Some(["/bin/sh", "-c", text].map(str::to_owned).to_vec());
    world.start();
    world.wait_ready();
    let pid = world.pid("a");
    assert_eq!(world.shut_down(), 0);
    assert_eq!(fs::read_to_string(world.path("pre-stop")).unwrap(), format!("a {pid}\n"));
    assert!(world.lines("a").contains(&"signal".to_owned()));
    let mut world = World::new(Holding::SubReaper);
    let stop = &mut world.component("a", "exec sleep 1000").stop;
    stop.pre_stop = Some(["/bin/sh", "-c", "sleep 1000 & wait"].map(str::to_owned).to_vec());
    stop.grace_ms = 300;
    world.start();
    world.wait_ready();
    assert_eq!(world.shut_down(), 4);
}

#[test]
fn component_inherits_nothing_but_its_plan() {
    let mut world = World::new(Holding::SubReaper);
    let text = "env | sort | cut -d= -f1 | tr '\\n' ' '; echo; i=0; while [ $i -lt 64 ]; do [ -e /proc/$$/fd/$i ] && printf \"$i \"; i=$((i+1)); done; echo; \
                grep -E '^Sig(Blk|Ign)' /proc/self/status; umask; cut -d' ' -f6 /proc/$$/stat; echo $$; \
                readlink /proc/$$/fd/0; exec sleep 1000";
    world.component("a", text);
    let mut command = world.command();
    command.env("SECRET_OF_THE_CALLER", "x");
    world.start_with(command);
    wait_until("it has said all", || world.lines("a").len() == 8);
    let lines = world.lines("a");
    assert_eq!(lines[0], "NAME PATH PWD TENDER_COMPONENT ");
    assert_eq!(lines[1], "0 1 2 ");
    assert!(
        lines[2].ends_with("\t0000000000000000") && lines[3].ends_with("\t0000000000000000"),
        "{lines:?}"
    );
    assert_eq!(lines[4], "0027");
    assert_eq!(lines[5], lines[6]);
    assert_eq!(lines[7], "/dev/null");
}

#[test]
fn components_that_share_most_of_their_environments_get_each_their_own() {
    let mut world = World::new(Holding::SubReaper);
    for name in ["a", "b", "c"] {
        let component = world.component(name, "echo $NAME $ALIKE $HALF; exec sleep 1000");
        component.environment.0.insert("ALIKE".to_owned(), "alike".to_owned());
        if name != "c" {
            component.environment.0.insert("HALF".to_owned(), "half".to_owned());
        }
    }
    world.start();
    for (name, line) in [("a", "a alike half"), ("b", "b alike half"), ("c", "c alike")] {
        wait_until("it has said all", || world.lines(name).len() == 1);
        assert_eq!(world.lines(name), [line]);
    }
    // Nothing is alike for one that is planned by itself.
    let plan = serde_json::to_vec(&world.plan).unwrap();
    fs::write(world.path("next-plan"), plan).unwrap();
    let restart = Request::Restart { components: vec!["b".to_owned()], reconfigure: true, wait: true };
    world.ask_well(&restart);
    wait_until("it has said all again", || world.lines("b") == ["b alike half", "b alike half"]);
}

#[test]
fn limits_without_controllers_are_told_and_not_replaced_by_others() {
    let mut world = World::new(Holding::Cgroups);
    // A server of this kind reserves many times as much as it uses.
    world.component("node", "exec python3 -c 'import mmap, time; mmap.mmap(-1, 1 << 30); print(\"up\", flush=True); time.sleep(1000)'")
        .limits
        .memory_bytes = Some(64 << 20);
    let limits = &mut world.component("a", "ulimit -n; ulimit -v; exec sleep 1000").limits;
    (limits.files, limits.memory_bytes, limits.cpu_percent) = (Some(123), Some(64 << 20), Some(50));
    world.start();
    wait_until("it has said all", || world.lines("a").len() == 2);
    assert_eq!(world.lines("a"), ["123", "unlimited"]);
    world.wait_said("ZWEL0084W component a: its limits of memory, cpu are not enforced");
    let status = world.component_status("a");
    assert_eq!(status.conditions.len(), 1, "{status:?}");
    assert_eq!(status.conditions[0].id, "ZWEL0084W");
    assert!(status.conditions[0].text.contains("Delegate=yes") && status.reason.is_some(), "{status:?}");
    wait_until("it runs far below its limit", || world.lines("node") == ["up"]);
    assert_eq!(world.component_status("node").restarts, 0);
    assert_eq!(world.said().matches("ZWEL0084W").count(), 2);
}

#[test]
fn status_tells_processor_time_memory_and_ports_of_the_whole_tree() {
    for holding in BOTH {
        let mut world = World::new(holding);
        let text = "exec python3 -c \"
import socket, subprocess, time
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
t = time.process_time()
while time.process_time() - t < 0.2: pass
print(s.getsockname()[1], flush=True)
time.sleep(1000)\" & wait";
        world.component("a", text);
        world.start();
        wait_until("it has said its port", || world.lines("a").len() == 1);
        let status = world.component_status("a");
        assert_eq!(status.ports, [world.lines("a")[0].parse::<u16>().unwrap()]);
        assert!(status.cpu_ms.unwrap() >= 200, "{status:?}");
        assert!(status.memory_bytes.unwrap() > 1 << 20);
        assert_eq!(status.job_name, "A");
        let status = world.status();
        assert_eq!((status.id.as_str(), status.version.as_deref()), ("ha1", Some("1.2.3")));
        assert_eq!(status.containment.starts_with("cgroup2"), holding == Holding::Cgroups);
    }
}
