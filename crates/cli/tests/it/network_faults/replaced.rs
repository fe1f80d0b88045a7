//! A gateway that is replaced by another as an operator does it: `SIGTERM`, and a new one.
//!
//! Requests under way come to their end. A port is given to one process at a time: between two gateways at one address there
//! is a moment when connections are refused, unless a launcher keeps the socket in between (`front_door`); otherwise an operator
//! who wants none of it has two gateways and replaces one at a time.
//! Connections that wait for a request are closed, and clients that keep theirs ask again over another.

use super::load::{Became, Clients, Load};
use super::site::{Service, Site, url};
use crate::world::wait_until;

#[test]
fn gateways_replaced_one_after_the_other_under_load_fail_no_request() {
    let Some(became) = rolling(&Clients::default()) else { return };
    assert!(became.failed.is_empty(), "{became:?}");
    assert!(became.connections > 12, "each was replaced: {became:?}");
    assert_eq!(became.broken_new, 0, "{became:?}");
}

/// Of clients that make a connection for each request, and of those that keep theirs: it is open when the gateway is told to
/// end, and a request is on its way.
#[test]
fn gateways_replaced_one_after_the_other_under_load_drop_no_connection() {
    for keep in [false, true] {
        let clients = Clients { keep, count: 12, ..Clients::default() };
        let Some(became) = rolling(&clients) else { return };
        assert!(became.failed.is_empty(), "{became:?}");
        let broken = (became.broken_new, became.broken_reused, became.dropped);
        assert_eq!(broken, (0, 0, 0), "{became:?}");
    }
}

/// Replaces one gateway after the other while clients ask, three times.
fn rolling(clients: &Clients<'_>) -> Option<Became> {
    let site = Site::make()?;
    let _discovery = [site.discovery("ds1"), site.discovery("ds2")];
    let _services = [site.service("svc1", &Service::default()), site.service("svc2", &Service::default())];
    let mut gateways = vec![site.gateway("gw1", &[]), site.gateway("gw2", &[])];
    site.await_instances(&["gw1", "gw2"], &["svc1", "svc2"]);
    let load = Load::start(&site, clients);
    for round in 0..3 {
        for host in ["gw1", "gw2"] {
            load.await_more(100);
            assert_eq!(gateways.remove(0).stop(), Some(0), "{host} in round {round}: requests were cut off");
            load.await_more(50);
            gateways.push(site.gateway(host, &[]));
            site.await_instances(&[host], &["svc1", "svc2"]);
        }
    }
    Some(load.end())
}

#[test]
fn request_under_way_comes_to_its_end_while_the_next_gateway_takes_the_port() {
    let Some(site) = Site::make() else { return };
    let _discovery = [site.discovery("ds1"), site.discovery("ds2")];
    let service = site.service("svc1", &Service::default());
    let old = site.gateway("gw1", &[]);
    site.await_instances(&["gw1"], &["svc1"]);
    let load = Load::start(&site, &Clients { gateways: &["gw1"], are_patient: true, ..Clients::default() });
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| site.get("gw1", "/files/api/v1/wait"));
        service.await_line("asked to wait");
        crate::installation::signal(old.pid(), "TERM");
        // It does not listen any more, and the other does before it has ended.
        wait_until("the port being free", || site.ask("gw1", &url("gw1", "/application/health"), &[]).0 == 0);
        let new = site.gateway("gw1", &[]);
        assert_eq!(site.get("gw1", "/files/api/v1/who").0, 200);
        assert!(crate::installation::is_alive(old.pid()), "it waits for what is under way");
        std::fs::write(site.path("go"), "").unwrap();
        let (status, answer) = waiting.join().unwrap();
        assert!(status == 200 && answer.ends_with("svc1"), "{answer}");
        assert_eq!(old.wait(), Some(0));
        load.await_more(100);
        let became = load.end();
        assert!(became.failed.is_empty(), "{became:?}");
        drop(new);
    });
}
