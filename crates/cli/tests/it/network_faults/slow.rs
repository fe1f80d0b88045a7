//! A network that is slow and loses packets.

use std::fs;

use super::load::{Clients, Load};
use super::site::{Service, Site, url};

#[test]
fn slow_network_makes_requests_late_and_breaks_none() {
    let Some(site) = Site::make() else { return };
    let _discovery = [site.discovery("ds1"), site.discovery("ds2")];
    let _gateways = [site.gateway("gw1", &[]), site.gateway("gw2", &[])];
    let _one = site.service("svc1", &Service::default());
    site.await_instances(&["gw1", "gw2"], &["svc1"]);
    // One gateway, one discovery service and one instance, each behind a bad line of its own.
    let how = site.network.slow("gw1");
    for host in ["ds1", "svc1"] {
        assert_eq!(site.network.slow(host), how);
    }
    let load = Load::start(&site, &Clients { count: 4, ..Clients::default() });
    let body = site.path("body");
    fs::write(&body, "x".repeat(200_000)).unwrap();
    let (body, got) = (format!("@{}", body.display()), site.path("got"));
    let got_at = got.display().to_string();
    let large = url("gw1", "/files/api/v1/large");
    for _ in 0..2 {
        let (status, answer) = site.ask("client", &large, &["-o", &got_at, "-w", "HTTP %{http_code} "]);
        assert_eq!(status, 200, "{how}: {answer}");
        let whole = fs::read_to_string(&got).unwrap();
        assert!(whole.ends_with(&"0123456789".repeat(20_000)), "{how}: {} bytes", whole.len());
        let sent = ["--data-binary", &*body, "-H", "Expect:"];
        let (status, answer) = site.ask("client", &url("gw1", "/files/api/v1/x"), &sent);
        assert!(status == 200 && answer.ends_with("svc1 200000"), "{how}: {answer}");
    }
    // Who comes over the bad line is found, too.
    let _two = site.service("svc2", &Service::default());
    site.await_instances(&["gw1", "gw2"], &["svc1", "svc2"]);
    load.await_more(200);
    let became = load.end();
    assert!(became.failed.is_empty(), "{how}: {became:?}");
    assert_eq!(became.broken_new + became.broken_reused, 0, "{how}: {became:?}");
}
