//! Moving files about with our own client.

use std::{fs, io::Cursor, os::unix::fs::PermissionsExt};

use tender_transport::{
    client::{Entry, Link, LinkError},
    server::View,
};

use crate::world::{Running, World, noise};

#[test]
fn file_stored_and_retrieved_is_the_same_and_private() {
    let world = World::new();
    let running = world.serve();
    let mut link = world.connect(&running);
    let bytes = noise(1_000_003);
    let mut heard = Vec::new();
    link.make_dir("720").unwrap();
    let sent = link.store("720/part", &mut Cursor::new(&bytes), 0, &mut |at| heard.push(at)).unwrap();
    assert_eq!(sent, 1_000_003);
    assert_eq!(heard.last(), Some(&1_000_003));
    assert!(heard.is_sorted());
    assert_eq!(link.size("720/part").unwrap(), Some(1_000_003));
    assert_eq!(link.retrieve("720/part", 2_000_000).unwrap(), bytes);
    let path = world.root().join("720/part");
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    link.quit().unwrap();
}

#[test]
fn empty_file_stored_is_there_and_empty() {
    let world = World::new();
    let running = world.serve();
    let mut link = world.connect(&running);
    link.store("empty", &mut Cursor::new(b""), 0, &mut |_| {}).unwrap();
    assert_eq!(link.size("empty").unwrap(), Some(0));
    assert_eq!(link.retrieve("empty", 0).unwrap(), b"");
}

#[test]
fn file_stored_over_a_longer_one_replaces_it_whole() {
    let world = World::new();
    let running = world.serve();
    let mut link = world.connect(&running);
    link.store("a", &mut Cursor::new(b"a long text"), 0, &mut |_| {}).unwrap();
    link.store("a", &mut Cursor::new(b"short"), 0, &mut |_| {}).unwrap();
    assert_eq!(link.retrieve("a", 100).unwrap(), b"short");
}

#[test]
fn file_with_another_name_elsewhere_is_replaced_and_not_written_through() {
    let world = World::new();
    let kept = world.file("kept", b"precious");
    fs::hard_link(&kept, world.root().join("a")).unwrap();
    let running = world.serve();
    let mut link = world.connect(&running);
    link.store("a", &mut Cursor::new(b"new"), 0, &mut |_| {}).unwrap();
    assert_eq!(fs::read(kept).unwrap(), b"precious");
    assert_eq!(link.retrieve("a", 100).unwrap(), b"new");
}

#[test]
fn directory_listing_tells_files_from_directories() {
    let world = World::new();
    let running = world.serve();
    let mut link = world.connect(&running);
    link.make_dir("sub").unwrap();
    link.make_dir("sub").expect("having it already is no error");
    link.store("a name with blanks", &mut Cursor::new(b"12"), 0, &mut |_| {}).unwrap();
    link.store("sub/x", &mut Cursor::new(b"123"), 0, &mut |_| {}).unwrap();
    let entry = |name: &str, size, is_dir| Entry { name: name.into(), size, is_dir };
    let found = link.list("").unwrap();
    assert_eq!(found[0], entry("a name with blanks", 2, false));
    assert_eq!((found[1].name.as_str(), found[1].is_dir, found.len()), ("sub", true, 2));
    assert_eq!(link.list("sub").unwrap(), [entry("x", 3, false)]);
    assert!(matches!(link.list("none"), Err(LinkError::Refused { code: 550, .. })));
    assert_eq!(link.list("sub").unwrap().len(), 1, "the link is good after a refusal");
}

#[test]
fn file_renamed_and_deleted_is_gone() {
    let world = World::new();
    let running = world.serve();
    let mut link = world.connect(&running);
    link.store("a", &mut Cursor::new(b"1"), 0, &mut |_| {}).unwrap();
    link.store("b", &mut Cursor::new(b"2"), 0, &mut |_| {}).unwrap();
    link.rename("a", "b").unwrap();
    assert_eq!(link.retrieve("b", 10).unwrap(), b"1");
    assert_eq!(link.size("a").unwrap(), None);
    link.delete("b").unwrap();
    link.delete("b").expect("having none is no error");
    assert_eq!(link.list("").unwrap(), []);
}

#[test]
fn file_larger_than_the_callers_limit_is_not_taken() {
    let world = World::new();
    let running = world.serve();
    let mut link = world.connect(&running);
    link.store("a", &mut Cursor::new(noise(100_000)), 0, &mut |_| {}).unwrap();
    let refused = link.retrieve("a", 99_999);
    assert!(matches!(refused, Err(LinkError::TooLarge { limit_bytes: 99_999, .. })), "{refused:?}");
}

#[test]
fn view_is_shown_for_reading_alone() {
    let world = World::new();
    fs::create_dir(world.path("results")).unwrap();
    world.file("results/r1.json", b"{}");
    let mut config = world.config();
    config.views = vec![View { name: "results".into(), path: world.path("results") }];
    let running = Running::start(config);
    let mut link = world.connect(&running);
    assert_eq!(link.list("").unwrap()[0].name, "results");
    assert_eq!(link.list("results").unwrap()[0].name, "r1.json");
    assert_eq!(link.retrieve("results/r1.json", 10).unwrap(), b"{}");
    let refused = |result: Result<(), LinkError>| {
        assert!(matches!(result, Err(LinkError::Refused { .. })), "{result:?}");
    };
    refused(link.store("results/r2", &mut Cursor::new(b"x"), 0, &mut |_| {}).map(drop));
    refused(link.store("results/r1.json", &mut Cursor::new(b"x"), 0, &mut |_| {}).map(drop));
    refused(link.delete("results/r1.json"));
    refused(link.rename("results/r1.json", "r1.json"));
    refused(link.rename("results", "other"));
    refused(link.make_dir("results/sub"));
    assert_eq!(fs::read_dir(world.path("results")).unwrap().count(), 1);
    assert_eq!(fs::read(world.path("results/r1.json")).unwrap(), b"{}");
}
