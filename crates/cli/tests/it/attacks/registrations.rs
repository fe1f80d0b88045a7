//! Registrations that would have the gateway ask, in its own name, what nobody may ask.

use std::process::Stdio;

use serde_json::json;

use crate::discovery::client::Client;
use crate::network_faults::site::{Keys, Site, discovery, url};
use crate::world::wait_until;

/// Says who connects at any address of its host.
const LISTENER: &str = r#"
import socket
server = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
print("listens", flush=True)
while True:
    stream, address = server.accept()
    print("met at", stream.getsockname()[0], flush=True)
    stream.recv(10000)
    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
    stream.close()
"#;

/// What a client of discovery registers.
struct Registered<'a> {
    service: &'a str,
    host: &'a str,
    port: u16,
    is_secure: bool,
    /// Where its route leads.
    path: &'a str,
}

/// Registers, as somebody who may, and waits until a gateway knows it.
#[track_caller]
fn register(site: &Site, registered: &Registered<'_>) {
    let Registered { service, host, port, is_secure, path } = *registered;
    let document = json!({ "instance": {
        "instanceId": format!("h:{service}:{port}"), "app": service, "hostName": host, "ipAddr": "10.78.0.3",
        "status": "UP", "vipAddress": service, "port": { "$": port, "@enabled": !is_secure },
        "securePort": { "$": port, "@enabled": is_secure }, "dataCenterInfo": { "name": "MyOwn" },
        "leaseInfo": { "durationInSecs": 100_000 },
        "metadata": { "apiml.routes.api_v1.gatewayUrl": "api/v1", "apiml.routes.api_v1.serviceUrl": path },
    } });
    let own = Keys::get().own();
    let (key, certificate) = (own.key.display().to_string(), own.certificate.display().to_string());
    let text = document.to_string();
    let options =
        ["--key", &key, "--cert", &certificate, "-H", "Content-Type: application/json", "-d", &text];
    let (status, answer) = site.ask("svc1", &format!("{}/apps/{service}", discovery("ds1")), &options);
    // Discovery may refuse it already.
    assert!(status == 204 || status == 400, "{host}: {answer}");
}

/// Waits until a gateway has heard of all that was registered.
fn await_news(site: &Site) {
    let marker = Registered { service: "marker", host: "10.78.0.3", port: 9, is_secure: false, path: "/" };
    register(site, &marker);
    wait_until("the gateway knowing what is registered", || site.get("gw1", "/marker/api/v1/x").0 == 503);
}

#[test]
fn address_of_nobodys_service_is_not_asked_however_it_is_written() {
    let Some(site) = Site::make() else { return };
    let _discovery = site.discovery("ds1");
    let _gateway = site.gateway("gw1", &[]);
    // The service of a cloud for its machines, which only they reach.
    let added = site
        .network
        .command("gw1", "ip")
        .args(["address", "add", "169.254.169.254/32", "dev", "lo"])
        .status();
    assert!(added.unwrap().success());
    let mut python = site.network.command("gw1", "python3");
    let listener = Client::start(python.args(["-c", LISTENER]).stderr(Stdio::inherit()));
    listener.await_line("listens");
    let hosts = [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0xA9.0xFE.0xA9.0xFE",
        "0251.0376.0251.0376",
        "169.254.43518",
        "169.16689662",
        "::ffff:169.254.169.254",
        "[::ffff:a9fe:a9fe]",
        "0.0.0.0",
        "0",
        "[::]",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "169.254.169.254:80#",
        "x@169.254.169.254",
        "10.78.0.3/../",
        "10.78.0.3\r\nHost: x",
    ];
    for (number, host) in hosts.iter().enumerate() {
        let service = format!("evil{number}");
        register(&site, &Registered { service: &service, host, port: 80, is_secure: false, path: "/" });
    }
    await_news(&site);
    for (number, host) in hosts.iter().enumerate() {
        let (status, answer) = site.get("gw1", &format!("/evil{number}/api/v1/latest"));
        assert!([404, 503].contains(&status) && !answer.contains("secret"), "{host}: {answer}");
    }
    // Who may be asked is: the listener does listen.
    register(
        &site,
        &Registered { service: "usual", host: "10.78.0.1", port: 80, is_secure: false, path: "/" },
    );
    wait_until("the listener answering", || site.get("gw1", "/usual/api/v1/x").1.ends_with("secret"));
    let met: Vec<_> = listener.lines().into_iter().filter(|line| line.starts_with("met at")).collect();
    assert!(met.iter().all(|line| line.ends_with("10.78.0.1")), "{met:?}");
}

#[test]
fn discovery_is_not_reached_through_the_gateway_under_the_name_of_a_service() {
    let Some(site) = Site::make() else { return };
    let _discovery = site.discovery("ds1");
    let _gateway = site.gateway("gw1", &[]);
    let evil =
        Registered { service: "evil", host: "10.78.0.2", port: 7553, is_secure: true, path: "/eureka" };
    register(&site, &evil);
    await_news(&site);
    let body = r#"{"instance":{"app":"forged","instanceId":"h:forged:1","hostName":"10.78.0.3","ipAddr":"10.78.0.3",
        "port":{"$":1,"@enabled":"true"},"dataCenterInfo":{"name":"MyOwn"},"status":"UP"}}"#;
    let options = ["-H", "Content-Type: application/json", "-d", body];
    site.ask("client", &url("gw1", "/evil/api/v1/apps/forged"), &options);
    assert_eq!(site.registered("ds1", "forged"), [""; 0], "somebody without a certificate registered it");
    let (status, answer) = site.get("gw1", "/evil/api/v1/apps");
    assert!((400..600).contains(&status), "{answer}");
}

#[test]
fn service_that_leads_to_the_gateway_itself_goes_round_once() {
    let Some(site) = Site::make() else { return };
    let _discovery = site.discovery("ds1");
    let _gateway = site.gateway("gw1", &[]);
    let round = Registered {
        service: "round",
        host: "10.78.0.1",
        port: 7554,
        is_secure: true,
        path: "/round/api/v1",
    };
    register(&site, &round);
    await_news(&site);
    let requests = || {
        let (_, info) = site.get("gw1", "/application/info");
        let count = info.split("\"requests\":").nth(1).unwrap();
        count.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
    };
    let before = requests();
    let (status, answer) = site.get("gw1", "/round/api/v1/x");
    assert!((400..600).contains(&status), "{answer}");
    let count = requests() - before;
    assert!(count < 10, "one request became {count}");
}
