//! Any bytes, framed as an envelope is: reading it ends with an answer, and what is received is what it names.

#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use tender_content::{Digest, NoProgress, Node, ObjectStore};
use tender_service::envelope::{Limits, open};

const LIMITS: Limits =
    Limits { header_bytes: 1 << 16, part_bytes: 1 << 20, total_bytes: 1 << 22, fixes: 100, parts: 1000 };

/// Shape of the input: length of the header in two bytes, the header, and what follows the digest of the header.
///
/// The digest is filled in, so that what lies behind it is reached.
fn framed(input: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = input.split_first_chunk::<2>()?;
    let (header, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let length = u64::try_from(header.len()).expect("it came from two bytes").to_le_bytes();
    Some([b"tender-envelope-1\n", &length[..], header, Digest::of(header).as_bytes(), rest].concat())
}

fuzz_target!(|input: &[u8]| {
    let dir = tempfile::tempdir().expect("the fuzzer has room for temporary files");
    let path = dir.path().join("envelope");
    fs::write(&path, framed(input).as_deref().unwrap_or(input)).expect("a fresh directory takes a file");
    let Ok(envelope) = open(&path, &LIMITS) else { return };
    let store = ObjectStore::open(&dir.path().join("store")).expect("a fresh directory takes a store");
    let Ok(header) = envelope.receive(&store, &NoProgress) else { return };
    for part in header.fixes.iter().flat_map(|fix| &fix.parts) {
        if let Some(Node::File { digest, size, .. }) = &part.becomes {
            let bytes = store.read(digest).expect("what was received is in the store");
            assert_eq!(bytes.len() as u64, *size, "part {} has another size than its envelope says", part.path);
        }
    }
});
