//! Any body is an instance or refused; what is an instance can be written in both forms and read again from each, and
//! whatever it says of itself leaves the documents whole.

#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tender_mediation::discovery::{Instance, Registered, Registry, json, xml};

fn check(instance: Instance) {
    let mut registry = Registry::default();
    let (app, id) = (instance.app.clone(), instance.id.clone());
    assert_eq!(registry.register(instance, 1), Registered::New);
    let entry = registry.get(&app, &id).expect("it was registered");
    let stored: Arc<Instance> = Arc::clone(&entry.instance);
    let again = json::read_instance(&json::instance(&stored), 1).expect("what is written is read");
    assert_eq!(again.id, stored.id);
    let metadata: BTreeMap<_, _> =
        stored.metadata.iter().filter(|(key, _)| *key != "@class").map(|(k, v)| (k.clone(), v.clone())).collect();
    assert_eq!(again.metadata, metadata);
    let view = registry.view();
    let document: serde_json::Value =
        serde_json::from_slice(&json::applications(&view)).expect("the whole is JSON");
    assert_eq!(document["applications"]["application"][0]["instance"][0]["instanceId"], stored.id);
    let written = xml::instance(&stored);
    std::str::from_utf8(&written).expect("XML is text");
    // What XML cannot carry is replaced; only whether it can be read is asked.
    if let Err(error) = xml::read_instance(&written, 1) {
        assert!(error.to_string().contains("missing"), "{error}: {}", String::from_utf8_lossy(&written));
    }
}

fuzz_target!(|body: &[u8]| {
    if let Ok(instance) = json::read_instance(body, 1) {
        check(instance);
    }
    if let Ok(instance) = xml::read_instance(body, 1) {
        check(instance);
    }
});
