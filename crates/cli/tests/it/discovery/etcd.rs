//! Services that share one registry through a real etcd: seen by clients of each, with services and etcd killed.

use std::fs;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::client::Client;
use super::python::CLIENT;
use super::server::{Keys, Server};
use crate::packages::python;
use crate::world::{free_ports, wait_until};

#[path = "../../../../etcd/tests/it/server.rs"]
pub(super) mod server;

use server::Server as Etcd;

fn start(etcd: &Etcd, more: &[&str]) -> Server {
    Server::plain(&[&["--registry", &format!("etcd:{}", etcd.address())], more].concat())
}

fn wait_status(server: &Server, id: &str, status: Option<&str>) {
    wait_until(&format!("{id} {status:?}"), || server.status_of(id).as_deref() == status);
}

fn put(server: &Server, path: &str) {
    server.ask(path, &["-X", "PUT"]).is(200);
}

fn delete(server: &Server, path: &str) {
    server.ask(path, &["-X", "DELETE"]).is(200);
}

/// What a service says of its registry to everybody.
fn health(server: &Server) -> Value {
    let health = server.json("/application/health");
    assert_eq!(health["status"], "UP", "it serves: {health}");
    health["components"]["registry"].clone()
}

const SHORT_LEASE: &str = r#","leaseInfo":{"renewalIntervalInSecs":1,"durationInSecs":4}"#;

#[test]
fn what_is_said_at_one_service_is_so_at_all() {
    let etcd = Etcd::start();
    let (first, second) = (start(&etcd, &[]), start(&etcd, &[]));
    first.await_line("ZWEAD111I");
    let path = "/eureka/apps/svc/h:svc:1";
    first.register("svc", "h:svc:1", r#","metadata":{"k":"v/1"}"#).is(204);
    wait_status(&second, "h:svc:1", Some("UP"));
    assert_eq!(second.json("/eureka/instances/h:svc:1")["instance"]["metadata"]["k"], "v/1");
    put(&second, path);
    put(&first, path);

    put(&second, &format!("{path}/status?value=OUT_OF_SERVICE"));
    wait_status(&first, "h:svc:1", Some("OUT_OF_SERVICE"));
    assert_eq!(first.json("/eureka/serverinfo/statusoverrides")["h:svc:1"], "OUT_OF_SERVICE");
    // It is announced anew where nobody set it.
    first.register("svc", "h:svc:1", r#","metadata":{"k":"other"}"#).is(204);
    wait_until("the announcement", || {
        second.json("/eureka/instances/h:svc:1")["instance"]["metadata"]["k"] == "other"
    });
    for server in [&first, &second] {
        assert_eq!(server.status_of("h:svc:1").as_deref(), Some("OUT_OF_SERVICE"));
    }
    delete(&first, &format!("{path}/status?value=UP"));
    wait_status(&second, "h:svc:1", Some("UP"));
    put(&second, &format!("{path}/metadata?more=1"));
    wait_until("the metadata", || {
        first.json("/eureka/instances/h:svc:1")["instance"]["metadata"]["more"] == "1"
    });

    // Who comes later has it from the first request on, and those who were there know it.
    let third = start(&etcd, &[]);
    assert_eq!(third.status_of("h:svc:1").as_deref(), Some("UP"));
    for server in [&first, &second, &third] {
        for port in [first.port, second.port, third.port] {
            let id = format!("localhost:discovery:{port}");
            wait_status(server, &id, Some("UP"));
            let one = &server.json(&format!("/eureka/instances/{id}"))["instance"];
            assert_eq!(one["isCoordinatingDiscoveryServer"], (port == server.port).to_string(), "{id}");
        }
    }
    delete(&third, path);
    for server in [&first, &second] {
        wait_status(server, "h:svc:1", None);
        let delta = server.json("/eureka/apps/delta").to_string();
        assert!(delta.contains("DELETED"), "{delta}");
        let of = |document: Value| document["applications"]["apps__hashcode"].clone();
        assert_eq!(of(server.json("/eureka/apps")), "UP_3_");
    }
    let (told, registry) = (health(&first), first.json("/application/info")["registry"].clone());
    assert_eq!((&told["status"], &told["details"]), (&Value::from("UP"), &registry));
    assert_eq!((&registry["store"], &registry["ageSeconds"]), (&Value::from("etcd"), &Value::from(0)));
}

#[test]
fn instance_that_nobody_hears_of_goes_everywhere_though_the_service_that_took_it_was_killed() {
    let etcd = Etcd::start();
    let (first, second, third) = (start(&etcd, &[]), start(&etcd, &[]), start(&etcd, &[]));
    for id in ["h:svc:1", "h:svc:2"] {
        first.register("svc", id, SHORT_LEASE).is(204);
        wait_status(&second, id, Some("UP"));
        wait_status(&third, id, Some("UP"));
    }
    // Its host dies with the service that took both; the other's client goes on elsewhere.
    drop(first);
    let goes_on = || put(&second, "/eureka/apps/svc/h:svc:1");
    for server in [&second, &third] {
        wait_until("the end of the lease", || {
            goes_on();
            server.status_of("h:svc:2").is_none()
        });
    }
    second.await_line("instance `h:svc:2` of SVC is gone");
    let begun = second.count("heartbeats_total");
    wait_until("many heartbeats more", || {
        goes_on();
        second.count("heartbeats_total") > begun + 50
    });
    for server in [&second, &third] {
        assert_eq!(server.status_of("h:svc:1").as_deref(), Some("UP"));
    }
    for server in [&third, &second] {
        wait_status(server, "h:svc:1", None);
    }
    assert_eq!(second.lines_with("ZWEAD101W").len(), 0, "nobody was kept for the others' silence");
}

#[test]
fn many_that_are_silent_at_once_are_kept_for_all_unless_that_is_switched_off() {
    let etcd = Etcd::start();
    let (first, second) = (start(&etcd, &[]), start(&etcd, &["--no-self-preservation"]));
    let lease = r#","leaseInfo":{"renewalIntervalInSecs":3,"durationInSecs":9}"#;
    for number in 1..=4 {
        first.register("kept", &format!("h:kept:{number}"), lease).is(204);
    }
    for number in 1..=4 {
        second.register("left", &format!("h:left:{number}"), lease).is(204);
    }
    let said = first.await_line("ZWEAD101W");
    assert!(said.contains("4 instances are silent at once"), "{said}");
    // Whose leases began later.
    for server in [&first, &second] {
        for number in 1..=4 {
            wait_status(server, &format!("h:left:{number}"), None);
        }
        for number in 1..=4 {
            assert_eq!(server.status_of(&format!("h:kept:{number}")).as_deref(), Some("UP"));
        }
    }
    second.ask("/", &[]).is(200).says("shared through etcd").says("elsewhere");
    // With the service that heard of them they go.
    drop(first);
    for number in 1..=4 {
        wait_status(&second, &format!("h:kept:{number}"), None);
    }
}

#[test]
fn etcd_that_is_away_stops_nobody_and_is_told_what_was_said_when_it_is_back() {
    let etcd = Etcd::start();
    let registry = format!("etcd:{}", etcd.address());
    let (first, second) = (start(&etcd, &[]), start(&etcd, &[]));
    for id in ["h:svc:1", "h:svc:2"] {
        first.register("svc", id, "").is(204);
        wait_status(&second, id, Some("UP"));
    }
    first.register("short", "h:short:1", SHORT_LEASE).is(204);
    wait_status(&second, "h:short:1", Some("UP"));
    let away = etcd.kill();
    for server in [&first, &second] {
        let said = server.await_line("ZWEAD112W");
        assert!(said.contains("what was known last stays in use") && said.contains("127.0.0.1"), "{said}");
        wait_until("its age", || health(server)["details"]["ageSeconds"].as_u64() > Some(0));
        assert_eq!(health(server)["status"], "DOWN");
        assert_eq!(server.count("shared_reached"), 0);
    }
    first.register("new", "h:new:1", "").is(204);
    put(&first, "/eureka/apps/new/h:new:1");
    put(&second, "/eureka/apps/svc/h:svc:1");
    put(&first, "/eureka/apps/svc/h:svc:1/status?value=DOWN");
    delete(&second, "/eureka/apps/svc/h:svc:2");
    assert_eq!((first.status_of("h:new:1").as_deref(), second.status_of("h:new:1")), (Some("UP"), None));
    assert_eq!(first.count("shared_waiting"), 2);
    // Who starts now has what it has itself.
    let third = Server::plain(&["--registry", &registry]);
    let said = third.await_line("ZWEAD112W");
    assert!(said.contains("what is known here alone"), "{said}");
    assert_eq!(health(&third)["details"]["ageSeconds"], Value::Null);
    third.register("third", "h:third:1", "").is(204);
    // Nobody is taken away for what cannot be known, however long ago its lease ended.
    wait_until("longer than the lease", || health(&first)["details"]["ageSeconds"].as_u64() > Some(5));
    assert_eq!(first.status_of("h:short:1").as_deref(), Some("UP"));

    let _etcd = away.restart();
    for server in [&first, &second, &third] {
        server.await_line("ZWEAD113I");
        for (id, status) in [
            ("h:new:1", Some("UP")),
            ("h:third:1", Some("UP")),
            ("h:svc:1", Some("DOWN")),
            ("h:svc:2", None),
            ("h:short:1", None),
        ] {
            wait_status(server, id, status);
        }
        wait_until("nothing waits", || server.count("shared_waiting") == 0);
        assert_eq!(server.lines_with("ZWEAD112W").len(), 1, "it is told once");
        assert_eq!(
            (health(server)["status"].as_str(), server.lines_with("ZWEAD113I").len()),
            (Some("UP"), 1)
        );
    }
    assert_eq!(first.json("/eureka/apps")["applications"]["apps__hashcode"], "DOWN_1_UP_5_");
    // And it goes on.
    third.register("later", "h:later:1", "").is(204);
    wait_status(&first, "h:later:1", Some("UP"));
    assert_eq!((first.stop(), second.stop(), third.stop()), (Some(0), Some(0), Some(0)));
}

/// A way to etcd that can be cut.
struct Way {
    pub(crate) port: u16,
    is_cut: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Way {
    fn to(etcd: &Etcd) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let this = Self {
            port: listener.local_addr().unwrap().port(),
            is_cut: Arc::default(),
            streams: Arc::default(),
        };
        let target = etcd.address().trim_start_matches("http://").to_owned();
        let (is_cut, streams) = (Arc::clone(&this.is_cut), Arc::clone(&this.streams));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let mut kept = streams.lock().unwrap();
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || std::io::copy(&mut from, &mut to).ok());
                }
                kept.extend([client, server]);
            }
        });
        this
    }

    fn cut(&self, is_cut: bool) {
        let mut streams = self.streams.lock().unwrap();
        self.is_cut.store(is_cut, Ordering::SeqCst);
        for stream in streams.drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

#[test]
fn service_that_is_cut_off_keeps_its_clients_and_all_have_them_again_when_it_is_back() {
    let etcd = Etcd::start();
    let way = Way::to(&etcd);
    let first = Server::plain(&["--registry", &format!("etcd:http://127.0.0.1:{}", way.port)]);
    let second = start(&etcd, &[]);
    for id in ["h:svc:1", "h:svc:2"] {
        first.register("svc", id, SHORT_LEASE).is(204);
        wait_status(&second, id, Some("UP"));
    }
    way.cut(true);
    first.await_line("ZWEAD112W");
    let heartbeat = || put(&first, "/eureka/apps/svc/h:svc:1");
    wait_until("the end of both leases, which nobody can renew", || {
        heartbeat();
        ["h:svc:1", "h:svc:2"].iter().all(|id| second.status_of(id).is_none())
    });
    for id in ["h:svc:1", "h:svc:2"] {
        assert_eq!(first.status_of(id).as_deref(), Some("UP"), "what was known last stays");
    }
    way.cut(false);
    wait_until("who lives is there again, and nobody else", || {
        heartbeat();
        let there = [&first, &second].map(|one| ["h:svc:1", "h:svc:2"].map(|id| one.status_of(id).is_some()));
        there == [[true, false]; 2]
    });
    assert_eq!(first.count("registrations_total"), 2, "it did not have to register again");
}

#[test]
fn etcd_that_lost_everything_has_everybody_again_who_is_heard_of() {
    let ports = server::free_ports();
    let etcd = Special::start("http", ports, &[]);
    let registry = format!("etcd:http://127.0.0.1:{}", etcd.port);
    let server = Server::plain(&["--registry", &registry]);
    server.register("svc", "h:svc:1", "").is(204);
    wait_until("it is written", || server.count("shared_waiting") == 0);
    drop(etcd);
    server.await_line("ZWEAD112W");
    let _empty = Special::start("http", ports, &[]);
    server.await_line("ZWEAD113I");
    let other = Server::plain(&["--registry", &registry]);
    wait_status(&other, "h:svc:1", Some("UP"));
}

#[test]
fn real_client_goes_on_at_the_second_service_when_the_first_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("client.py");
    fs::write(&script, CLIENT).unwrap();
    let etcd = Etcd::start();
    let (first, second) = (start(&etcd, &[]), start(&etcd, &[]));
    // The script makes the address of it, which is a list for this client.
    let both = format!("{}/eureka/,http://127.0.0.1:{}", first.port, second.port);
    let client = Client::start(Command::new(python()).arg(&script).arg(both));
    client.await_line("STARTED");
    let id = first.json("/eureka/apps/pysvc")["application"]["instance"][0]["instanceId"].clone();
    let id = id.as_str().unwrap().to_owned();
    wait_status(&second, &id, Some("UP"));
    let registered = second.count("registrations_total");
    drop(first);
    // Its lease has three seconds.
    wait_until("heartbeats at the second", || second.count("heartbeats_total") > 5);
    assert_eq!(second.status_of(&id).as_deref(), Some("UP"));
    assert_eq!(second.count("registrations_total"), registered, "it was known there");
    assert_eq!(client.stop(), Some(0));
    wait_status(&second, &id, None);
}

#[test]
fn server_that_does_not_share_the_registry_is_a_peer_of_those_that_do() {
    let etcd = Etcd::start();
    let port = free_ports();
    let at = |port: u16| format!("http://127.0.0.1:{port}/eureka");
    let foreign = |peers: &[&str]| {
        let listen = format!("127.0.0.1:{port}");
        Server::plain(&[&["--listen", &listen], peers].concat())
    };
    let first = start(&etcd, &["--peers", &at(port)]);
    let second = start(&etcd, &[]);
    let foreign = foreign(&["--peers", &at(first.port)]);
    first.register("svc", "h:svc:1", "").is(204);
    wait_status(&foreign, "h:svc:1", Some("UP"));
    foreign.register("old", "h:old:1", "").is(204);
    for server in [&first, &second] {
        wait_status(server, "h:old:1", Some("UP"));
    }
    // What was said elsewhere is told by the service at which it was said.
    second.register("other", "h:other:1", "").is(204);
    wait_status(&first, "h:other:1", Some("UP"));
    delete(&foreign, "/eureka/apps/old/h:old:1");
    for server in [&first, &second] {
        wait_status(server, "h:old:1", None);
    }
    assert_eq!(foreign.status_of("h:other:1"), None);
}

/// An etcd of another kind than the others.
pub(crate) struct Special {
    child: Child,
    pub(crate) port: u16,
    _directory: tempfile::TempDir,
}

impl Drop for Special {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Special {
    /// Starts one with nothing in it.
    fn start(scheme: &str, [port, other]: [u16; 2], more: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [own, others] = [format!("{scheme}://127.0.0.1:{port}"), format!("http://127.0.0.1:{other}")];
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(directory.path().join("data"));
        command.args(["--listen-client-urls", &own, "--advertise-client-urls", &own]);
        command.args(["--listen-peer-urls", &others, "--initial-advertise-peer-urls", &others]);
        command.args(["--initial-cluster", &format!("default={others}"), "--log-level", "error"]);
        command.arg("--unsafe-no-fsync").args(more);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let this = Self { child: command.spawn().unwrap(), port, _directory: directory };
        wait_until("etcd", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        this
    }

    /// Starts one that speaks TLS and lets in nobody but its user.
    pub(crate) fn guarded() -> Self {
        let keys = Keys::get();
        let own = ["--cert-file", &keys.at("localhost.cer"), "--key-file", &keys.at("localhost.key")];
        let this = Self::start("https", server::free_ports(), &own);
        let port = this.port;
        for (call, body) in [
            ("user/add", r#"{"name":"root","password":"open sesame"}"#),
            ("user/grant", r#"{"user":"root","role":"root"}"#),
            ("enable", "{}"),
        ] {
            wait_until(call, || {
                let mut curl = Command::new("curl");
                curl.args(["-fsS", "-m", "30", "-d", body, "--cacert", &keys.at("local_ca.cer")]);
                curl.arg(format!("https://127.0.0.1:{port}/v3/auth/{call}")).stderr(Stdio::null());
                curl.stdout(Stdio::null()).status().unwrap().success()
            });
        }
        this
    }
}

#[test]
fn etcd_with_tls_and_a_user_is_reached_with_both_and_says_what_is_wrong_otherwise() {
    let (keys, etcd, directory) = (Keys::get(), Special::guarded(), tempfile::tempdir().unwrap());
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let registry = format!("etcd:https://localhost:{}", etcd.port);
    let password = file("password", "open sesame\n");
    let user = ["--registry", &registry, "--registry-user", "root", "--registry-password-file", &password];
    // By the service's own certificate, or by one of its own choice.
    let first = Server::tls(&user);
    let trust = keys.at("local_ca.cer");
    let second = Server::plain(&[&user[..], &["--registry-trust", &trust]].concat());
    for server in [&first, &second] {
        server.await_line("ZWEAD111I");
    }
    first.register("svc", "h:svc:1", "").is(204);
    wait_status(&second, "h:svc:1", Some("UP"));

    let wrong = file("wrong", "wrong");
    let refused = Server::plain(&[
        "--registry",
        &registry,
        "--registry-trust",
        &trust,
        "--registry-user",
        "root",
        "--registry-password-file",
        &wrong,
    ]);
    let said = refused.await_line("ZWEAD112W");
    assert!(said.contains("authentication failed"), "{said}");
    let stranger = Server::plain(&["--registry", &registry, "--registry-trust", &trust]);
    let said = stranger.await_line("ZWEAD112W");
    assert!(said.contains("etcd does not know who asks") || said.contains("user name is empty"), "{said}");
}
