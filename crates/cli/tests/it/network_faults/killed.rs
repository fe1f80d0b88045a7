//! Processes that are killed: a gateway, discovery, an instance.

use super::load::{Clients, Load};
use super::site::{Service, Site, name, url};
use crate::world::wait_until;

#[test]
fn gateway_killed_under_load_costs_clients_that_know_another_no_read() {
    let Some(site) = Site::make() else { return };
    let _discovery = [site.discovery("ds1"), site.discovery("ds2")];
    let _service = site.service("svc1", &Service::default());
    let (first, _second) = (site.gateway("gw1", &[]), site.gateway("gw2", &[]));
    site.await_instances(&["gw1", "gw2"], &["svc1"]);
    let load = Load::start(&site, &Clients::default());
    load.await_more(200);
    drop(first);
    load.await_more(200);
    assert_eq!(site.get("gw1", "/application/health").0, 0, "it is killed");
    // The next one finds the port free, although clients were connected to it.
    let _first = site.gateway("gw1", &[]);
    site.await_instances(&["gw1"], &["svc1"]);
    let became = load.end();
    assert!(became.failed.is_empty(), "{became:?}");
    assert!(became.broken_reused + became.unreachable > 0, "nobody noticed the kill: {became:?}");
}

#[test]
fn discovery_killed_under_load_costs_no_request_and_comes_back_with_all_that_is_there() {
    let Some(site) = Site::make() else { return };
    let (first, second) = (site.discovery("ds1"), site.discovery("ds2"));
    let gateways = [site.gateway("gw1", &[]), site.gateway("gw2", &[])];
    let _one = site.service("svc1", &Service::default());
    site.await_instances(&["gw1", "gw2"], &["svc1"]);
    // The other is told of what is told to one, which takes a moment.
    site.await_registered("ds2", &["svc1"]);
    let load = Load::start(&site, &Clients::default());

    // One of them: who is new is found through the other.
    drop(first);
    let _two = site.service("svc2", &Service::default());
    site.await_instances(&["gw1", "gw2"], &["svc1", "svc2"]);
    load.await_more(100);
    let first = site.discovery("ds1");
    assert_eq!(site.registered("ds1", "files").len(), 2, "from its first answer on");

    // Both: what was known last stays in use.
    drop((first, second));
    load.await_more(200);
    for gateway in ["gw1", "gw2"] {
        wait_until("the gateway noticing", || {
            let (_, health) = site.get(gateway, "/application/health");
            let age = health.split("\"registryAgeMs\":").nth(1).unwrap_or_default();
            let age =
                age.split(|letter: char| !letter.is_ascii_digit()).next().and_then(|age| age.parse().ok());
            age.is_some_and(|age: u64| age > 2000)
        });
    }
    site.await_instances(&["gw1", "gw2"], &["svc1", "svc2"]);

    // One that knows nothing: services tell it of themselves, and nobody is forgotten before.
    let _first = site.discovery("ds1");
    site.await_registered("ds1", &["svc1", "svc2"]);
    load.await_more(100);
    let _second = site.discovery("ds2");
    site.await_registered("ds2", &["svc1", "svc2"]);
    let became = load.end();
    let said = gateways.map(|gateway| gateway.lines());
    assert!(became.failed.is_empty(), "{became:?}: {said:#?}");
    assert_eq!(became.broken_new + became.broken_reused + became.unreachable, 0, "{became:?}");
    assert_eq!(became.by.len(), 2, "{became:?}");
}

#[test]
fn discovery_that_takes_the_place_of_one_that_was_killed_and_knows_less_takes_no_service_away() {
    let Some(site) = Site::make() else { return };
    let first = site.discovery("ds1");
    let _one = site.service("svc1", &Service { discovery: &["ds1"], ..Service::default() });
    let gateway = site.gateway("gw1", &[]);
    site.await_instances(&["gw1"], &["svc1"]);
    // It learns nothing of the first one.
    first.freeze();
    let _second = site.discovery("ds2");
    drop(first);
    let _two = site.service("svc2", &Service { discovery: &["ds2"], ..Service::default() });
    site.await_instances(&["gw1"], &["svc2"]);
    assert!(site.is_reached("gw1", "svc1"), "it never went away: {:?}", gateway.lines());
}

#[test]
fn instance_killed_under_load_without_a_word_costs_no_read_and_no_change_twice() {
    let Some(site) = Site::make() else { return };
    let _discovery = [site.discovery("ds1"), site.discovery("ds2")];
    let _gateways = [site.gateway("gw1", &[]), site.gateway("gw2", &[])];
    let (one, _two) = (site.service("svc1", &Service::default()), site.service("svc2", &Service::default()));
    site.await_instances(&["gw1", "gw2"], &["svc1", "svc2"]);
    let reads = Load::start(&site, &Clients::default());
    let changes = Load::start(&site, &Clients { changes: true, ..Clients::default() });
    reads.await_more(200);
    changes.await_more(100);
    drop(one);
    reads.await_more(300);
    changes.await_more(150);
    assert_eq!(site.registered("ds1", "files").len(), 2, "nobody was told that it is gone");

    let reads = reads.end();
    assert!(reads.failed.is_empty(), "{reads:?}");
    assert_eq!(reads.broken_new + reads.broken_reused, 0, "no connection of a client was dropped: {reads:?}");
    let met: Vec<_> = reads.by.keys().cloned().collect();
    assert_eq!(met, [name("svc1", 8443), name("svc2", 8443)], "both were asked: {reads:?}");
    let changes = changes.end();
    assert!(changes.failed.is_empty(), "{changes:?}");
    let mut written: Vec<_> = ["svc1", "svc2"]
        .iter()
        .flat_map(|host| {
            let text = std::fs::read_to_string(site.path(&format!("{host}.done"))).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let count = written.len();
    written.sort();
    written.dedup();
    assert_eq!(written.len(), count, "a change came twice");
    let is_written = |change: &String| written.binary_search(change).is_ok();
    assert!(changes.done.iter().all(is_written), "what was answered was done");
    assert!(
        written.iter().all(|change| changes.done.contains(change) || changes.unsure.contains(change)),
        "what was refused was not done"
    );
    // A connection carries one change at a time: more cannot have been under way.
    assert!(changes.unsure.len() <= 6, "{:?}", changes.unsure);
    assert_eq!(site.ask("client", &url("gw1", "/files/api/v1/who"), &[]).0, 200);
}
