//! Certificates that have ended, and one that ends.

use super::load::{Clients, Load};
use super::site::{Keys, Service, Site, discovery, url};
use crate::world::wait_until;

const DAY_S: u32 = 24 * 60 * 60;
/// How long a certificate is good that ends during a test: enough for a busy machine to begin.
const LEFT_S: u32 = 30;

#[test]
fn instance_whose_certificate_has_ended_is_passed_over_and_alone_it_is_named() {
    let Some(site) = Site::make() else { return };
    let ended = Keys::get().made_before(2 * DAY_S, "ended-service");
    let _discovery = [site.discovery("ds1"), site.discovery("ds2")];
    let gateway = site.gateway("gw1", &[]);
    let good = site.service("svc1", &Service::default());
    let _ended = site.service("svc2", &Service { serves: ended, ..Service::default() });
    site.await_registered("ds1", &["svc1", "svc2"]);
    site.await_instances(&["gw1"], &["svc1"]);
    let of_one = Clients { gateways: &["gw1"], ..Clients::default() };
    for changes in [false, true] {
        let load = Load::start(&site, &Clients { changes, ..of_one });
        load.await_more(100);
        let became = load.end();
        assert!(became.failed.is_empty() && became.unsure.is_empty(), "{became:?}");
        assert_eq!(became.by.keys().collect::<Vec<_>>(), ["svc1"], "{became:?}");
    }
    assert_eq!(good.stop(), None, "it ends by the signal");
    let (status, answer) = site.get("gw1", "/files/api/v1/who");
    assert!(status == 502 && answer.contains("ZWEAM511E"), "{answer}");
    wait_until("the gateway saying why", || {
        gateway.lines().iter().any(|line| line.contains("ZWEAG708E") && line.contains("xpired"))
    });
}

#[test]
fn client_whose_certificate_has_ended_registers_nothing_and_discovery_says_why() {
    let Some(site) = Site::make() else { return };
    let (ended, good) = (Keys::get().made_before(2 * DAY_S, "ended-client"), Keys::get().own());
    let discovered = site.discovery("ds1");
    let body = r#"{"instance":{"app":"late","instanceId":"h:late:1","hostName":"10.78.0.3","ipAddr":"10.78.0.3",
        "port":{"$":1,"@enabled":"true"},"dataCenterInfo":{"name":"MyOwn"},"status":"UP"}}"#;
    let register = |shown: &super::site::Pair| {
        let (key, certificate) = (shown.key.display().to_string(), shown.certificate.display().to_string());
        let options =
            ["--key", &key, "--cert", &certificate, "-H", "Content-Type: application/json", "-d", body];
        site.ask("svc1", &format!("{}/apps/late", discovery("ds1")), &options)
    };
    let (status, answer) = register(&ended);
    assert_eq!(status, 0, "{answer}");
    discovered.await_line("the client's certificate has ended");
    assert_eq!(site.registered("ds1", "late"), [""; 0]);
    assert_eq!(register(&good).0, 204);
    assert_eq!(site.registered("ds1", "late"), ["h:late:1"]);
}

#[test]
fn certificate_that_ends_under_load_is_refused_by_clients_until_it_is_renewed_without_a_restart() {
    let Some(site) = Site::make() else { return };
    let _discovery = [site.discovery("ds1"), site.discovery("ds2")];
    let _service = site.service("svc1", &Service::default());
    let short = Keys::get().made_before(DAY_S - LEFT_S, "short");
    let gateway = site.gateway_showing("gw1", &short, &[]);
    gateway.await_line("ZWEAM006W");
    site.await_instances(&["gw1"], &["svc1"]);
    let load = Load::start(&site, &Clients { gateways: &["gw1"], count: 2, ..Clients::default() });
    let who = url("gw1", "/files/api/v1/who");
    wait_until("new clients refusing it", || {
        let (status, answer) = site.ask("client", &who, &[]);
        status == 0 && answer.contains("certificate has expired")
    });
    // Connections that there are go on.
    load.await_more(200);
    Keys::get().renew("short");
    wait_until("new clients trusting it", || site.ask("client", &who, &[]).0 == 200);
    load.await_more(200);
    let became = load.end();
    assert!(became.failed.is_empty(), "{became:?}");
    assert_eq!(became.connections, 2, "none was dropped: {became:?}");
}
