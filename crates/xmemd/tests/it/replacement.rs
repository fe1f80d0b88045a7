//! The server is replaced under load, and stays what it was when the new one does not come up.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tender_xmem::client::{Client, Options};

use crate::world::{ANN, USUAL, World, is_root, wait_until};

/// Puts a program on the list of authorised modules, under the name of the server.
fn authorise(world: &World, program: &std::path::Path) {
    let library = world.path("loadlib");
    std::fs::create_dir_all(&library).unwrap();
    let module = library.join("ZWESIS01");
    std::fs::remove_file(&module).ok();
    std::fs::copy(program, &module).unwrap();
    std::fs::set_permissions(&module, std::fs::Permissions::from_mode(0o755)).unwrap();
    let digest = blake3::hash(&std::fs::read(&module).unwrap()).to_hex();
    let line = format!("ZWESIS01 blake3:{digest} server\n");
    std::fs::write(world.path("parmlib/authorised"), line).unwrap();
    std::fs::set_permissions(world.path("parmlib/authorised"), std::fs::Permissions::from_mode(0o644))
        .unwrap();
}

fn server() -> World {
    let world = World::prepare(USUAL, "");
    let loadlib = world.path("loadlib");
    world.write_member(&format!("ZWES.LOADLIB={}\nZWES.DRAIN_SECONDS=10\n", loadlib.display()));
    let mut world = world;
    world.run(&[]);
    world
}

/// Calls without end while something happens; no call may fail.
fn under_load(world: &World, what: impl FnOnce(&AtomicU64)) {
    let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for ring in [false, true, false] {
            let (stop, calls) = (&stop, &calls);
            scope.spawn(move || {
                crate::world::become_user(ANN);
                let options = Options { ring, ..world.options() };
                let client = Client::connect("ZWESIS_STD".parse().unwrap(), options).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    // Not repeatable: a call that may have been lost would be an error.
                    let reply = client.call(4, b"load").unwrap();
                    assert_eq!(&*reply.payload, b"load");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        wait_until("there is load", || calls.load(Ordering::Relaxed) > 300);
        what(&calls);
        let before = calls.load(Ordering::Relaxed);
        wait_until("calls go on", || calls.load(Ordering::Relaxed) > before + 300);
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn replacement_under_load_fails_no_call_and_leaves_nothing_of_the_old_one() {
    if !is_root() {
        return;
    }
    let mut world = server();
    authorise(&world, std::path::Path::new(env!("CARGO_BIN_EXE_tender-xmemd")));
    let old: Vec<u32> = ["keeper", "monitor", "front"].iter().flat_map(|role| world.boxes(role)).collect();
    under_load(&world, |_| {
        let (lines, code) = world.modify("REPLACE");
        assert!(
            code == 0
                && lines.concat().contains(concat!(
                    "ZWES0271I Replacement done: generation 2, version ",
                    env!("CARGO_PKG_VERSION")
                )),
            "{code} {lines:?}\n{}",
            world.log()
        );
        wait_until("the old boxes are gone", || {
            old.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}/exe")).exists())
        });
        world.wait_for_log("ZWES0273I");
    });
    // The root process is the same process and another program.
    let pid = world.pid();
    wait_until("the root process is the new program", || {
        let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        exe.to_string_lossy().contains("memfd:")
    });
    assert_eq!((world.boxes("monitor").len(), world.boxes("front").len()), (1, 1));
    // It holds the lock, starts boxes again, can be replaced again and stops.
    let second = world.command(&[]).output().unwrap();
    assert_eq!(second.status.code(), Some(21));
    let front = world.kill_box("front");
    wait_until("another front is there", || world.boxes("front").iter().any(|pid| *pid != front));
    let (lines, code) = world.modify("REPLACE");
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(world.stop().code(), Some(0), "{}", world.log());
}

#[test]
fn replacement_that_does_not_come_up_changes_nothing() {
    if !is_root() {
        return;
    }
    let mut world = server();
    let boxes = |world: &World| ["keeper", "monitor", "front"].map(|role| world.boxes(role));
    let before = boxes(&world);
    under_load(&world, |_| {
        // Not on the list.
        let (lines, code) = world.modify("REPLACE");
        assert!(code == 4 && lines.concat().contains("ZWES0272W"), "{lines:?}");
        // On the list, and no server.
        authorise(&world, std::path::Path::new("/usr/bin/false"));
        let (lines, code) = world.modify("REPLACE");
        assert!(code == 4 && lines.concat().contains("does not go on"), "{lines:?}");
        // A program that says yes and then is none.
        authorise(&world, std::path::Path::new("/usr/bin/true"));
        let (lines, code) = world.modify("REPLACE");
        assert!(code == 4 && lines.concat().contains("ZWES0272W"), "{lines:?}");
        // Not the one that is on the list.
        let module = world.path("loadlib/ZWESIS01");
        let mut content = std::fs::read(&module).unwrap();
        content.push(0);
        std::fs::write(&module, content).unwrap();
        let (lines, code) = world.modify("REPLACE");
        assert!(code == 4 && lines.concat().contains("ZWES0272W"), "{lines:?}");
    });
    assert_eq!(boxes(&world), before);
    assert_eq!(world.stop().code(), Some(0));
}
