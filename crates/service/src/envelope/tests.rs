use std::fs;
use std::path::{Path, PathBuf};

use tender_content::{NoProgress, Node, ObjectStore};
use tender_package::{ComponentName, Vrm};

use super::*;
use crate::shapes::{EnvelopeKind, Fix};

fn fix(id: &str) -> Fix {
    Fix {
        id: FixId::new(id).unwrap(),
        component: ComponentName::new("c").unwrap(),
        description: "text".to_owned(),
        problems: Vec::new(),
        requisites: Vec::new(),
        supersedes: Vec::new(),
        holds: Vec::new(),
        memo: None,
        categories: Vec::new(),
        parts: Vec::new(),
    }
}

fn options() -> Options {
    Options {
        name: "rsu1".to_owned(),
        kind: EnvelopeKind::Rsu,
        vendor: "acme".to_owned(),
        vrm: Some(Vrm::new("720").unwrap()),
        memo: None,
        holds: Vec::new(),
    }
}

fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Makes an envelope of one changed, one added and one deleted part.
fn make(dir: &Path, key: Option<&VendorKey>) -> PathBuf {
    let (old, new) = (dir.join("old"), dir.join("new"));
    write(old.join("a"), "one\n");
    write(old.join("b/gone"), "gone\n");
    write(new.join("a"), &"two\n".repeat(1000));
    write(new.join("c/new"), "new\n");
    let source = FixSource { fix: fix("UM1"), from: Some(old), to: new, is_overlay: false };
    let out = dir.join("rsu1.envelope");
    create(vec![source], &options(), key, &out, &NoProgress).unwrap();
    out
}

fn receive(path: &Path, limits: &Limits) -> Result<EnvelopeHeader, EnvelopeError> {
    let dir = tempfile::tempdir().unwrap();
    let store = ObjectStore::open(dir.path()).unwrap();
    open(path, limits)?.receive(&store, &NoProgress)
}

use crate::shapes::EnvelopeHeader;

#[test]
fn envelope_made_of_two_trees_holds_what_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = make(dir.path(), None);
    let store = ObjectStore::open(&dir.path().join("store")).unwrap();
    let header = open(&path, &Limits::default()).unwrap().receive(&store, &NoProgress).unwrap();
    assert_eq!(header.name, "RSU1");
    let parts: Vec<_> = header.fixes[0]
        .parts
        .iter()
        .map(|part| (part.path.as_str(), part.was.is_some(), part.becomes.is_some()))
        .collect();
    assert_eq!(parts, [("a", true, true), ("b/gone", true, false), ("c/new", false, true)]);
    let digest = header.fixes[0].parts[2].becomes.as_ref().and_then(Node::digest).unwrap();
    assert_eq!(store.read(&digest).unwrap(), b"new\n");
}

#[test]
fn envelope_made_twice_has_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let first = fs::read(make(dir.path(), None)).unwrap();
    assert_eq!(fs::read(make(dir.path(), None)).unwrap(), first);
}

#[test]
fn envelope_of_equal_trees_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path().join("old/a"), "one\n");
    let old = dir.path().join("old");
    let source = FixSource { fix: fix("UM1"), from: Some(old.clone()), to: old, is_overlay: false };
    let error = create(vec![source], &options(), None, &dir.path().join("x"), &NoProgress).unwrap_err();
    assert!(matches!(error, CreateError::NothingChanged { .. }));
}

#[test]
fn overlay_of_new_parts_deletes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path().join("old/a"), "one\n");
    write(dir.path().join("old/b"), "one\n");
    write(dir.path().join("new/b"), "two\n");
    let source = FixSource {
        fix: fix("UM1"),
        from: Some(dir.path().join("old")),
        to: dir.path().join("new"),
        is_overlay: true,
    };
    let header = create(vec![source], &options(), None, &dir.path().join("x"), &NoProgress).unwrap();
    let paths: Vec<_> = header.fixes[0].parts.iter().map(|part| part.path.as_str()).collect();
    assert_eq!(paths, ["b"]);
}

#[test]
fn signature_of_another_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let key = VendorKey::generate(&dir.path().join("key")).unwrap();
    let other = VendorKey::generate(&dir.path().join("other")).unwrap();
    let path = make(dir.path(), Some(&VendorKey::load(&dir.path().join("key")).unwrap()));
    let envelope = open(&path, &Limits::default()).unwrap();
    let public = VendorPublicKey::load(&dir.path().join("key.pub")).unwrap();
    assert_eq!(public, key.public());
    envelope.verify_signature(&public).unwrap();
    let error = envelope.verify_signature(&other.public()).unwrap_err();
    assert!(matches!(error, EnvelopeError::WrongSignature { .. }));
    let unsigned = open(&make(dir.path(), None), &Limits::default()).unwrap();
    assert!(matches!(unsigned.verify_signature(&public), Err(EnvelopeError::NotSigned { .. })));
}

#[test]
fn any_flipped_byte_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let key = VendorKey::generate(&dir.path().join("key")).unwrap();
    let path = make(dir.path(), Some(&key));
    let whole = fs::read(&path).unwrap();
    let damaged = dir.path().join("damaged");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&damaged, &bytes).unwrap();
        let checked = open(&damaged, &Limits::default()).and_then(|envelope| {
            envelope.verify_signature(&key.public())?;
            envelope.verify_parts(&NoProgress)
        });
        // A bit of zstd's own bookkeeping may carry no meaning; then the very same parts must come out.
        if let Ok(header) = checked {
            assert_eq!(header, open(&path, &Limits::default()).unwrap().header, "byte {at}");
        }
    }
}

#[test]
fn truncated_envelope_is_refused_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(make(dir.path(), None)).unwrap();
    let cut = dir.path().join("cut");
    for length in 0..whole.len() {
        fs::write(&cut, &whole[..length]).unwrap();
        assert!(receive(&cut, &Limits::default()).is_err(), "cut at {length}");
    }
    let mut longer = whole;
    longer.push(0);
    fs::write(&cut, &longer).unwrap();
    assert!(matches!(receive(&cut, &Limits::default()), Err(EnvelopeError::Trailing)));
}

/// Writes an envelope whose header `change` has changed, with a right digest.
fn forge(dir: &Path, change: impl FnOnce(&mut serde_json::Value)) -> PathBuf {
    let whole = fs::read(make(dir, None)).unwrap();
    let start = MAGIC.len() + 8;
    let length = u64::from_le_bytes(whole[MAGIC.len()..start].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&whole[start..start + length]).unwrap();
    change(&mut header);
    let text = serde_json::to_vec(&header).unwrap();
    let mut bytes = MAGIC.to_vec();
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(&text);
    bytes.extend(Digest::of(&text).as_bytes());
    bytes.extend(&whole[start + length + 32..]);
    let path = dir.join("forged");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn hostile_header_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    let escape = forge(dir.path(), |header| header["fixes"][0]["parts"][0]["path"] = "../x".into());
    assert!(matches!(receive(&escape, &limits), Err(EnvelopeError::HeaderShape(_))));
    let twice = forge(dir.path(), |header| header["fixes"][0]["parts"][1]["path"] = "a".into());
    assert!(matches!(receive(&twice, &limits), Err(EnvelopeError::Fix(_))));
    let bomb = forge(dir.path(), |header| {
        header["fixes"][0]["parts"][0]["becomes"]["size"] = (1_u64 << 60).into();
    });
    let error = receive(&bomb, &limits).unwrap_err();
    assert!(error.to_string().contains("part `a` of fix UM1"), "{error}");
    let link = forge(dir.path(), |header| {
        header["fixes"][0]["parts"][2]["becomes"] =
            serde_json::json!({"kind": "symlink", "target": "../../x"});
    });
    assert!(matches!(receive(&link, &limits), Err(EnvelopeError::Fix(_))));
    let newer = forge(dir.path(), |header| header["format"] = 9.into());
    assert!(matches!(receive(&newer, &limits), Err(EnvelopeError::Newer { found: 9 })));
    let swapped = forge(dir.path(), |header| {
        let blobs = header["blobs"].as_array_mut().unwrap();
        blobs.swap(0, 1);
    });
    assert!(matches!(receive(&swapped, &limits), Err(EnvelopeError::Part { .. })));
    let missing = forge(dir.path(), |header| header["blobs"] = serde_json::json!([]));
    assert!(matches!(receive(&missing, &limits), Err(EnvelopeError::Part { fault: "are missing", .. })));
}

#[test]
fn limit_on_fixes_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = make(dir.path(), None);
    let limits = Limits { fixes: 0, ..Limits::default() };
    assert!(matches!(receive(&path, &limits), Err(EnvelopeError::TooLarge { .. })));
}
