//! Readiness and health.

use std::fs;
use std::net::TcpListener;

use tender_supervisor::console::{Reply, Request, State};
use tender_supervisor::plan::{Health, Probe};

use crate::world::{Holding, PATIENCE, World, readiness, wait_until};

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn server(world: &World, port: u16, after: &str) -> String {
    let flag = world.path("go");
    format!("while [ ! -e {} ]; do sleep 0.02; done; exec python3 -u -c \"{after}\" {port}", flag.display())
}

const HTTP: &str = "
import http.server, os, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if os.path.exists('sick') else 200); self.end_headers()
    def log_message(self, *a): pass
http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()";

#[test]
fn component_is_ready_when_its_probe_is_answered_and_not_before() {
    let socket = "import socket, sys, time; s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(); time.sleep(1000)";
    let notify = "import os, socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); \
                  s.connect(os.environ['NOTIFY_SOCKET']); s.send(b'STATUS=warm\\\\nREADY=1'); time.sleep(1000)";
    let print = "import time; print('server is up in 3 ms'); time.sleep(1000)";
    let touch = "import time; open('up', 'w'); time.sleep(1000)";
    let mut world = World::new(Holding::SubReaper);
    let (tcp, http) = (free_port(), free_port());
    let cases = [
        ("tcp", socket, Probe::Tcp(format!("localhost:{tcp}")), tcp),
        ("http", HTTP, Probe::Http(format!("http://127.0.0.1:{http}/health")), http),
        ("log", print, Probe::Log("up in [0-9]+ ms$".to_owned()), 0),
        ("notify", notify, Probe::Notify, 0),
        ("exec", touch, Probe::Exec(["/bin/sh", "-c", "[ -e up ]"].map(str::to_owned).to_vec()), 0),
    ];
    for (name, text, probe, port) in &cases {
        let text = server(&world, *port, text);
        world.component(name, &text).readiness = readiness(probe.clone());
    }
    world.start();
    for (name, ..) in &cases {
        wait_until("it has started", || world.state(name) == State::Starting);
    }
    let replies = world.ask(&Request::AwaitReady { timeout_ms: 300 });
    assert_eq!(replies.last(), Some(&Reply::Done { ok: false }));
    assert!(!world.said().contains("ZWEL0075I"));
    fs::write(world.path("go"), "").unwrap();
    world.wait_ready();
    world.wait_said("ZWEL0075I instance ha1 is ready");
    assert_eq!(world.component_status("notify").reason.as_deref(), Some("warm"));
}

#[test]
fn component_slow_to_become_ready_is_waited_for_with_all_that_require_it() {
    let mut world = World::new(Holding::SubReaper);
    let component = world.component("slow", "sleep 3; touch up; exec sleep 1000");
    let probe = ["/usr/bin/test", "-e", "up"].map(str::to_owned).to_vec();
    component.readiness = readiness(Probe::Exec(probe));
    // Much shorter than it needs: neither is a limit for one that has a probe.
    (component.restart.settle_ms, component.restart.min_uptime_ms) = (10, 20);
    world.component("b", "exec sleep 1000").requires = vec!["slow".to_owned()];
    world.start();
    let slow = || world.component_status("slow");
    wait_until("it was asked in vain", || slow().reason.is_some_and(|reason| reason.contains("exit 1")));
    let pid = world.pid("slow");
    assert_eq!((slow().state, world.state("b")), (State::Starting, State::Waiting));
    world.wait_ready();
    assert_eq!((slow().restarts, slow().failures, world.pid("slow")), (0, 0, pid));
    let said = world.said();
    let at = |text: &str| said.find(text).unwrap();
    assert!(at("ZWEL0076I component slow") < at("ZWEL0001I component b"), "{said}");
}

#[test]
fn component_not_ready_in_time_fails_with_the_probes_last_answer() {
    let mut world = World::new(Holding::SubReaper);
    let port = free_port();
    let component = world.component("a", "echo waiting; exec sleep 1000");
    component.readiness = readiness(Probe::Tcp(format!("127.0.0.1:{port}")));
    component.readiness.as_mut().unwrap().deadline_ms = 200;
    component.restart.intervals_ms = Vec::new();
    world.start();
    world.wait_state("a", State::Failed);
    let reason = world.component_status("a").reason.unwrap();
    assert!(reason.contains("200 ms") && reason.contains("refused"), "{reason}");
}

#[test]
fn probe_that_hangs_is_given_up_with_all_it_started() {
    let mut world = World::new(Holding::SubReaper);
    let hang = ["/bin/sh", "-c", "echo $$ >> hung; sleep 1000 & wait"].map(str::to_owned).to_vec();
    let component = world.component("a", "exec sleep 1000");
    component.readiness = readiness(Probe::Exec(hang));
    component.readiness.as_mut().unwrap().timeout_ms = 100;
    world.start();
    let hung = || fs::read_to_string(world.path("hung")).unwrap_or_default();
    wait_until("it was asked three times", || hung().lines().count() >= 3);
    let first: i32 = hung().lines().next().unwrap().parse().unwrap();
    wait_until("the first is gone", || !crate::world::is_alive(first));
    assert_eq!(world.state("a"), State::Starting);
    assert!(world.component_status("a").reason.unwrap().contains("no answer within 100 ms"));
    assert_eq!(world.shut_down(), 0);
}

#[test]
fn sick_component_is_degraded_recovers_and_is_started_again_when_it_does_not() {
    let mut world = World::new(Holding::SubReaper);
    let port = free_port();
    fs::write(world.path("go"), "").unwrap();
    let text = server(&world, port, HTTP);
    let probe = Probe::Http(format!("http://127.0.0.1:{port}/"));
    let component = world.component("a", &text);
    component.readiness = readiness(probe.clone());
    component.health = Some(Health { probe, period_ms: 20, timeout_ms: 60_000, failures: 1_000_000 });
    world.start();
    world.wait_ready();
    fs::write(world.path("sick"), "").unwrap();
    world.wait_state("a", State::Degraded);
    assert!(world.component_status("a").reason.unwrap().contains("503"));
    fs::remove_file(world.path("sick")).unwrap();
    world.wait_state("a", State::Ready);
    assert_eq!(world.component_status("a").restarts, 0);
    world.shut_down();

    world.plan.components[0].health.as_mut().unwrap().failures = 3;
    world.start();
    world.wait_ready();
    let pid = world.pid("a");
    fs::write(world.path("sick"), "").unwrap();
    world.wait_said("ZWEL0079W component a is stopped: 3 health probes in a row failed");
    fs::remove_file(world.path("sick")).unwrap();
    wait_until("it runs again", || world.component_status("a").restarts > 0);
    world.wait_ready();
    assert_ne!(world.pid("a"), pid);
}

#[test]
fn watchdog_that_is_not_fed_degrades() {
    let feed = "import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET'])
s.send(b'READY=1')
while not os.path.exists('hung'): s.send(b'WATCHDOG=1'); time.sleep(float(os.environ['WATCHDOG_USEC']) / 20e6)
time.sleep(1000)";
    let mut world = World::new(Holding::SubReaper);
    let component = world.component("a", &format!("exec python3 -c \"{feed}\""));
    component.readiness = readiness(Probe::Notify);
    component.health =
        Some(Health { probe: Probe::Notify, period_ms: 4000, timeout_ms: 1, failures: 1_000_000 });
    world.start();
    world.wait_ready();
    fs::write(world.path("hung"), "").unwrap();
    world.wait_state("a", State::Degraded);
    assert!(world.component_status("a").reason.unwrap().contains("WATCHDOG=1"));
    assert!(PATIENCE.as_secs() > 4);
}
