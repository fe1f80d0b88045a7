use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::discovery::{json, xml};

fn node_body(id: &str, status: &str) -> String {
    format!(
        r#"{{"instance":{{"app":"hwexpress","vipAddress":"hwexpress","instanceId":"{id}","hostName":"localhost",
        "ipAddr":"127.0.0.1","port":{{"$":10039,"@enabled":false}},"securePort":{{"$":"10039","@enabled":"true"}},
        "dataCenterInfo":{{"@class":"com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo","name":"MyOwn"}},
        "metadata":{{"apiml.routes.api_v1.gatewayUrl":"api/v1"}},"status":"{status}","later":{{"x":[1]}}}}}}"#
    )
}

fn instance(id: &str, status: &str, now_ms: u64) -> Instance {
    json::read_instance(node_body(id, status).as_bytes(), now_ms).unwrap()
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn what_node_clients_send_is_taken_and_written_as_java_does() {
    let mut registry = Registry::default();
    assert_eq!(registry.register(instance("localhost:hwexpress:10039", "UP", 7), 7), Registered::New);
    let document = parsed(&json::applications(&registry.view()));
    let applications = &document["applications"];
    assert_eq!(applications["apps__hashcode"], "UP_1_");
    assert_eq!(applications["versions__delta"], "1");
    let one = &applications["application"][0]["instance"][0];
    assert_eq!(applications["application"][0]["name"], "HWEXPRESS");
    assert_eq!(one["port"], serde_json::json!({ "$": 10039, "@enabled": "false" }));
    assert_eq!(one["securePort"], serde_json::json!({ "$": 10039, "@enabled": "true" }));
    assert_eq!(one["lastDirtyTimestamp"], "7");
    assert_eq!(one["leaseInfo"]["durationInSecs"], 90);
    assert_eq!(one["isCoordinatingDiscoveryServer"], "false");
    assert_eq!(one["actionType"], "ADDED");
}

#[test]
fn empty_registry_and_empty_metadata_have_the_forms_that_clients_expect() {
    let mut registry = Registry::default();
    let document = parsed(&json::applications(&registry.view()));
    assert_eq!(document["applications"]["application"], serde_json::json!([]));
    assert_eq!(document["applications"]["apps__hashcode"], "");
    let mut plain = instance("a", "UP", 1);
    plain.metadata.clear();
    registry.register(plain, 1);
    let written = registry.get("HwExpress", "a").unwrap();
    let value = parsed(&json::instance(&written.instance));
    assert_eq!(value["instance"]["metadata"]["@class"], "java.util.Collections$EmptyMap");
    let text = String::from_utf8(xml::instance(&written.instance)).unwrap();
    assert!(text.contains("<metadata class=\"java.util.Collections$EmptyMap\"/>"), "{text}");
    assert!(text.contains("<port enabled=\"false\">10039</port>"), "{text}");
}

#[test]
fn xml_that_is_written_is_read_as_the_same_instance() {
    let mut registry = Registry::default();
    registry.register(instance("a", "UP", 1), 1);
    let stored = &registry.get("hwexpress", "a").unwrap().instance;
    let text = String::from_utf8(xml::instance(stored)).unwrap();
    assert!(
        text.contains("<apiml.routes.api__v1.gatewayUrl>api/v1</apiml.routes.api__v1.gatewayUrl>"),
        "{text}"
    );
    let read = xml::read_instance(text.as_bytes(), 1).unwrap();
    assert_eq!(read.metadata, stored.metadata);
    assert_eq!((read.id, read.port, read.secure_port), (stored.id.clone(), stored.port, stored.secure_port));
    let by_hand = "<instance><app>svc</app><hostName>h</hostName><ipAddr>1</ipAddr>\
                   <securePort enabled=\"true\">8443</securePort>\
                   <dataCenterInfo><name>MyOwn</name></dataCenterInfo></instance>";
    let read = xml::read_instance(by_hand.as_bytes(), 5).unwrap();
    assert_eq!((read.id.as_str(), read.app.as_str(), read.secure_port.number), ("h", "SVC", 8443));
    assert!(read.secure_port.is_enabled && read.port.is_enabled);
}

#[test]
fn announcement_without_what_it_must_have_names_it() {
    for (cut, field) in [
        (r#""hostName":"localhost","#, "hostName"),
        (r#""ipAddr":"127.0.0.1","#, "ipAddr"),
        (r#""app":"hwexpress","#, "app"),
        (r#","name":"MyOwn""#, "dataCenterInfo.name"),
    ] {
        let body = node_body("a", "UP").replace(cut, "");
        let error = json::read_instance(body.as_bytes(), 1).unwrap_err();
        assert_eq!(error.to_string(), format!("`{field}` of the instance is missing"));
    }
    let body = node_body("a", "UP").replace("10039", "70039");
    assert!(json::read_instance(body.as_bytes(), 1).unwrap_err().to_string().contains("a port number"));
    assert!(json::read_instance(b"{}", 1).is_err() && json::read_instance(b"{", 1).is_err());
}

#[test]
fn heartbeat_of_a_client_that_changed_makes_it_register_again() {
    let mut registry = Registry::default();
    registry.register(instance("a", "UP", 100), 100);
    assert_eq!(registry.heartbeat("HWEXPRESS", "a", Some(100), false, 200), Ok(Heartbeat::Renewed));
    let newer = registry.heartbeat("hwexpress", "a", Some(101), false, 200);
    assert!(matches!(newer, Err(Refused::Newer { .. })));
    assert_eq!(registry.heartbeat("hwexpress", "a", Some(99), false, 200), Ok(Heartbeat::Renewed));
    let older = registry.heartbeat("hwexpress", "a", Some(99), true, 200);
    assert!(matches!(older, Ok(Heartbeat::Older(instance)) if instance.dirty_ms == 100));
    assert!(matches!(registry.heartbeat("hwexpress", "b", None, false, 200), Err(Refused::Unknown { .. })));
}

#[test]
fn older_announcement_renews_and_changes_nothing() {
    let mut registry = Registry::default();
    registry.register(instance("a", "UP", 100), 100);
    assert_eq!(registry.register(instance("a", "DOWN", 99), 500), Registered::Kept);
    let entry = registry.get("hwexpress", "a").unwrap();
    assert_eq!((entry.instance.status, entry.instance.lease.renewed_ms), (Status::Up, 500));
    assert_eq!(registry.register(instance("a", "DOWN", 101), 600), Registered::Replaced);
    assert_eq!(registry.hash(), "DOWN_1_");
}

#[test]
fn override_holds_until_it_is_removed_and_then_the_client_registers_again() {
    let mut registry = Registry::default();
    registry.register(instance("a", "UP", 1), 1);
    registry.set_status("hwexpress", "a", Status::OutOfService, 2).unwrap();
    registry.register(instance("a", "UP", 3), 3);
    assert_eq!(registry.get("hwexpress", "a").unwrap().instance.status, Status::OutOfService);
    registry.register(instance("a", "DOWN", 4), 4);
    assert_eq!(registry.get("hwexpress", "a").unwrap().instance.status, Status::Down);
    registry.remove_status("hwexpress", "a", Status::Unknown, 5).unwrap();
    assert!(matches!(registry.heartbeat("hwexpress", "a", None, false, 6), Err(Refused::Unknown { .. })));
    registry.register(instance("a", "UP", 7), 7);
    assert_eq!(registry.get("hwexpress", "a").unwrap().instance.status, Status::Up);
}

#[test]
fn lease_ends_exactly_or_twice_as_late_when_asked_for() {
    for (is_double_lease, last) in [(false, 91_000), (true, 181_000)] {
        let mut registry =
            Registry::new(Policy { is_double_lease, preserving_part: 0.0, ..Policy::default() });
        registry.register(instance("a", "UP", 1_000), 1_000);
        registry.heartbeat("hwexpress", "a", None, false, 1_000).unwrap();
        assert!(registry.evict(last).instances.is_empty());
        assert_eq!(registry.evict(last + 1).instances.len(), 1);
        let delta = parsed(&json::applications(&registry.delta(last + 1)));
        assert_eq!(delta["applications"]["application"][0]["instance"][0]["actionType"], "DELETED");
    }
}

#[test]
fn nobody_is_taken_away_while_most_heartbeats_are_missing() {
    let mut registry = Registry::default();
    for number in 0..10 {
        registry.register(instance(&number.to_string(), "UP", 1), 1);
    }
    for round in 0..4_u64 {
        for number in 0..10 {
            if number != 9 {
                registry
                    .heartbeat("hwexpress", &number.to_string(), None, false, round * 30_000 + 10)
                    .unwrap();
            }
        }
    }
    assert_eq!(
        registry.evict(119_000).instances.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
        ["9"]
    );
    assert!(!registry.is_preserving(120_001));
    assert!(registry.is_preserving(600_000));
    assert!(registry.evict(600_000) == Evicted { instances: Vec::new(), preserved: 9 });
}

#[test]
fn changes_are_told_for_a_while_and_forgotten() {
    let mut registry = Registry::default();
    registry.register(instance("a", "UP", 1), 1);
    registry.add_metadata("hwexpress", "a", BTreeMap::from([("k".into(), "v".into())]), 100_000).unwrap();
    let delta = registry.delta(280_000);
    assert_eq!(delta.applications[0].1[0].action, Action::Modified);
    assert_eq!(delta.applications[0].1[0].metadata["k"], "v");
    assert_eq!(registry.delta(280_001).applications.len(), 0);
    registry.forget(280_001);
    assert!(registry.changes.is_empty());
}

/// A client that reads changes: what it must end up with.
fn merged(mut known: BTreeMap<String, String>, delta: &Value) -> BTreeMap<String, String> {
    for application in delta["applications"]["application"].as_array().unwrap() {
        for one in application["instance"].as_array().unwrap() {
            let id = one["instanceId"].as_str().unwrap().to_owned();
            if one["actionType"] == "DELETED" {
                known.remove(&id);
            } else {
                known.insert(id, one["status"].as_str().unwrap().to_owned());
            }
        }
    }
    known
}

fn hash_of(known: &BTreeMap<String, String>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    known.values().for_each(|status| *counts.entry(status).or_default() += 1);
    counts.into_iter().map(|(status, count)| format!("{status}_{count}_")).collect()
}

proptest! {
    #[test]
    fn client_that_merges_changes_has_the_hash_of_the_whole(steps in proptest::collection::vec((0..4_u8, 0..6_u8, 0..5_usize), 1..60)) {
        let mut registry = Registry::default();
        let mut known = BTreeMap::new();
        for (at, (step, number, status)) in steps.into_iter().enumerate() {
            let (now_ms, id) = (at as u64 * 1000 + 1, number.to_string());
            let status = Status::ALL[status];
            match step {
                0 => { registry.register(instance(&id, status.name(), now_ms), now_ms); }
                1 => { registry.cancel("hwexpress", &id, now_ms).ok(); }
                2 => { registry.set_status("hwexpress", &id, status, now_ms).ok(); }
                _ => { registry.remove_status("hwexpress", &id, status, now_ms).ok(); }
            }
            let delta = parsed(&json::applications(&registry.delta(now_ms)));
            known = merged(known, &delta);
            prop_assert_eq!(hash_of(&known), delta["applications"]["apps__hashcode"].as_str().unwrap());
            let whole = merged(BTreeMap::new(), &parsed(&json::applications(&registry.view())));
            prop_assert_eq!(&whole, &known);
        }
    }
}

#[test]
fn registry_takes_no_more_than_it_may_hold() {
    let mut registry = Registry::new(Policy { instances_max: 2, ..Policy::default() });
    for (id, outcome) in [
        ("a", Registered::New),
        ("b", Registered::New),
        ("c", Registered::Full(Limit::Instances { max: 2 })),
        ("a", Registered::Replaced),
    ] {
        assert_eq!(registry.register(instance(id, "UP", 1), 1), outcome, "{id}");
    }
    registry.cancel("hwexpress", "a", 2).unwrap();
    assert_eq!(registry.register(instance("c", "UP", 1), 3), Registered::New);
    assert_eq!(registry.count(), 2);

    let one = instance("a", "UP", 1);
    let max = one.weight() + 10;
    let full = Registered::Full(Limit::Bytes { max });
    let mut registry = Registry::new(Policy { bytes_max: max, ..Policy::default() });
    assert_eq!(registry.register(one.clone(), 1), Registered::New);
    let mut larger = one;
    larger.metadata.insert("k".repeat(100), String::new());
    assert_eq!(registry.register(larger, 2), full);
    assert_eq!(registry.register(instance("b", "UP", 1), 3), full);
    let more = BTreeMap::from([("k".repeat(100), String::new())]);
    let refused = registry.add_metadata("hwexpress", "a", more, 4);
    assert_eq!(refused, Err(Refused::Full(Limit::Bytes { max })));
    // Who is not over the limit may say less and the same.
    let same = BTreeMap::from([("apiml.routes.api_v1.gatewayUrl".to_owned(), "api/v2".to_owned())]);
    registry.add_metadata("hwexpress", "a", same, 4).unwrap();
    assert_eq!(registry.bytes, max - 10);
    registry.cancel("hwexpress", "a", 4).unwrap();
    assert_eq!((registry.count, registry.bytes), (0, 0));
}

#[test]
fn one_that_fails_alone_is_taken_away_and_what_the_server_keeps_is_not_counted() {
    let mut registry = Registry::default();
    registry.register(instance("a", "UP", 1), 1);
    for id in ["own-1", "own-2", "own-3"] {
        registry.take_own(instance(id, "UP", 1), 1);
    }
    for round in 1..=10 {
        for id in ["own-1", "own-2", "own-3"] {
            registry.keep(instance(id, "UP", 1), round * 30_000);
        }
    }
    assert!(registry.is_preserving(300_000));
    let evicted = registry.evict(300_000).instances;
    assert_eq!(evicted.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["a"]);
    assert!(!registry.is_preserving(300_000), "nothing is expected any more");
    assert_eq!(registry.version(), 5, "renewing is no change");
    registry.cancel("hwexpress", "own-1", 300_001).unwrap();
    registry.keep(instance("own-1", "UP", 1), 300_002);
    assert_eq!(registry.count(), 3);
}

proptest! {
    #[test]
    fn whatever_an_instance_says_is_read_again_from_both_forms(
        metadata in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..6),
        home in any::<String>(),
        vip in "\\PC*",
    ) {
        let body = serde_json::json!({ "instance": {
            "instanceId": "a", "app": "svc", "hostName": "h", "ipAddr": "1", "dataCenterInfo": { "name": "MyOwn" },
            "metadata": metadata, "homePageUrl": home, "vipAddress": vip,
        }});
        let stored = json::read_instance(body.to_string().as_bytes(), 1).unwrap();
        let again = json::read_instance(&json::instance(&stored), 1).unwrap();
        prop_assert_eq!(&again, &stored);
        let text = String::from_utf8(xml::instance(&stored)).unwrap();
        let from_xml = xml::read_instance(text.as_bytes(), 1).unwrap();
        let keys = |instance: &Instance| instance.metadata.keys().cloned().collect::<Vec<_>>();
        prop_assert_eq!(keys(&from_xml), keys(&stored), "{}", text);
        prop_assert_eq!(from_xml.vip, stored.vip);
    }
}

#[test]
fn metadata_of_one_instance_is_bounded_and_refused_as_a_whole() {
    let max = instance("a", "UP", 1).weight() + 200;
    let mut registry = Registry::new(Policy { instance_bytes_max: max, ..Policy::default() });
    registry.register(instance("a", "UP", 1), 1);
    let add = |registry: &mut Registry, key: &str| {
        registry.add_metadata("hwexpress", "a", BTreeMap::from([(key.to_owned(), "v".repeat(50))]), 2)
    };
    add(&mut registry, "first").unwrap();
    let version = registry.version();
    assert_eq!(add(&mut registry, "second"), Err(Refused::Full(Limit::InstanceBytes { max })));
    let stored = &registry.get("hwexpress", "a").unwrap().instance;
    assert!(!stored.metadata.contains_key("second") && registry.version() == version);
    assert_eq!(registry.bytes, stored.weight());
    assert!(matches!(add(&mut Registry::default(), "x"), Err(Refused::Unknown { .. })));
}

#[test]
fn who_is_gone_and_still_told_of_takes_no_more_room_than_there_is() {
    let weight = instance("0", "UP", 1).weight();
    let mut registry = Registry::new(Policy { bytes_max: 10 * weight + 5, ..Policy::default() });
    registry.register(instance("stays", "UP", 1), 1);
    for number in 0..100 {
        let id = (number % 10).to_string() + "-" + &(number / 10).to_string();
        assert_eq!(registry.register(instance(&id, "UP", 1), 1), Registered::New, "{number}");
        registry.cancel("hwexpress", &id, 1).unwrap();
        let kept: usize = registry.changes.values().map(|change| change.instance.weight()).sum();
        assert!(kept <= 11 * weight + 100, "{kept} bytes after {number}");
        assert_eq!(registry.gone_bytes, registry.changes.values().map(Changed::gone_bytes).sum::<usize>());
    }
    assert!(registry.changes.len() > 1, "what there is room for is told");
    assert!(
        registry.changes.contains_key(&("HWEXPRESS".to_owned(), "stays".to_owned())),
        "who is there is told"
    );
    registry.forget(1_000_000);
    assert_eq!((registry.gone_bytes, registry.bytes), (0, instance("stays", "UP", 1).weight()));
}

#[test]
fn letters_of_other_alphabets_are_not_those_of_ascii() {
    let mut registry = Registry::default();
    registry.register(instance("a", "UP", 1), 1);
    // In upper case this is HWEXPRESS as Unicode has it.
    let alike = "hwexpre\u{17f}\u{17f}";
    assert!(registry.get(alike, "a").is_none() && registry.of(alike).next().is_none());
    assert!(matches!(registry.heartbeat(alike, "a", None, false, 2), Err(Refused::Unknown { .. })));
    assert!(matches!(registry.cancel(alike, "a", 2), Err(Refused::Unknown { .. })));
    assert!(registry.set_status(alike, "a", Status::Down, 2).is_err());
}

#[test]
fn override_is_of_one_service_though_another_has_an_instance_of_that_name() {
    let mut registry = Registry::default();
    let other = |now_ms: u64| Instance { app: "OTHER".to_owned(), ..instance("a", "UP", now_ms) };
    registry.register(instance("a", "UP", 1), 1);
    registry.set_status("hwexpress", "a", Status::OutOfService, 2).unwrap();
    registry.register(other(3), 3);
    assert_eq!(registry.get("other", "a").unwrap().instance.status, Status::Up);
    registry.cancel("other", "a", 4).unwrap();
    registry.register(instance("a", "UP", 5), 5);
    assert_eq!(registry.get("hwexpress", "a").unwrap().instance.status, Status::OutOfService);
    assert_eq!(registry.overrides().collect::<Vec<_>>(), [("HWEXPRESS", "a", Status::OutOfService)]);
}

#[test]
fn own_instance_has_its_status_again_when_no_operator_says_another() {
    let mut registry = Registry::default();
    let status = |registry: &Registry| registry.get("hwexpress", "own").unwrap().instance.status;
    registry.keep(instance("own", "UP", 1), 1);
    registry.set_status("hwexpress", "own", Status::Down, 2).unwrap();
    // Also long after the time for which an override is kept that nobody asks for.
    for hour in 0..5 {
        let now_ms = 3 + hour * 3_000_000;
        registry.keep(instance("own", "UP", 1), now_ms);
        registry.forget(now_ms);
        assert_eq!(status(&registry), Status::Down, "{hour}");
    }
    for then in [Status::Unknown, Status::Down, Status::OutOfService] {
        registry.remove_status("hwexpress", "own", then, 20_000_000).unwrap();
        assert_eq!(status(&registry), then);
        registry.keep(instance("own", "UP", 1), 20_000_001);
        assert_eq!(status(&registry), Status::Up, "after {then:?}");
    }
}

#[test]
fn own_instance_is_nobody_elses_whatever_others_announced_first_or_later() {
    let mut registry = Registry::default();
    let foreign = || Instance { host: "foreign".to_owned(), dirty_ms: u64::MAX, ..instance("own", "UP", 1) };
    let host = |registry: &Registry| registry.get("hwexpress", "own").unwrap().instance.host.clone();
    assert_eq!(registry.register(foreign(), 1), Registered::New);
    registry.keep(instance("own", "UP", 1), 2);
    assert_eq!(host(&registry), "localhost");
    assert_eq!(registry.register(foreign(), 3), Registered::Own);
    registry.keep(instance("own", "UP", 1), 4);
    assert_eq!(host(&registry), "localhost");
    assert_eq!(
        (registry.count, registry.bytes),
        (1, registry.get("hwexpress", "own").unwrap().instance.weight())
    );
    registry.release("hwexpress", "own", 5);
    assert_eq!(registry.register(foreign(), 6), Registered::New);
    registry.release("hwexpress", "own", 7);
    assert_eq!(host(&registry), "foreign", "it was not ours to take away");
}

#[test]
fn numbers_are_those_that_java_clients_can_read_and_ports_may_have_blanks() {
    let read =
        |from: &str, to: &str| json::read_instance(node_body("a", "UP").replace(from, to).as_bytes(), 1);
    let blank = read("\"10039\"", "\" 10039\\n\"").unwrap();
    assert_eq!(blank.secure_port.number, 10039);
    let text = "<instance><app>svc</app><hostName>h</hostName><ipAddr>1</ipAddr><port>\n  8080\n</port>\
                <dataCenterInfo><name>MyOwn</name></dataCenterInfo></instance>";
    assert_eq!(xml::read_instance(text.as_bytes(), 1).unwrap().port.number, 8080);
    let with = |more: &str| read("\"status\":", &format!("{more},\"status\":"));
    for (more, is_read) in [
        ("\"countryId\":2147483647", true),
        ("\"countryId\":2147483648", false),
        ("\"lastDirtyTimestamp\":\"9223372036854775807\"", true),
        ("\"lastDirtyTimestamp\":\"9223372036854775808\"", false),
        ("\"lastDirtyTimestamp\":18446744073709551615", false),
        ("\"leaseInfo\":{\"durationInSecs\":2147483647}", true),
        ("\"leaseInfo\":{\"durationInSecs\":2147483648}", false),
        ("\"leaseInfo\":{\"renewalIntervalInSecs\":99999999999}", false),
    ] {
        let read = with(more);
        assert_eq!(read.is_ok(), is_read, "{more}: {read:?}");
        if let Err(error) = read {
            assert!(error.to_string().contains("a whole number up to"), "{error}");
        }
    }
}
