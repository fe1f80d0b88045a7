//! What is damaged, foreign or hostile is refused, named, and changes nothing that a tree refers to.

use std::error::Error;
use std::fs;

use tender_content::servlink::{ApplyError, ApplyLimits, InspectError, inspect};
use tender_content::{NoProgress, ObjectStore, Tree};

use crate::setup::{Setup, gzip, program, text};

fn built(setup: &Setup) -> (Tree, Tree) {
    let release = |version| {
        setup.tree(&[
            ("a.so", program(version, 100_000)),
            ("b", text(version, 900)),
            ("c.gz", gzip(&text(version, 900))),
        ])
    };
    let (from, to) = (release(1), release(2));
    setup.build(&from, &to);
    (from, to)
}

fn whole_message(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}

#[test]
fn servlink_with_any_byte_flipped_is_refused() {
    let setup = Setup::new();
    let (from, _) = built(&setup);
    let path = setup.at("servlink");
    let good = fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(7).chain(good.len() - 40..good.len()) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, bad).unwrap();
        assert!(inspect(&path).is_err(), "byte {at}");
    }
    fs::write(&path, good).unwrap();
    setup.apply(&from).unwrap();
}

#[test]
fn servlink_with_a_flipped_byte_names_the_section() {
    let setup = Setup::new();
    let (_, _) = built(&setup);
    let path = setup.at("servlink");
    let header = inspect(&path).unwrap();
    let good = fs::read(&path).unwrap();
    let packed: u64 = header.sections.iter().map(|s| s.packed_bytes).sum();
    let mut start = good.len() - 32 - usize::try_from(packed).unwrap();
    for section in &header.sections {
        let mut bad = good.clone();
        bad[start] ^= 1;
        fs::write(&path, bad).unwrap();
        let error = inspect(&path).unwrap_err();
        assert!(error.to_string().contains(&section.name), "{error}");
        start += usize::try_from(section.packed_bytes).unwrap();
    }
}

#[test]
fn servlink_cut_short_anywhere_is_refused() {
    let setup = Setup::new();
    built(&setup);
    let path = setup.at("servlink");
    let good = fs::read(&path).unwrap();
    for end in (0..good.len()).step_by(11) {
        fs::write(&path, &good[..end]).unwrap();
        assert!(inspect(&path).is_err(), "{end} bytes");
    }
}

#[test]
fn file_that_is_something_else_is_refused() {
    let setup = Setup::new();
    fs::write(setup.at("servlink"), "not a servlink at all").unwrap();
    assert!(matches!(inspect(&setup.at("servlink")), Err(InspectError::NotServlink { .. })));
    assert!(matches!(inspect(&setup.at("none")), Err(InspectError::Read { .. })));
}

#[test]
fn servlink_against_another_base_is_refused_and_stores_nothing() {
    let setup = Setup::new();
    let (_, to) = built(&setup);
    let other = setup.tree(&[("x", text(5, 10))]);
    let receiver = ObjectStore::open(&setup.at("receiver")).unwrap();
    let (path, limits) = (setup.at("servlink"), ApplyLimits::default());
    let error = tender_content::servlink::apply(&path, &other, &receiver, &limits, &NoProgress).unwrap_err();
    assert!(matches!(error, ApplyError::WrongBase { .. }));
    assert!(error.to_string().contains(&other.digest().to_hex()), "{error}");
    assert!(to.iter().filter_map(|(_, node)| node.digest()).all(|digest| !receiver.contains(&digest)));
}

#[test]
fn servlink_larger_than_accepted_is_refused() {
    let setup = Setup::new();
    let (from, _) = built(&setup);
    let limits = ApplyLimits { new_bytes_max: 100_000, ..ApplyLimits::default() };
    let error = setup.apply_limited(&from, &limits).unwrap_err();
    assert!(matches!(error, ApplyError::TooLarge { limit: 100_000, .. }), "{error}");
    let limits = ApplyLimits { parts_max: 2, ..ApplyLimits::default() };
    let error = setup.apply_limited(&from, &limits).unwrap_err();
    assert!(matches!(error, ApplyError::TooLarge { limit: 2, .. }), "{error}");
}

#[test]
fn servlink_with_damaged_or_missing_old_part_names_it() {
    let setup = Setup::new();
    let (from, _) = built(&setup);
    let digest = from.get("a.so").unwrap().digest().unwrap();
    let receiver = ObjectStore::open(&setup.at("receiver")).unwrap();
    for digest in from.iter().filter_map(|(_, node)| node.digest()) {
        receiver.put_bytes(&setup.store.read(&digest).unwrap()).unwrap();
    }
    let object = receiver.object_path(&digest);
    let apply = || {
        let path = setup.at("servlink");
        let limits = ApplyLimits::default();
        tender_content::servlink::apply(&path, &from, &receiver, &limits, &NoProgress)
    };
    let mut bytes = fs::read(&object).unwrap();
    bytes[50_000] ^= 1;
    fs::remove_file(&object).unwrap();
    fs::write(&object, bytes).unwrap();
    let error = apply().unwrap_err();
    assert!(whole_message(&error).contains("a.so"), "{}", whole_message(&error));
    assert!(whole_message(&error).contains("damaged"), "{}", whole_message(&error));
    fs::remove_file(&object).unwrap();
    let error = apply().unwrap_err();
    assert!(whole_message(&error).contains("is not in the store"), "{}", whole_message(&error));
}
