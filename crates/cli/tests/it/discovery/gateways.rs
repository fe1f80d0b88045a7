//! Gateways at discovery: ours is registered, others are told of changes.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use super::server::Server;
use crate::attacks::recorder::Recorder;
use crate::world::{free_ports, wait_until};

/// A gateway that runs until it is dropped.
struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Gateway {
    fn start(port: u16, discovery: u16, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
        command.args(["gateway", "run", "--plain", "--hostname", "localhost"]);
        command.args(["--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--discovery", &format!("http://127.0.0.1:{discovery}/eureka")]).args(more);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ZWE")) {
            command.env_remove(name);
        }
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Ends it as a launcher does and returns its exit code.
    fn stop(mut self) -> Option<i32> {
        crate::installation::signal(i64::from(self.0.id()), "TERM");
        self.0.wait().unwrap().code()
    }
}

#[test]
fn gateway_is_found_at_discovery_until_it_ends_and_again_when_discovery_has_begun_anew() {
    let port = free_ports();
    let id = format!("localhost:gateway:{}", port + 1);
    let is_up = |server: &Server| server.status_of(&id).as_deref() == Some("UP");
    let discovery = Server::plain_at(port);
    let options = ["--registration-interval", "1", "--public", "https://front.example.com"];
    let gateway = Gateway::start(port + 1, port, &options);
    wait_until("the gateway is registered", || is_up(&discovery));
    let entry = discovery.json(&format!("/eureka/apps/GATEWAY/{id}"));
    let entry = &entry["instance"];
    assert_eq!(entry["metadata"]["apiml.service.externalUrl"], "https://front.example.com");
    assert_eq!((&entry["port"]["$"], &entry["vipAddress"]), (&(port + 1).into(), &"gateway".into()));
    assert_eq!(entry["leaseInfo"]["durationInSecs"], 3);

    drop(discovery);
    let discovery = Server::plain_at(port);
    wait_until("the gateway is registered again", || is_up(&discovery));
    let renewed = || {
        let entry = discovery.json(&format!("/eureka/apps/GATEWAY/{id}"));
        entry["instance"]["leaseInfo"]["lastRenewalTimestamp"].as_u64().unwrap()
    };
    let before = renewed();
    wait_until("its lease is renewed", || renewed() > before);

    assert_eq!(gateway.stop(), Some(0));
    assert_eq!(discovery.status_of(&id), None, "it took its entry back");
}

#[test]
fn gateway_that_is_not_to_be_registered_is_not() {
    let port = free_ports();
    let discovery = Server::plain_at(port);
    let silent = Gateway::start(port + 1, port, &["--no-registration"]);
    wait_until("the silent one listens", || TcpStream::connect(("127.0.0.1", port + 1)).is_ok());
    // One that is to be registered is so although it was started later.
    let loud = Gateway::start(port + 2, port, &[]);
    wait_until("the other one is registered", || {
        discovery.status_of(&format!("localhost:gateway:{}", port + 2)).is_some()
    });
    assert_eq!(discovery.status_of(&format!("localhost:gateway:{}", port + 1)), None);
    assert_eq!((silent.stop(), loud.stop()), (Some(0), Some(0)));
    assert!(discovery.lines_with("ZWEAD103I").iter().all(|line| !line.contains(&format!(":{}", port + 1))));
}

/// Registers a gateway of somebody else.
fn register(discovery: &Server, port: u16) {
    let document = format!(
        r#"{{"instance":{{"instanceId":"localhost:gateway:{port}","app":"GATEWAY","hostName":"localhost","ipAddr":"127.0.0.1",
        "port":{{"$":{port},"@enabled":"true"}},"securePort":{{"$":0,"@enabled":"false"}},"status":"UP",
        "dataCenterInfo":{{"name":"MyOwn"}}}}}}"#
    );
    let sent = ["-H", "Content-Type: application/json", "--data-binary", &document];
    discovery.ask("/eureka/apps/GATEWAY", &sent).is(204);
}

#[test]
fn gateways_of_others_are_told_of_each_change_when_that_is_asked_for() {
    let discovery = Server::plain(&["--notify-gateways"]);
    let gateway = Recorder::start();
    let told = || {
        let asked = gateway.asked();
        asked.iter().filter(|one| one.line == "DELETE /gateway/cache/services HTTP/1.1").count()
    };
    register(&discovery, gateway.port);
    wait_until("it is told of itself", || told() == 1);
    discovery.register("svc", "h:svc:1", "").is(204);
    wait_until("it is told of a service", || told() == 2);
    discovery.ask("/eureka/apps/svc/h:svc:1/status?value=OUT_OF_SERVICE", &["-X", "PUT"]).is(200);
    wait_until("it is told of a status", || told() == 3);
    discovery.ask("/eureka/apps/svc/h:svc:1", &["-X", "DELETE"]).is(200);
    wait_until("it is told of an end", || told() == 4);
    assert_eq!(discovery.lines_with("ZWEAD118W"), [""; 0]);

    // One that knows no such call is complained of once.
    let newer = Recorder::answering(|_| b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec());
    register(&discovery, newer.port);
    let said = discovery.await_line("ZWEAD118W");
    assert!(said.contains(&format!("localhost:gateway:{}", newer.port)) && said.contains("404"), "{said}");
    discovery.register("svc", "h:svc:2", "").is(204);
    wait_until("both are told again", || newer.asked().len() == 2 && told() == 6);
    // It is told a third time after what came of the second is known.
    discovery.register("svc", "h:svc:3", "").is(204);
    wait_until("both are told once more", || newer.asked().len() == 3 && told() == 7);
    assert_eq!(discovery.lines_with("ZWEAD118W").len(), 1);
}
