//! Cables that are cut: nothing arrives, and nobody is told.

use super::load::{Clients, Load};
use super::site::{IMPATIENT, Service, Site};

#[test]
fn sites_that_are_parted_go_on_with_what_each_has_and_know_all_again_when_joined() {
    let Some(site) = Site::make() else { return };
    let (first, _second) = (site.discovery("ds1"), site.discovery("ds2"));
    let _gateways = [site.gateway("gw1", &[]), site.gateway("gw2", &[])];
    // Its lease ends while nobody hears of it.
    let _one = site.service("svc1", &Service { lease_s: 4, ..Service::default() });
    site.await_instances(&["gw1", "gw2"], &["svc1"]);
    site.await_registered("ds2", &["svc1"]);
    let load = Load::start(&site, &Clients { gateways: &["gw1"], ..Clients::default() });
    site.network.part();
    let _two = site.service("svc2", &Service::default());
    site.await_registered("ds2", &["svc2"]);
    site.await_registered("ds1", &["svc1"]);
    first.await_line("ZWEAD108W");
    // Somebody on the other side is served by what is there.
    let own = super::site::url("gw2", "/files/api/v1/who");
    crate::world::wait_until("the other side serving", || {
        let (status, text) = site.ask("ds2", &own, &[]);
        status == 200 && text.ends_with("svc2")
    });
    load.await_more(100);
    site.network.join();
    for discovery in ["ds1", "ds2"] {
        site.await_registered(discovery, &["svc1", "svc2"]);
    }
    first.await_line("ZWEAD109I");
    site.await_instances(&["gw1", "gw2"], &["svc1", "svc2"]);
    let became = load.end();
    assert!(became.failed.is_empty(), "{became:?}");
}

/// What is under way to it may be lost, and is told; all else is led to the other one.
#[test]
fn instance_cut_off_under_load_is_passed_over_and_comes_back() {
    let Some(site) = Site::make() else { return };
    let _discovery = [site.discovery("ds1"), site.discovery("ds2")];
    let _gateway = site.gateway("gw1", &IMPATIENT);
    let _services = [site.service("svc1", &Service::default()), site.service("svc2", &Service::default())];
    site.await_instances(&["gw1"], &["svc1", "svc2"]);
    let load = Load::start(&site, &Clients { gateways: &["gw1"], ..Clients::default() });
    load.await_more(200);
    site.network.unplug("svc1");
    load.await_more(3000);
    let before = load.failed();
    site.network.plug("svc1");
    site.await_instances(&["gw1"], &["svc1"]);
    let became = load.end();
    assert!(became.failed.keys().all(|failed| failed.starts_with("504: ")), "{became:?}");
    assert!(before <= 12, "{before}: {became:?}");
}

#[test]
fn instance_cut_off_under_load_costs_no_read() {
    let Some(site) = Site::make() else { return };
    let _discovery = [site.discovery("ds1"), site.discovery("ds2")];
    let _gateway = site.gateway("gw1", &[]);
    let _services = [site.service("svc1", &Service::default()), site.service("svc2", &Service::default())];
    site.await_instances(&["gw1"], &["svc1", "svc2"]);
    let load = Load::start(&site, &Clients { gateways: &["gw1"], ..Clients::default() });
    load.await_more(200);
    site.network.unplug("svc1");
    load.await_more(1000);
    let became = load.end();
    assert!(became.failed.is_empty(), "{became:?}");
}
