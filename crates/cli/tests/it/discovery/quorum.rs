//! A cluster of three etcds that loses the most of its members and gets them back.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};

use super::etcd::server::free_ports;
use super::server::Server;
use crate::world::wait_until;

/// Three members; those that were killed have nothing but what they wrote.
struct Cluster {
    directory: tempfile::TempDir,
    ports: [[u16; 2]; 3],
    members: [Option<Child>; 3],
}

impl Cluster {
    fn start() -> Self {
        let ports = [free_ports(), free_ports(), free_ports()];
        let mut this = Self { directory: tempfile::tempdir().unwrap(), ports, members: [const { None }; 3] };
        // None of them answers before most of them are there.
        (0..3).for_each(|number| this.spawn(number));
        this.await_leader();
        this
    }

    fn spawn(&mut self, number: usize) {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let [own, peer] = self.ports[number].map(url);
        let all: Vec<_> = (0..3).map(|other| format!("m{other}={}", url(self.ports[other][1]))).collect();
        let mut command = Command::new("etcd");
        command.args(["--name", &format!("m{number}"), "--data-dir"]);
        command.arg(self.directory.path().join(number.to_string()));
        command.args(["--listen-client-urls", &own, "--advertise-client-urls", &own]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &all.join(","), "--log-level", "error", "--unsafe-no-fsync"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.members[number] = Some(command.spawn().unwrap());
    }

    fn kill(&mut self, number: usize) {
        let mut member = self.members[number].take().unwrap();
        member.kill().unwrap();
        member.wait().unwrap();
    }

    /// Waits until every member knows of a leader.
    fn await_leader(&self) {
        for [port, _] in self.ports {
            wait_until("a leader", || {
                let health = format!("http://127.0.0.1:{port}/health");
                let mut curl = Command::new("curl");
                curl.args(["-fsS", "-m", "10", &health]).stdout(Stdio::null()).stderr(Stdio::null());
                curl.status().unwrap().success()
            });
        }
    }

    fn registry(&self) -> String {
        let urls: Vec<_> = self.ports.iter().map(|[port, _]| format!("http://127.0.0.1:{port}")).collect();
        format!("etcd:{}", urls.join(","))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in self.members.iter_mut().flatten() {
            member.kill().ok();
            member.wait().ok();
        }
    }
}

fn wait_status(server: &Server, id: &str, status: Option<&str>) {
    wait_until(&format!("{id} {status:?}"), || server.status_of(id).as_deref() == status);
}

#[test]
fn cluster_that_loses_a_member_is_not_missed_and_one_without_a_quorum_stops_nobody() {
    let mut cluster = Cluster::start();
    let registry = cluster.registry();
    let [first, second] = [(); 2].map(|()| Server::plain(&["--registry", &registry]));
    first.register("svc", "h:svc:1", "").is(204);
    wait_status(&second, "h:svc:1", Some("UP"));

    // Whichever is the leader, or the one that a service talks to: the others go on.
    cluster.kill(0);
    first.register("svc", "h:svc:2", "").is(204);
    wait_status(&second, "h:svc:2", Some("UP"));
    second.register("svc", "h:svc:3", "").is(204);
    wait_status(&first, "h:svc:3", Some("UP"));

    // The one that is left listens, and can neither read nor write.
    cluster.kill(1);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, cluster.ports[2][0])).is_ok());
    for server in [&first, &second] {
        let said = server.await_line("ZWEAD112W");
        assert!(said.contains("what was known last stays in use"), "{said}");
    }
    first.register("late", "h:late:1", "").is(204);
    for id in ["h:svc:1", "h:svc:2", "h:svc:3", "h:late:1"] {
        assert_eq!(first.status_of(id).as_deref(), Some("UP"), "{id}");
    }
    assert_eq!(second.status_of("h:late:1"), None);

    for number in [0, 1] {
        cluster.spawn(number);
    }
    cluster.await_leader();
    for id in ["h:svc:1", "h:svc:2", "h:svc:3", "h:late:1"] {
        wait_status(&second, id, Some("UP"));
    }
    second.register("later", "h:later:1", "").is(204);
    wait_status(&first, "h:later:1", Some("UP"));
    for server in [&first, &second] {
        server.await_line("ZWEAD113I");
    }
    assert_eq!((first.stop(), second.stop()), (Some(0), Some(0)));
}
