//! Two services that tell each other what their clients tell them.

use super::server::{Keys, Server};
use crate::world::{free_ports, wait_until};

/// Starts the service at a port with these as its peers.
fn start(port: u16, peers: &[u16]) -> Server {
    let keys = Keys::get();
    let (key, certificate, trust) =
        (keys.at("localhost.key"), keys.at("localhost.cer"), keys.at("local_ca.cer"));
    let listen = format!("127.0.0.1:{port}");
    let peers: Vec<_> = peers.iter().map(|port| format!("https://localhost:{port}/eureka/")).collect();
    let peers = peers.join(",");
    let tls = ["--key", &key, "--certificate", &certificate, "--trust", &trust];
    Server::tls_at(&[&tls[..], &["--listen", &listen, "--peers", &peers]].concat())
}

fn wait_status(server: &Server, id: &str, status: Option<&str>) {
    wait_until(&format!("{id} {status:?}"), || server.status_of(id).as_deref() == status);
}

#[test]
fn peer_learns_what_clients_tell_and_has_it_again_after_it_was_away() {
    let port = free_ports();
    // As in an installation: its own address is in the list.
    let all = [port, port + 1];
    let first = start(port, &all);
    // Nobody is there yet: it serves all the same, and says so.
    let lost = first.await_line("ZWEAD108W");
    assert!(lost.contains(&format!("localhost:{}", port + 1)), "{lost}");
    first.register("svc", "h:svc:1", "").is(204);
    let second = start(port + 1, &all);
    assert_eq!(second.status_of("h:svc:1").as_deref(), Some("UP"), "from the first request on");
    second.await_line("ZWEAD107I");

    // In both directions, of each kind.
    second.register("other", "h:other:1", r#","metadata":{"k":"v"}"#).is(204);
    wait_status(&first, "h:other:1", Some("UP"));
    assert_eq!(first.json("/eureka/instances/h:other:1")["instance"]["metadata"]["k"], "v");
    let put = |server: &Server, path: &str| server.ask(path, &["-X", "PUT"]).is(200);
    let renewed = |server: &Server| {
        let document = server.json("/eureka/instances/h:other:1");
        document["instance"]["leaseInfo"]["lastRenewalTimestamp"].as_u64().unwrap()
    };
    let before = renewed(&second);
    put(&first, "/eureka/apps/other/h:other:1");
    wait_until("the heartbeat", || renewed(&second) > before);
    put(&first, "/eureka/apps/other/h:other:1/status?value=OUT_OF_SERVICE");
    wait_status(&second, "h:other:1", Some("OUT_OF_SERVICE"));
    assert_eq!(second.json("/eureka/serverinfo/statusoverrides")["h:other:1"], "OUT_OF_SERVICE");
    second.ask("/eureka/apps/other/h:other:1/status?value=UP", &["-X", "DELETE"]).is(200);
    wait_status(&first, "h:other:1", Some("UP"));
    put(&second, "/eureka/apps/other/h:other:1/metadata?more=1");
    wait_until("the metadata", || {
        first.json("/eureka/instances/h:other:1")["instance"]["metadata"]["more"] == "1"
    });
    second.ask("/eureka/apps/other/h:other:1", &["-X", "DELETE"]).is(200);
    wait_status(&first, "h:other:1", None);
    // Each knows the other, and both the same.
    for (server, own, other) in [(&first, port, port + 1), (&second, port + 1, port)] {
        wait_status(server, &format!("localhost:discovery:{other}"), Some("UP"));
        for (port, is_own) in [(own, "true"), (other, "false")] {
            let one = server.json(&format!("/eureka/instances/localhost:discovery:{port}"));
            assert_eq!(one["instance"]["isCoordinatingDiscoveryServer"], is_own, "{port}");
        }
    }

    // What happens while it is away it learns afterwards.
    drop(second);
    first.register("new", "h:new:1", "").is(204);
    first.ask("/eureka/apps/svc/h:svc:1", &["-X", "DELETE"]).is(200);
    let second = start(port + 1, &all);
    assert_eq!(second.status_of("h:new:1").as_deref(), Some("UP"));
    assert_eq!(second.status_of("h:svc:1"), None);
    first.await_line("ZWEAD109I");
    assert_eq!((first.stop(), second.stop()), (Some(0), Some(0)));
}

#[test]
fn what_a_peer_tells_is_told_to_nobody_else() {
    let port = free_ports();
    let last = start(port, &[port]);
    let middle = start(port + 1, &[port]);
    let first = start(port + 2, &[port + 1]);
    first.register("apart", "h:apart:1", "").is(204);
    wait_status(&middle, "h:apart:1", Some("UP"));
    let id = "/eureka/apps/apart/h:apart:1";
    middle.ask(id, &["-X", "PUT", "-H", "x-netflix-discovery-replication: true"]).is(200);
    // Told after all that could have been told before.
    middle.register("marker", "h:marker:1", "").is(204);
    wait_status(&last, "h:marker:1", Some("UP"));
    assert_eq!(last.status_of("h:apart:1"), None);
}
