//! Any file of static definitions is read to instances or to problems that name a place, never to a crash.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tender_mediation::discovery::{json, statics, xml};

fuzz_target!(|text: &[u8]| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("a.yml"), text).expect("a file in it");
    let reading = statics::read(&[directory.path().to_owned()], 1);
    for instance in &reading.instances {
        serde_json::from_slice::<serde_json::Value>(&json::instance(instance)).expect("it is JSON");
        assert!(instance.id.starts_with("STATIC-"));
        std::str::from_utf8(&xml::instance(instance)).expect("it is text");
    }
    for problem in &reading.report.problems {
        assert!(!problem.message.is_empty());
    }
});
