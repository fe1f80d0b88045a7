//! Nothing outside the root can be reached.

use std::{fs, io::Cursor, os::unix::fs::symlink};

use tender_transport::client::{Link, LinkError};

use crate::world::World;

fn refused<T: std::fmt::Debug>(what: &str, result: Result<T, LinkError>) {
    assert!(matches!(result, Err(LinkError::Refused { code: 550 | 553, .. })), "{what}: {result:?}");
}

#[test]
fn path_that_leads_out_is_refused() {
    let world = World::new();
    let secret = world.file("secret", b"secret");
    fs::create_dir(world.root().join("sub")).unwrap();
    let running = world.serve();
    let mut link = world.connect(&running);
    for name in ["../secret", "/../secret", "sub/../../secret", "sub/./.././../secret", "..", "../incoming/x"]
    {
        refused(name, link.retrieve(name, 100));
        refused(name, link.store(name, &mut Cursor::new(b"changed"), 0, &mut |_| {}));
        refused(name, link.delete(name).and_then(|()| link.retrieve(name, 100)));
        refused(name, link.make_dir(name));
        refused(name, link.list(name));
        refused(name, link.rename(name, "mine"));
    }
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
    assert_eq!(fs::read_dir(world.root()).unwrap().count(), 1);
}

#[test]
fn path_that_is_absolute_begins_at_the_root() {
    let world = World::new();
    let secret = world.file("secret", b"secret");
    let running = world.serve();
    let mut link = world.connect(&running);
    refused("absolute", link.retrieve(secret.to_str().unwrap(), 100));
    refused("absolute", link.retrieve("/etc/hostname", 100));
    link.store("/here", &mut Cursor::new(b"x"), 0, &mut |_| {}).unwrap();
    assert!(world.root().join("here").exists());
}

#[test]
fn symbolic_link_planted_in_the_root_is_not_followed() {
    let world = World::new();
    let secret = world.file("secret", b"secret");
    fs::create_dir(world.path("outside")).unwrap();
    world.file("outside/file", b"outside");
    symlink(&secret, world.root().join("link")).unwrap();
    symlink(world.path("outside"), world.root().join("dir")).unwrap();
    symlink("dangling-target", world.root().join("dangling")).unwrap();
    let running = world.serve();
    let mut link = world.connect(&running);
    for name in ["link", "dir/file"] {
        refused(name, link.retrieve(name, 100));
    }
    for name in ["link", "dir/file", "dir/new", "dangling"] {
        refused(name, link.store(name, &mut Cursor::new(b"changed"), 0, &mut |_| {}));
    }
    refused("dir", link.list("dir"));
    refused("dir/sub", link.make_dir("dir/sub"));
    link.store("mine", &mut Cursor::new(b"mine"), 0, &mut |_| {}).unwrap();
    refused("rename into", link.rename("mine", "dir/mine"));
    assert_eq!(link.size("link").unwrap(), None);
    let names: Vec<String> = link.list("").unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["mine"], "links are not shown");
    assert_eq!(fs::read(secret).unwrap(), b"secret");
    assert_eq!(fs::read(world.path("outside/file")).unwrap(), b"outside");
    assert_eq!(fs::read_dir(world.path("outside")).unwrap().count(), 1);
    assert!(!world.root().join("dangling-target").exists());
}

#[test]
fn fifo_planted_in_the_root_holds_nobody_up() {
    let world = World::new();
    let fifo = world.root().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let running = world.serve();
    let mut link = world.connect(&running);
    refused("read", link.retrieve("fifo", 100));
    refused("write", link.store("fifo", &mut Cursor::new(b"x"), 0, &mut |_| {}));
    assert_eq!(link.list("").unwrap(), []);
}
