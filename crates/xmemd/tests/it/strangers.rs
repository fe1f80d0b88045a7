//! Who somebody is, against everything that could make the server mistake one for another.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::Signal;
use tender_saf::Verdict;
use tender_xmem::client::Client;
use tender_xmem::code::CmsCode;
use tender_xmem::frame::Kind;

use crate::wire::{Heard, Raw, passed_on};
use crate::world::{ANN, BOB, USUAL, World, as_user, has_program, is_root, signal};

const SOCKET: &str = "XMEMD_TEST_STRANGER";

/// Returns a command that runs one of the other processes below.
fn other(program: impl AsRef<std::ffi::OsStr>, name: &str, world: &World) -> Command {
    let mut command = Command::new(program);
    command
        .args([&format!("strangers::{name}"), "--exact", "--ignored", "--nocapture"])
        .env(SOCKET, world.path("run/ZWESIS_STD/socket"))
        .stdout(Stdio::null());
    command
}

fn socket_path() -> Option<PathBuf> {
    std::env::var_os(SOCKET).map(PathBuf::from)
}

/// Makes a frame of a call of STATUS, in a file.
fn status_call(world: &World, raw: &mut Raw) -> File {
    let header = raw.next_call(4, 2);
    let path = world.path("frame");
    File::create(&path).unwrap().write_all(&[&header.encode()[..], b"hi"].concat()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    File::open(path).unwrap()
}

/// Copies a program and makes it run as somebody, whoever starts it.
fn set_uid(world: &World, program: &str, uid: u32) -> PathBuf {
    let copy = world.path(&format!("{program}-{uid}"));
    std::fs::copy(format!("/usr/bin/{program}"), &copy).unwrap();
    std::os::unix::fs::chown(&copy, Some(uid), Some(uid)).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o4755)).unwrap();
    copy
}

/// Says whether programs can have an owner's rights where the tests are.
fn can_set_uid(world: &World) -> bool {
    let id = set_uid(world, "id", ANN);
    let said = Command::new(id).arg("-u").uid(BOB).gid(BOB).output().unwrap();
    let can = said.stdout == format!("{ANN}\n").as_bytes();
    if !can {
        println!("skipped: set-uid programs do not work in {}", world.dir.path().display());
    }
    can
}

#[test]
fn set_uid_program_that_inherits_a_connection_is_still_who_connected() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    if !can_set_uid(&world) {
        return;
    }
    // BOB's connection in the hands of a program that runs as ANN, as if ANN had been talked into writing there.
    let mut bob = Raw::enter(&world, BOB);
    let frame = status_call(&world, &mut bob);
    let mut deputy = Command::new(set_uid(&world, "cat", ANN));
    deputy.stdin(frame).stdout(bob.socket.try_clone().unwrap()).uid(BOB).gid(BOB);
    assert!(deputy.status().unwrap().success());
    let (reply, _) = bob.hear().frame();
    assert_eq!((reply.kind, reply.code), (Kind::Reply, 33), "it was taken for ANN");
    let entry = &world.audit()[usize::try_from(reply.reference).unwrap() - 1];
    assert_eq!((entry.verdict, entry.user.as_deref()), (Verdict::Refused, Some("BOB")));
    // What it says when something fails is no frame: the connection ends, and nothing is done.
    let mut deputy = Command::new(world.path(&format!("cat-{ANN}")));
    deputy.arg("/no/such/file").stderr(bob.socket.try_clone().unwrap()).uid(BOB).gid(BOB);
    assert!(!deputy.status().unwrap().success());
    assert_eq!(bob.hear_goodbye().0, 9);
}

#[test]
fn inherited_connection_is_its_owners_in_whatever_process_it_is_used() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let mut ann = Raw::enter(&world, ANN);
    let frame = status_call(&world, &mut ann);
    let mut child = Command::new("/usr/bin/cat");
    child.stdin(frame).stdout(ann.socket.try_clone().unwrap()).uid(BOB).gid(BOB);
    assert!(child.status().unwrap().success());
    // A connection is a capability: whoever was handed it calls as its owner, and is audited as such.
    let (reply, payload) = ann.hear().frame();
    assert_eq!((reply.kind, reply.code, &*payload), (Kind::Reply, 0, &b"hi"[..]));
    // The end of a process that inherited it is not the end of its owner.
    assert_eq!(ann.call(4, b"x").0.code, 0);
    let (lines, _) = world.modify("D CLIENTS");
    assert!(lines.iter().any(|line| line.contains(&format!("uid {ANN}"))), "{lines:?}");
}

/// Says whether ordinary users can make user namespaces here.
fn can_make_namespaces() -> bool {
    let mut trial = Command::new("/usr/bin/unshare");
    trial.args(["--user", "--map-root-user", "true"]).uid(ANN).gid(ANN).stderr(Stdio::null());
    let can = trial.status().unwrap().success();
    if !can {
        println!("skipped: users may not make user namespaces here");
    }
    can
}

/// Runs another process that is root in a user namespace of its own, and ANN for the kernel.
fn in_foreign_namespace(world: &World, name: &str) -> std::process::ExitStatus {
    let helper = other("helper", name, world);
    let mut foreign = Command::new("/usr/bin/unshare");
    // The program is standard input: its path may be closed to ANN.
    foreign.args(["--user", "--map-root-user", "/proc/self/fd/0"]).args(helper.get_args());
    foreign.envs(helper.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let program = File::open(std::env::current_exe().unwrap()).unwrap();
    foreign.stdin(program).stdout(Stdio::null()).uid(ANN).gid(ANN).status().unwrap()
}

#[test]
fn caller_in_a_foreign_user_namespace_is_turned_away() {
    if !is_root() || !has_program("/usr/bin/unshare") {
        return;
    }
    if !can_make_namespaces() {
        return;
    }
    let world = World::start(USUAL, "");
    assert!(in_foreign_namespace(&world, "helper_is_turned_away").success(), "{}", world.log());
    world.wait_for_log("in another user namespace");
    // ANN herself, in the namespace of the server, is let in.
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(ann.call(4, b"x").0.code, 0);
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_is_turned_away() {
    let Some(path) = socket_path() else { return };
    let uid = rustix::process::getuid();
    assert!(uid.is_root(), "not root of its own namespace: {uid:?}");
    let mut raw = Raw::connect_as_is(&path);
    raw.try_hello(r#"{"client":"foreign","server":"ZWESIS_STD"}"#).ok();
    assert_eq!(raw.hear_goodbye().0, 33);
}

#[test]
fn caller_with_the_uid_of_nobody_in_particular_is_turned_away() {
    if !is_root() {
        return;
    }
    let overflow = std::fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap();
    let overflow: u32 = overflow.trim().parse().unwrap();
    let world = World::start(USUAL, "");
    // Even with every right: users of all foreign namespaces have this uid here.
    world.saf(&[
        &format!("ADDUSER NEMO OMVS(UID({overflow}))"),
        "PERMIT ZWES.IS CLASS(FACILITY) ID(NEMO) ACCESS(READ)",
        "PERMIT ZWES.IS.SRV.* CLASS(FACILITY) ID(NEMO) ACCESS(READ)",
    ]);
    for _ in 0..3 {
        let raw = Raw::connect(&world, overflow);
        let (code, text) = raw.hear_goodbye();
        assert!(code == 33 && text.contains("overflow uid"), "{code} {text}");
    }
    world.wait_for_log("overflow uid");
}

/// Where the kernel keeps the number of the last process; the next one gets the number after it.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// Says whether the number of the next process can be chosen here.
fn can_choose_numbers() -> bool {
    let can = std::fs::read(LAST_PID).is_ok_and(|last| std::fs::write(LAST_PID, last).is_ok());
    if !can {
        println!("skipped: the number of the next process cannot be chosen here");
    }
    can
}

/// Starts a process of ANN's under a number that was somebody else's; `None` where a third has it by now.
fn reuse(pid: u32) -> Option<Child> {
    for _ in 0..100 {
        std::fs::write(LAST_PID, (pid - 1).to_string()).unwrap();
        let mut child = Command::new("/bin/sleep").arg("1000").uid(ANN).gid(ANN).spawn().unwrap();
        if child.id() == pid {
            return Some(child);
        }
        // Somebody else was faster.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    None
}

/// Lets a process of BOB's connect, takes its connection over, and gives its number to a process of ANN's.
fn stolen(world: &World, name: &str) -> (Raw, Child) {
    (0..50).find_map(|_| try_to_steal(world, name)).expect("no number was free again in fifty tries")
}

fn try_to_steal(world: &World, name: &str) -> Option<(Raw, Child)> {
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .unwrap();
    let program = std::env::current_exe().unwrap();
    let mut victim = other(program, name, world).stdin(theirs).spawn().unwrap();
    let passed = passed_on(&ours);
    assert!(victim.wait().unwrap().success());
    let thief = reuse(victim.id())?;
    Some((Raw::of(passed), thief))
}

#[test]
fn number_of_a_process_that_is_used_again_gives_nobody_the_rights_of_the_new_one() {
    if !is_root() || !can_choose_numbers() {
        return;
    }
    let world = World::start(USUAL, "");
    let nobody_got_in = |raw: &mut Raw, when: &str| {
        // A call may still be on its way when the end is noticed; answered, it is BOB's.
        let header = raw.next_call(4, 0);
        raw.send(&header.encode(), &[]).ok();
        loop {
            match raw.hear() {
                Heard::End => return,
                Heard::Frame(header, ..) if header.kind == Kind::Goodbye => {}
                Heard::Frame(header, ..) => assert_eq!(header.code, 33, "{when}: {header:?}"),
            }
        }
    };
    for round in 0..12 {
        // While the monitor stands still, BOB connects, ends, and ANN has its number before anybody has looked.
        let monitor = world.boxes("monitor")[0];
        signal(monitor, Signal::STOP);
        let (mut raw, mut thief) = stolen(&world, "helper_connects_and_ends");
        signal(monitor, Signal::CONT);
        nobody_got_in(&mut raw, "before it was let in");
        thief.kill().unwrap();
        thief.wait().unwrap();
        // BOB was let in, and ends; ANN has its number when the next call comes.
        let (mut raw, mut thief) = stolen(&world, "helper_is_let_in_and_ends");
        nobody_got_in(&mut raw, "after it was let in");
        thief.kill().unwrap();
        thief.wait().unwrap();
        assert_eq!(world.boxes("monitor"), [monitor], "round {round}\n{}", world.log());
    }
    world.modify("FLUSH");
    let of_ann = world.audit().iter().filter(|entry| entry.user.as_deref() == Some("ANN")).count();
    assert_eq!(of_ann, 0, "something was done in the name of ANN");
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(ann.call(4, b"x").0.code, 0);
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_connects_and_ends() {
    let Some(path) = socket_path() else { return };
    let mut raw = Raw::connect_to(&path, BOB);
    raw.hello(r#"{"client":"helper","server":"ZWESIS_STD"}"#);
    raw.pass_on();
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_is_let_in_and_ends() {
    let Some(path) = socket_path() else { return };
    let mut raw = Raw::connect_to(&path, BOB);
    raw.hello(r#"{"client":"helper","server":"ZWESIS_STD"}"#);
    assert_eq!(raw.hear().frame().0.code, 0);
    raw.pass_on();
}

#[test]
fn client_that_is_turned_away_before_it_could_speak_is_told_why() {
    if !is_root() {
        return;
    }
    let overflow = std::fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap();
    let overflow: u32 = overflow.trim().parse().unwrap();
    let world = World::start(USUAL, "");
    // While others keep the processors busy, the server closes now and then before HELLO was sent.
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let codes: Vec<_> = (0..300)
            .map(|_| {
                let options = world.options();
                let connected = as_user(overflow, || Client::connect("ZWESIS_STD".parse().unwrap(), options));
                connected.err().and_then(|error| error.code())
            })
            .collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(codes.iter().all(|code| *code == Some(CmsCode::PermissionDenied)), "{codes:?}");
    });
}

#[test]
fn caller_in_a_foreign_user_namespace_is_let_in_where_the_member_says_so() {
    if !is_root() || !has_program("/usr/bin/unshare") || !can_make_namespaces() {
        return;
    }
    let world = World::start(USUAL, "ZWES.USERNS=YES\n");
    assert!(in_foreign_namespace(&world, "helper_is_let_in_as_ann").success(), "{}", world.log());
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_is_let_in_as_ann() {
    let Some(path) = socket_path() else { return };
    assert!(rustix::process::getuid().is_root(), "not root of its own namespace");
    let mut raw = Raw::connect_as_is(&path);
    raw.hello(r#"{"client":"foreign","server":"ZWESIS_STD"}"#);
    assert_eq!(raw.hear().frame().0.code, 0);
    let (_, payload) = raw.call(5, b"");
    let who: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((who["uid"].as_u64(), who["user"].as_str()), (Some(ANN.into()), Some("ANN")));
}
