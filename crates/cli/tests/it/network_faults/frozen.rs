//! Processes that hang: their machine still takes connections, and nobody answers.

use super::load::{Clients, Load};
use super::site::{IMPATIENT, Service, Site, url};
use crate::world::wait_until;

/// What a read says that was under way when its instance froze.
const LATE: &str = "504: ";

#[test]
fn gateway_frozen_under_load_costs_clients_that_know_another_what_was_under_way_and_no_more() {
    let Some(site) = Site::make() else { return };
    let _discovery = [site.discovery("ds1"), site.discovery("ds2")];
    let _service = site.service("svc1", &Service::default());
    let (first, _second) = (site.gateway("gw1", &[]), site.gateway("gw2", &[]));
    site.await_instances(&["gw1", "gw2"], &["svc1"]);
    let load = Load::start(&site, &Clients { answer_timeout_s: 10, ..Clients::default() });
    load.await_more(200);
    first.freeze();
    // Half of the clients were with it: they have given it up when all six have asked again.
    load.await_more(300);
    wait_until("its clients giving up", || load.failed() >= 3);
    load.await_more(300);
    first.thaw();
    site.await_instances(&["gw1"], &["svc1"]);
    let became = load.end();
    assert_eq!(became.failed.values().sum::<u64>(), 3, "{became:?}");
    assert!(became.failed.keys().all(|failed| failed.contains("timed out")), "{became:?}");
}

#[test]
fn discovery_frozen_stops_nothing_and_learns_afterwards_what_it_missed() {
    let Some(site) = Site::make() else { return };
    let (first, _second) = (site.discovery("ds1"), site.discovery("ds2"));
    let _gateways = [site.gateway("gw1", &[]), site.gateway("gw2", &[])];
    let _one = site.service("svc1", &Service::default());
    site.await_instances(&["gw1", "gw2"], &["svc1"]);
    let load = Load::start(&site, &Clients::default());
    first.freeze();
    let _two = site.service("svc2", &Service::default());
    site.await_registered("ds2", &["svc1", "svc2"]);
    // Gateways ask the other when this one is silent for too long.
    site.await_instances(&["gw1", "gw2"], &["svc1", "svc2"]);
    load.await_more(100);
    first.thaw();
    site.await_registered("ds1", &["svc1", "svc2"]);
    load.await_more(100);
    let became = load.end();
    assert!(became.failed.is_empty() && became.broken_reused + became.broken_new == 0, "{became:?}");
}

#[test]
fn instance_frozen_under_load_is_passed_over_and_comes_back() {
    // One over each connection that there was, of either thread.
    frozen_instance_is_passed_over(true, 12);
}

/// Its machine takes connections, and without a handshake nothing tells that nobody is behind them.
#[test]
fn instance_frozen_without_tls_under_load_is_passed_over_and_comes_back() {
    // As many each time that it is tried again, and that is ever later.
    frozen_instance_is_passed_over(false, 48);
}

fn frozen_instance_is_passed_over(is_secure: bool, lost_max: u64) {
    let Some(site) = Site::make() else { return };
    let _discovery = [site.discovery("ds1"), site.discovery("ds2")];
    let _gateway = site.gateway("gw1", &IMPATIENT);
    let [one, _two] =
        ["svc1", "svc2"].map(|host| site.service(host, &Service { is_secure, ..Service::default() }));
    site.await_instances(&["gw1"], &["svc1", "svc2"]);
    let load = Load::start(&site, &Clients { gateways: &["gw1"], ..Clients::default() });
    load.await_more(200);
    one.freeze();
    // Everybody who was with it has been told, and nobody is led there any more for a long time.
    load.await_more(3000);
    let before = load.failed();
    one.thaw();
    wait_until("the instance answering again", || site.is_reached("gw1", "svc1"));
    load.await_more(200);
    let became = load.end();
    assert!(became.failed.keys().all(|failed| failed.starts_with(LATE)), "{became:?}");
    assert!(before <= lost_max, "{before}: {became:?}");
    let (status, answer) = site.ask("client", &url("gw1", "/files/api/v1/who"), &[]);
    assert_eq!(status, 200, "{answer}");
}
