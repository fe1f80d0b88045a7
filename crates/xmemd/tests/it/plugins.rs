//! Plug-ins in processes of their own: loaded, called, killed, replaced, told.

use std::os::unix::fs::PermissionsExt as _;

use crate::wire::Raw;
use crate::world::{ANN, BOB, USUAL, World, is_root, wait_until};

/// Starts a server with the plug-in that is written in Python.
fn server() -> Option<World> {
    if !is_root() {
        return None;
    }
    if !std::path::Path::new("/usr/bin/python3").exists() {
        println!("skipped: there is no python3");
        return None;
    }
    let world = World::prepare(USUAL, "");
    let library = world.path("loadlib");
    std::fs::create_dir(&library).unwrap();
    let module = library.join("PYECHO");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/plugins/echo.py");
    std::fs::copy(source, &module).unwrap();
    std::fs::set_permissions(&module, std::fs::Permissions::from_mode(0o755)).unwrap();
    let digest = blake3::hash(&std::fs::read(&module).unwrap()).to_hex();
    std::fs::write(world.path("parmlib/authorised"), format!("PYECHO blake3:{digest} plugin\n")).unwrap();
    let loadlib = library.display();
    world.write_member(&format!(
        "ZWES.LOADLIB={loadlib}\nZWES.PLUGIN.ECHO=PYECHO\nZWES.PLUGIN.GONE=NOTTHERE\n"
    ));
    world.saf(&[
        "RDEFINE FACILITY ZWES.IS.PYECHO.* UACC(NONE) AUDIT(ALL(READ))",
        "PERMIT ZWES.IS.PYECHO.* CLASS(FACILITY) ID(ANN) ACCESS(READ)",
    ]);
    let mut world = world;
    world.run(&[]);
    Some(world)
}

fn request(plugin: &str, service: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{plugin:<16}{service:<16}").into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn plugin_is_called_by_those_who_may_and_others_cannot_tell_whether_it_exists() {
    let Some(world) = server() else { return };
    world.wait_for_log("ZWES0017W");
    assert!(world.log().contains("GONE"), "{}", world.log());
    let mut ann = Raw::enter(&world, ANN);
    let (reply, payload) = ann.call(64, &request("PYECHO", "ECHO", b"hello"));
    assert_eq!((reply.code, reply.detail, &*payload), (0, 0, &b"hello"[..]), "{}", world.log());
    let mut header = ann.next_call(65, 33);
    header.code = 99;
    ann.send(&[&header.encode()[..], &request("PYECHO", "ECHO", b"x")].concat(), &[]).unwrap();
    assert_eq!(ann.hear().frame().0.detail, 15);
    let (reply, _) = ann.call(64, &request("PYECHO", "NOTHING", b""));
    assert_eq!((reply.code, reply.detail), (0, 14));
    assert_eq!(ann.call(64, b"short").0.detail, 12);
    let mut bob = Raw::enter(&world, BOB);
    assert_eq!(bob.call(64, &request("PYECHO", "ECHO", b"x")).0.code, 33);
    assert_eq!(bob.call(64, &request("NOTHERE", "ECHO", b"x")).0.code, 33);
}

#[test]
fn plugin_that_is_killed_is_started_again() {
    let Some(world) = server() else { return };
    let mut ann = Raw::enter(&world, ANN);
    let echo = request("PYECHO", "ECHO", b"hello");
    assert_eq!(ann.call(64, &echo).0.code, 0);
    // A host is the program itself by now, so it has another name than when it was started.
    let children = |world: &World| {
        let pid = world.pid();
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let is_host = |child: &u32| {
            let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            line.windows(4).any(|part| part == b"MOD=")
        };
        text.split_ascii_whitespace()
            .map(|child| child.parse().unwrap())
            .filter(is_host)
            .collect::<Vec<u32>>()
    };
    let host = children(&world)[0];
    let pid = rustix::process::Pid::from_raw(host.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait_until("it is started again", || children(&world).iter().any(|child| *child != host));
    wait_until("it answers again", || {
        let (reply, _) = ann.call(64, &echo);
        assert!(reply.code == 0 || reply.code == 36, "{reply:?}");
        reply.code == 0 && reply.detail == 0
    });
}

#[test]
fn plugin_is_shown_told_and_replaced_while_it_is_used() {
    let Some(world) = server() else { return };
    let (lines, _) = world.modify("D PLUGINS");
    assert!(lines.concat().contains("PYECHO(PYEC)"), "{lines:?}");
    let (lines, _) = world.modify("D(PYEC) STATUS");
    assert!(!lines.is_empty(), "{lines:?}");
    let mut ann = Raw::enter(&world, ANN);
    let echo = request("PYECHO", "ECHO", b"hello");
    let (lines, code) = world.modify("REPLACE(PYEC)");
    assert_eq!(code, 0, "{lines:?}");
    let installed = |world: &World| world.log().matches("ZWES0016I").count();
    let before = installed(&world);
    wait_until("the new one is installed", || {
        let (reply, _) = ann.call(64, &echo);
        assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
        installed(&world) > before || installed(&world) >= 2
    });
    for _ in 0..50 {
        let (reply, _) = ann.call(64, &echo);
        assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
    }
}

#[test]
fn plugin_is_given_payloads_that_do_not_fit_into_a_packet() {
    let Some(world) = server() else { return };
    let mut ann = Raw::enter(&world, ANN);
    let content: Vec<u8> = (0..65_536_u32).map(|number| (number % 251) as u8).collect();
    let (reply, payload) = ann.call_large(0, 64, &request("PYECHO", "ECHO", &content));
    assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
    assert!(payload == content, "{} bytes came back", payload.len());
    // This plug-in's own limit.
    let (reply, payload) = ann.call_large(0, 64, &request("PYECHO", "ECHO", &vec![1; 1_000_000]));
    assert_eq!((reply.code, reply.detail, &*payload), (0, 33, &b"longer than 64 KiB"[..]));
}
