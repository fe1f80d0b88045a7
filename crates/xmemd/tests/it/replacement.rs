//! The server is replaced under load, and stays what it was when the new one does not come up.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::Signal;
use tender_xmem::client::{Client, Options};

use crate::plugins::{cgroups_of, hosts, request, server_with};
use crate::wire::Raw;
use crate::world::{ANN, BOB, USUAL, World, is_root, pause, signal, wait_until};

/// Puts a program on the list of authorised modules, under the name of the server.
fn authorise(world: &World, program: &Path) {
    let library = world.path("loadlib");
    std::fs::create_dir_all(&library).unwrap();
    let module = library.join("ZWESIS01");
    std::fs::remove_file(&module).ok();
    std::fs::copy(program, &module).unwrap();
    std::fs::set_permissions(&module, std::fs::Permissions::from_mode(0o755)).unwrap();
    let digest = blake3::hash(&std::fs::read(&module).unwrap()).to_hex();
    let list = world.path("parmlib/authorised");
    let others = std::fs::read_to_string(&list).unwrap_or_default();
    let others = others.lines().filter(|line| !line.starts_with("ZWESIS01 "));
    let line = format!("ZWESIS01 blake3:{digest} server");
    let lines: Vec<&str> = others.chain([line.as_str()]).collect();
    std::fs::write(&list, lines.join("\n") + "\n").unwrap();
    std::fs::set_permissions(&list, std::fs::Permissions::from_mode(0o644)).unwrap();
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
    authorise(&world, Path::new(env!("CARGO_BIN_EXE_tender-xmemd")));
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
            old.iter().all(|pid| !Path::new(&format!("/proc/{pid}/exe")).exists())
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
        authorise(&world, Path::new("/usr/bin/false"));
        let (lines, code) = world.modify("REPLACE");
        assert!(code == 4 && lines.concat().contains("does not go on"), "{lines:?}");
        // A program that says yes and then is none.
        authorise(&world, Path::new("/usr/bin/true"));
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

#[test]
fn replacement_with_a_plug_in_ends_the_old_host_alone() {
    let Some(mut world) = server_with("ZWES.PLUGIN.ECHO=PYECHO\nZWES.DRAIN_SECONDS=10\n") else { return };
    let echo = request("PYECHO", "ECHO", b"hello");
    assert_eq!(Raw::enter(&world, ANN).call(64, &echo).0.code, 0);
    let mut host = hosts(&world);
    // One that does not come up, and whose own host is gone with it.
    authorise(&world, Path::new("/usr/bin/true"));
    let (lines, code) = world.modify("REPLACE");
    assert!(code == 4 && lines.concat().contains("ZWES0272W"), "{lines:?}");
    wait_until("the host is alone", || hosts(&world).len() == 1);
    assert_eq!(hosts(&world), host);
    authorise(&world, Path::new(env!("CARGO_BIN_EXE_tender-xmemd")));
    for round in 1..=2 {
        let (lines, code) = world.modify("REPLACE");
        assert_eq!(code, 0, "{lines:?}");
        wait_until("the old boxes have ended", || world.log().matches("ZWES0273I").count() == round);
        wait_until("one host is left, a new one", || hosts(&world).len() == 1 && hosts(&world) != host);
        let new = hosts(&world);
        let mut ann = Raw::enter(&world, ANN);
        for _ in 0..50 {
            let (reply, payload) = ann.call(64, &echo);
            assert_eq!((reply.code, reply.detail, &*payload), (0, 0, &b"hello"[..]), "{}", world.log());
        }
        assert_eq!(hosts(&world), new, "nobody has ended the new host");
        wait_until("the root process is the new program", || {
            world.log().matches("ZWES0271I").count() == 2 * round
        });
        if let Some(base) = cgroups_of(&world) {
            let cgroups = || {
                let entries = std::fs::read_dir(&base).unwrap().flatten().map(|entry| entry.path());
                entries.filter(|path| path.is_dir()).collect::<Vec<_>>()
            };
            wait_until("one cgroup is left", || cgroups().len() == 1);
            let members = std::fs::read_to_string(cgroups()[0].join("cgroup.procs")).unwrap();
            assert_eq!(members.trim(), new[0].to_string(), "the new host is in a cgroup of its own");
        }
        host = new;
    }
    assert!(!world.log().contains("ZWES0017W"), "no plug-in has failed\n{}", world.log());
    assert_eq!(world.stop().code(), Some(0), "{}", world.log());
}

/// A server with a database that the member names, and another one in which BOB may more.
fn server_with_two_databases() -> World {
    let mut world = World::prepare(USUAL, "");
    tender_saf::SqliteStore::create(&world.path("other.db")).unwrap();
    world.saf_of("other.db", USUAL);
    world.saf_of("other.db", &["PERMIT ZWES.IS.SRV.* CLASS(FACILITY) ID(BOB) ACCESS(UPDATE)"]);
    name_database(&world, "saf.db");
    world.is_database_in_member = true;
    world.run(&[]);
    authorise(&world, Path::new(env!("CARGO_BIN_EXE_tender-xmemd")));
    world
}

fn name_database(world: &World, name: &str) {
    let (loadlib, database) = (world.path("loadlib"), world.path(name));
    world.write_member(&format!(
        "ZWES.LOADLIB={}\nZWES.DRAIN_SECONDS=10\nZWES.SAF.DATABASE={}\n",
        loadlib.display(),
        database.display()
    ));
}

/// Returns how many replacements have come to their end.
fn ended(world: &World) -> usize {
    world.log().matches("ZWES0273I").count()
}

/// Returns the process of a role that is there beside those.
fn another(world: &World, role: &str, known: &[u32]) -> u32 {
    let mut found = None;
    wait_until("there is another process", || {
        found = world.boxes(role).into_iter().find(|pid| !known.contains(pid));
        found.is_some()
    });
    found.unwrap()
}

/// Begins a replacement and stops the new keeper before there are profiles, so that the new boxes cannot become ready;
/// returns that keeper and the new monitor.
fn begin_and_hold(world: &World) -> (u32, u32) {
    for _ in 0..20 {
        let (keepers, monitors) = (world.boxes("keeper"), world.boxes("monitor"));
        let before = ended(world);
        world.signal(Signal::USR2);
        let keeper = loop {
            if let Some(keeper) = world.boxes("keeper").into_iter().find(|pid| !keepers.contains(pid)) {
                break keeper;
            }
            std::thread::yield_now();
        };
        signal(keeper, Signal::STOP);
        // What it says of its sandbox comes before the profiles.
        pause(200);
        if !world.log().contains(&format!("Process keeper started, pid {keeper},")) {
            return (keeper, another(world, "monitor", &monitors));
        }
        signal(keeper, Signal::CONT);
        wait_until("the replacement is over", || ended(world) > before);
    }
    panic!("no keeper was slow enough\n{}", world.log());
}

#[test]
fn reload_while_the_new_boxes_are_started_counts_for_those_that_go_on() {
    if !is_root() {
        return;
    }
    let mut world = server_with_two_databases();
    let (keeper, _) = begin_and_hold(&world);
    let before = ended(&world);
    assert_eq!(Raw::enter(&world, BOB).call(4, b"").0.code, 33);
    name_database(&world, "other.db");
    let (lines, code) = world.modify("RELOAD");
    assert!(code == 0 && lines.concat().contains("ZWES.SAF.DATABASE"), "{lines:?}");
    // It is not needed any more, unless nobody has told the new boxes.
    let held = rustix::process::Pid::from_raw(keeper.cast_signed()).unwrap();
    rustix::process::kill_process(held, Signal::CONT).ok();
    wait_until("the old boxes have ended", || ended(&world) > before);
    wait_until("the new boxes have the other profiles", || Raw::enter(&world, BOB).call(4, b"").0.code == 0);
    let (lines, _) = world.modify("D CONFIG");
    assert!(lines.concat().contains("other.db epoch"), "{lines:?}");
    assert_eq!(world.boxes("keeper").len(), 1);
    assert_eq!(world.stop().code(), Some(0), "{}", world.log());
}

#[test]
fn reload_before_a_replacement_fails_counts_for_those_that_stay() {
    if !is_root() {
        return;
    }
    let mut world = server_with_two_databases();
    let (_, monitor) = begin_and_hold(&world);
    let mut bob = Raw::enter(&world, BOB);
    assert_eq!(bob.call(4, b"").0.code, 33);
    signal(monitor, Signal::STOP);
    name_database(&world, "other.db");
    world.signal(Signal::HUP);
    world.wait_for_log("ZWES0264I");
    signal(monitor, Signal::KILL);
    world.wait_for_log("ZWES0272W");
    wait_until("the other profiles count", || bob.call(4, b"").0.code == 0);
    let (lines, _) = world.modify("D CONFIG");
    assert!(lines.concat().contains("other.db epoch"), "{lines:?}");
    wait_until("the boxes of the replacement are gone", || {
        ["keeper", "monitor", "front"].iter().all(|role| world.boxes(role).len() == 1)
    });
    assert_eq!(world.stop().code(), Some(0), "{}", world.log());
}

#[test]
fn box_that_dies_while_its_replacement_is_started_is_started_again_as_what_it_was() {
    if !is_root() {
        return;
    }
    let mut world = server_with_two_databases();
    let (_, monitor) = begin_and_hold(&world);
    wait_until("both fronts are there", || world.boxes("front").len() == 2);
    let fronts = world.boxes("front");
    // The children of a process are in the order of their start.
    signal(fronts[0], Signal::KILL);
    let front = another(&world, "front", &fronts);
    let program = |pid: u32| std::fs::metadata(format!("/proc/{pid}/exe")).unwrap();
    let file = |pid: u32| std::os::unix::fs::MetadataExt::ino(&program(pid));
    assert_eq!(file(front), file(world.pid()), "not that of the new boxes");
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(ann.call(4, b"x").1, b"x");
    signal(monitor, Signal::KILL);
    world.wait_for_log("ZWES0272W");
    assert_eq!(ann.call(4, b"still here").1, b"still here");
    assert_eq!(ann.call(26, br#"{"refusals":{"count":1}}"#).0.code, 0);
    // And the next replacement is none of the boxes that have just ended.
    let before = ended(&world);
    let (lines, code) = world.modify("REPLACE");
    assert_eq!(code, 0, "{lines:?}");
    drop(ann);
    wait_until("the old boxes have ended", || ended(&world) > before);
    assert_eq!(world.stop().code(), Some(0), "{}", world.log());
}

#[test]
fn program_that_does_not_understand_the_state_is_not_let_in_and_the_server_goes_on() {
    if !is_root() {
        return;
    }
    let mut world = server();
    // A shell on the list runs what is called `check-handover` where the server was started: it keeps the state that it is
    // shown, and says no.
    let script = world.path("check-handover");
    std::fs::write(&script, "cat > state-as-it-is; exit 1\n").unwrap();
    authorise(&world, Path::new("/bin/sh"));
    let (lines, code) = world.modify("REPLACE");
    assert!(code == 4 && lines.concat().contains("does not go on"), "{lines:?}");
    let sealed = std::fs::read_to_string(world.path("state-as-it-is")).unwrap();
    let (sum, json) = sealed.split_once('\n').unwrap();
    assert_eq!(sum, blake3::hash(json.as_bytes()).to_hex().as_str());
    let look = |content: &str| {
        std::fs::write(world.path("state-now"), content).unwrap();
        let file = std::fs::File::open(world.path("state-now")).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tender-xmemd"));
        let ended = command.args(["check-handover", "0"]).stdin(file).output().unwrap();
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    let forged = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut state: serde_json::Value = serde_json::from_str(json).unwrap();
        change(&mut state);
        let json = state.to_string();
        format!("{}\n{json}", blake3::hash(json.as_bytes()).to_hex())
    };
    assert_eq!(look(&forged(&|_| {})), (Some(0), String::new()));
    let format: u64 = serde_json::from_str::<serde_json::Value>(json).unwrap()["format"].as_u64().unwrap();
    let others: [(String, &str); 4] = [
        (sealed.replacen("ZWESIS_STD", "ZWESIS_TWO", 1), "its checksum is wrong"),
        (sealed[..sealed.len() / 2].to_owned(), "its checksum is wrong"),
        (
            forged(&|state| drop(state.as_object_mut().unwrap().remove("settings"))),
            "missing field `settings`",
        ),
        (forged(&|state| state["format"] = (format - 1).into()), "has format 1, this version understands 2"),
    ];
    // Each of them is also what the server is told by the new program, and what it goes on from.
    let program = env!("CARGO_BIN_EXE_tender-xmemd");
    std::fs::write(&script, format!("exec {program} check-handover 0 < state-now\n")).unwrap();
    under_load(&world, |_| {
        for (state, why) in &others {
            let (code, said) = look(state);
            assert!(code == Some(16) && said.contains(why), "{said}");
            let (lines, code) = world.modify("REPLACE");
            assert!(code == 4 && lines.concat().contains("(exit status: 16)"), "{lines:?}");
        }
    });
    assert_eq!(["keeper", "monitor", "front"].map(|role| world.boxes(role).len()), [1; 3]);
    assert_eq!(world.stop().code(), Some(0), "{}", world.log());
}
