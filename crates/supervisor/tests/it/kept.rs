//! Sockets that go on listening between two runs of a component, and no longer than somebody will take connections from them.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use tender_supervisor::console::{Request, State};
use tender_supervisor::plan::Probe;

use crate::world::{Holding, World, readiness, signal, wait_until};

/// Listens, gives its socket to be kept and answers everybody with its number; told to end, it closes its own and waits for a file.
const SERVER: &str = r#"
import os, signal, socket, sys, time
given = os.environ.get("LISTEN_FDS")
listener = socket.socket(fileno=3) if given else socket.create_server(("127.0.0.1", 0), backlog=64)
print("port", listener.getsockname()[1], "given" if given else "made", flush=True)
def end(*_):
    listener.close()
    print("drains", flush=True)
    while not os.path.exists("go"):
        time.sleep(0.01)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
said = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
address = os.environ["NOTIFY_SOCKET"]
address = "\0" + address[1:] if address.startswith("@") else address
said.connect(address)
socket.send_fds(said, [b"FDSTORE=1\nFDNAME=listen"], [listener.fileno()])
said.send(b"READY=1")
while True:
    connection, _ = listener.accept()
    connection.sendall(str(os.getpid()).encode())
    connection.close()
"#;

struct Site {
    world: World,
    port: u16,
}

impl Site {
    /// Starts it; `keeps` says whether its manifest wants sockets kept.
    fn start(keeps: bool) -> Self {
        let mut world = World::new(Holding::SubReaper);
        std::fs::write(world.path("server.py"), SERVER).unwrap();
        let program = format!("exec python3 '{}'", world.path("server.py").display());
        let directory = world.path(".");
        let component = world.component("a", &program);
        component.readiness = readiness(Probe::Notify);
        component.stop.keeps_sockets = keeps;
        component.working_directory = directory;
        world.start();
        world.wait_ready();
        let port = world.lines("a")[0].split(' ').nth(1).unwrap().parse().unwrap();
        Self { world, port }
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
    }

    fn ask(&self, command: &str) {
        let components = vec!["a".to_owned()];
        let request = match command {
            "stop" => Request::Stop { components, wait: false },
            _ => Request::Restart { components, reconfigure: false, wait: false },
        };
        self.world.ask(&request);
        wait_until("it drains", || self.world.lines("a").iter().any(|line| line == "drains"));
    }

    fn go(&self) {
        std::fs::write(self.world.path("go"), "").unwrap();
    }
}

/// Reads what a server sends until it closes.
fn answer(mut connection: TcpStream) -> String {
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn connection_made_between_two_runs_is_answered_by_the_next() {
    let site = Site::start(true);
    let before = site.world.pid("a");
    site.ask("restart");
    let connection = site.connect().unwrap();
    assert_eq!(site.world.component_status("a").ports, [site.port], "it is still the component's own");
    site.go();
    let by = answer(connection);
    site.world.wait_ready();
    assert_eq!(by, site.world.pid("a").to_string());
    assert_ne!(site.world.pid("a"), before);
    assert!(site.world.lines("a").iter().any(|line| line.ends_with("given")));
}

#[test]
fn connection_made_after_a_kill_is_answered_by_the_next_run() {
    let site = Site::start(true);
    let before = site.world.pid("a");
    signal(before, "KILL");
    wait_until("it has ended", || !crate::world::is_alive(before));
    assert_ne!(answer(site.connect().unwrap()), before.to_string());
}

#[test]
fn component_stopped_for_good_refuses_connections_while_it_ends() {
    let site = Site::start(true);
    site.ask("stop");
    assert!(site.connect().is_err());
    assert_eq!(site.world.state("a"), State::Stopping);
    site.go();
    site.world.wait_state("a", State::Stopped);
}

#[test]
fn restart_that_takes_long_refuses_connections_in_the_end() {
    let site = Site::start(true);
    site.ask("restart");
    let waiting = site.connect().unwrap();
    wait_until("clients are refused", || site.connect().is_err());
    assert!(waiting.set_read_timeout(Some(Duration::from_secs(60))).is_ok());
    assert!((&waiting).read(&mut [0]).map_or(true, |bytes| bytes == 0), "nobody answers who waited");
    assert_eq!(site.world.state("a"), State::Stopping);
    site.go();
    // The next one makes a socket of its own.
    wait_until("it runs again", || {
        site.world.lines("a").iter().filter(|line| line.ends_with("made")).count() == 2
    });
}

#[test]
fn sockets_of_a_component_that_does_not_want_it_are_not_kept() {
    let site = Site::start(false);
    site.ask("restart");
    assert!(site.connect().is_err());
    site.go();
    wait_until("it runs again", || {
        site.world.lines("a").iter().filter(|line| line.ends_with("made")).count() == 2
    });
}
