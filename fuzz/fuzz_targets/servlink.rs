//! Any bytes, sealed as a servlink is: reading and applying them ends with an answer, never with a panic.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use tender_content::servlink::{ApplyLimits, apply};
use tender_content::{Digest, NoProgress, ObjectStore, Tree};

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("the fuzzer has room for temporary files");
    let store = ObjectStore::open(&dir.path().join("store")).expect("a fresh directory takes a store");
    let path = dir.path().join("servlink");
    let mut file = std::fs::File::create(&path).expect("a fresh directory takes a file");
    // The seal is right, so that what lies behind it is reached.
    let sealed = [bytes, Digest::of(bytes).as_bytes()].concat();
    file.write_all(&sealed).expect("a fresh file takes bytes");
    let limits = ApplyLimits { new_bytes_max: 1 << 24, parts_max: 10_000 };
    let _refused = apply(&path, &Tree::new(), &store, &limits, &NoProgress);
});
