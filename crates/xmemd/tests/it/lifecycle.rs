//! Starting, stopping, one server a name.

use std::process::Stdio;

use rustix::process::Signal;
use tender_xmem::frame::Kind;

use crate::wire::Raw;
use crate::world::{ANN, USUAL, World, is_root, wait_until};

#[test]
fn server_starts_answers_writes_everything_down_and_stops() {
    if !is_root() {
        return;
    }
    let mut world = World::start(USUAL, "");
    let mut ann = Raw::enter(&world, ANN);
    for number in 0..100_u8 {
        let (reply, payload) = ann.call(4, &[number; 64]);
        assert_eq!((reply.code, reply.detail, &*payload), (0, 0, &[number; 64][..]));
    }
    let keeper = world.boxes("keeper");
    assert_eq!((keeper.len(), world.boxes("monitor").len(), world.boxes("front").len()), (1, 1, 1));
    let status = world.stop();
    assert_eq!(status.code(), Some(0), "{}", world.log());
    let (goodbye, text) = ann.hear_goodbye();
    assert_eq!(goodbye, 25, "{text}");
    for id in ["ZWES0001I", "ZWES0004I", "ZWES0109I", "ZWES0223I", "ZWES0111I", "ZWES0114I", "ZWES0012I"] {
        assert!(world.log().contains(id), "{id}\n{}", world.log());
    }
    let counted: u64 = world
        .audit()
        .iter()
        .filter(|entry| entry.resource == "ZWES.IS.SRV.STATUS" && entry.user.as_deref() == Some("ANN"))
        .map(|entry| entry.count)
        .sum();
    assert_eq!(counted, 100);
    assert!(!std::path::Path::new(&format!("/proc/{}", keeper[0])).exists());
}

#[test]
fn boxes_are_nobody_and_cannot_be_looked_into() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    for (role, user) in [("monitor", "daemon"), ("front", "bin")] {
        let pid = world.boxes(role)[0];
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let uid = nix::unistd::User::from_name(user).unwrap().unwrap().uid.to_string();
        assert!(field("Uid:").iter().all(|found| *found == uid), "{role} {status}");
        assert_eq!(field("CapEff:"), ["0000000000000000"], "{role}");
        assert_eq!(field("CapBnd:"), ["0000000000000000"], "{role}");
        assert_eq!((&*field("NoNewPrivs:")[0], &*field("Seccomp:")[0]), ("1", "2"), "{role}");
    }
}

#[test]
fn second_start_of_a_name_names_the_holder_and_ends_with_21() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let second = world.command(&[]).output().unwrap();
    let said = String::from_utf8_lossy(&second.stdout);
    assert_eq!(second.status.code(), Some(21), "{said}");
    assert!(said.contains("ZWES0202E") && said.contains(&world.pid().to_string()), "{said}");
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(ann.call(4, b"still here").1, b"still here");
}

#[test]
fn servers_of_different_names_live_side_by_side() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let mut other = world.command(&["NAME=ZWESIS_TWO"]).stdout(Stdio::null()).spawn().unwrap();
    wait_until("the other server is there", || world.path("run/ZWESIS_TWO/socket").exists());
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(other.id().cast_signed()), nix::sys::signal::SIGTERM)
        .unwrap();
    assert_eq!(other.wait().unwrap().code(), Some(0));
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(ann.call(4, b"x").0.code, 0);
}

#[test]
fn start_that_cannot_work_says_how_it_could() {
    if !is_root() {
        return;
    }
    let world = World::prepare(USUAL, "");
    let said = |member: &str, words: &[&str]| {
        std::fs::write(world.path("parmlib/ZWESIP00"), member).unwrap();
        let ended = world.command(words).output().unwrap();
        assert_ne!(ended.status.code(), Some(0));
        String::from_utf8_lossy(&ended.stdout).into_owned()
    };
    let missing = said("ZWES.USER.MONITOR=nosuchuser\nZWES.USER.FRONT=bin\n", &[]);
    assert!(missing.contains("ZWES0011E") && missing.contains("useradd"), "{missing}");
    let same = said("ZWES.USER.MONITOR=root\nZWES.USER.FRONT=bin\n", &[]);
    assert!(same.contains("root"), "{same}");
    let suffix = said("", &["MEM=TOOLONG"]);
    assert!(suffix.contains("ZWES0007E"), "{suffix}");
    let member = said("", &["MEM=99"]);
    assert!(member.contains("ZWES0009E"), "{member}");
    let name = said("", &["NAME=A_NAME_THAT_IS_LONGER_THAN_16"]);
    assert!(name.contains("ZWES0014E"), "{name}");
}

#[test]
fn part_started_by_hand_refuses() {
    for role in ["@front", "@monitor", "@keeper", "@worker", "@auxiliary"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tender-xmemd"));
        let ended = command.arg(role).stdin(Stdio::null()).output().unwrap();
        assert_eq!(ended.status.code(), Some(8), "{role}");
        assert!(String::from_utf8_lossy(&ended.stdout).contains("never by hand"), "{role}");
    }
}

#[test]
fn stop_lets_a_call_under_way_finish() {
    if !is_root() {
        return;
    }
    let mut world = World::start(USUAL, "");
    let mut ann = Raw::enter(&world, ANN);
    // A wrong password takes a second.
    let sequence = ann.cast(11, br#"{"password":{"user":"ANN","password":"wrong"}}"#);
    wait_until("a worker is there", || !world.boxes("worker").is_empty());
    world.signal(Signal::TERM);
    let mut answered = false;
    while let crate::wire::Heard::Frame(header, ..) = ann.hear() {
        answered |= header.kind == Kind::Reply && header.sequence == sequence && header.code == 0;
    }
    assert!(answered, "the call was not answered");
    assert_eq!(world.ended().code(), Some(0));
}

#[test]
fn cold_start_and_kill_leave_nothing_that_stops_the_next_start() {
    if !is_root() {
        return;
    }
    let mut world = World::start(USUAL, "");
    let generation = std::fs::read_to_string(world.state("generation")).unwrap();
    let boxes: Vec<u32> = ["keeper", "monitor", "front"].iter().flat_map(|role| world.boxes(role)).collect();
    world.signal(Signal::KILL);
    world.ended();
    wait_until("its boxes end with it", || {
        boxes.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}/exe")).exists())
    });
    world.run(&["COLD"]);
    assert!(world.log().contains("ZWES0107I"));
    assert_ne!(std::fs::read_to_string(world.state("generation")).unwrap(), generation);
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(ann.call(4, b"x").0.code, 0);
}

#[test]
fn parameters_are_read_again_on_hangup() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "ZWES.PUBLIC.GREETING=one\n");
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(ann.call(3, b"ZWES.PUBLIC.GREETING").1, b"one");
    world.write_member("ZWES.PUBLIC.GREETING=two\n");
    world.signal(Signal::HUP);
    wait_until("the new value is there", || ann.call(3, b"ZWES.PUBLIC.GREETING").1 == b"two");
    assert!(world.log().contains("ZWES0264I"), "{}", world.log());
}

fn named(world: &World, database: &str) -> String {
    format!("ZWES.SAF.DATABASE={}\n", world.path(database).display())
}

/// A server with a database that the member names, and another one in which BOB may more.
fn server_with_two_databases() -> World {
    let mut world = World::prepare(USUAL, "");
    tender_saf::SqliteStore::create(&world.path("other.db")).unwrap();
    world.saf_of("other.db", USUAL);
    world.saf_of("other.db", &["PERMIT ZWES.IS.SRV.* CLASS(FACILITY) ID(BOB) ACCESS(UPDATE)"]);
    world.write_member(&named(&world, "saf.db"));
    world.is_database_in_member = true;
    world.run(&[]);
    world
}

#[test]
fn profiles_of_another_database_count_when_the_member_that_names_it_is_read_again() {
    if !is_root() {
        return;
    }
    let world = server_with_two_databases();
    let (mut ann, mut bob) = (Raw::enter(&world, ANN), Raw::enter(&world, crate::world::BOB));
    assert_eq!(bob.call(4, b"").0.code, 33);
    let keeper = world.boxes("keeper");
    world.write_member(&named(&world, "gone.db"));
    let (lines, _) = world.modify("RELOAD");
    assert!(lines.concat().contains("ZWES0265W") && lines.concat().contains("gone.db"), "{lines:?}");
    assert_eq!((world.boxes("keeper"), bob.call(4, b"").0.code), (keeper.clone(), 33));
    world.write_member(&named(&world, "other.db"));
    let (lines, code) = world.modify("RELOAD");
    assert!(code == 0 && lines.concat().contains("ZWES.SAF.DATABASE"), "{lines:?}");
    wait_until("the other profiles count", || bob.call(4, b"").0.code == 0);
    assert_eq!(ann.call(4, b"x").0.code, 0);
    wait_until("the old keeper is gone", || !world.boxes("keeper").contains(&keeper[0]));
    let (lines, _) = world.modify("D CONFIG");
    assert!(lines.concat().contains("profiles") && lines.concat().contains("other.db"), "{lines:?}");
    // The new one hears of changes as the old one did.
    world.saf_of("other.db", &["PERMIT ZWES.IS.SRV.* CLASS(FACILITY) ID(BOB) ACCESS(NONE)"]);
    wait_until("the change counts", || bob.call(4, b"").0.code == 33);
    assert!(!world.log().contains("ZWES0261W"), "an orderly change is no failure\n{}", world.log());
}

#[test]
fn keeper_of_another_database_is_the_only_one_though_the_last_was_to_be_started_again() {
    if !is_root() {
        return;
    }
    let world = server_with_two_databases();
    let mut bob = Raw::enter(&world, crate::world::BOB);
    for pause in [0, 50, 100, 200, 400, 800, 1600] {
        wait_until("there is a keeper that works", || {
            let is_at_work = |pid: &u32| world.log().contains(&format!("Process keeper started, pid {pid},"));
            world.boxes("keeper").iter().any(is_at_work)
        });
        world.kill_box("keeper");
        world.wait_for_log(&format!("is started again in {pause} ms"));
    }
    world.write_member(&named(&world, "other.db"));
    let (lines, code) = world.modify("RELOAD");
    assert_eq!(code, 0, "{lines:?}");
    wait_until("the other profiles count", || bob.call(4, b"").0.code == 0);
    let keeper = world.boxes("keeper");
    // Until the pause of the last one is over.
    crate::world::pause(2500);
    assert_eq!((world.boxes("keeper"), keeper.len()), (keeper, 1), "{}", world.log());
}

#[test]
fn keeper_that_cannot_be_started_is_started_later() {
    if !is_root() {
        return;
    }
    let mut world = server_with_two_databases();
    let mut bob = Raw::enter(&world, crate::world::BOB);
    world.write_member(&named(&world, "other.db"));
    // Enough for the member, too few for another process.
    let limit = crate::world::leave_descriptors(world.pid(), 3);
    let (lines, code) = world.modify("RELOAD");
    assert!(code == 4 && lines.concat().contains("ZWES0286W Process keeper"), "{lines:?}\n{}", world.log());
    assert_eq!(bob.call(4, b"").0.code, 33);
    crate::world::give_descriptors(world.pid(), limit);
    wait_until("the other profiles count", || bob.call(4, b"").0.code == 0);
    assert_eq!(world.boxes("keeper").len(), 1);
    // The same for one that has ended, which leaves two descriptors.
    let limit = crate::world::leave_descriptors(world.pid(), 1);
    let failures = || world.log().matches("ZWES0286W Process keeper").count();
    let before = failures();
    let keeper = world.kill_box("keeper");
    wait_until("it cannot be started", || failures() >= before + 2);
    crate::world::give_descriptors(world.pid(), limit);
    wait_until("another is there", || world.boxes("keeper").iter().any(|pid| *pid != keeper));
    assert_eq!(world.stop().code(), Some(0), "{}", world.log());
}

#[test]
fn database_of_the_command_counts_whatever_the_member_says_and_that_is_said() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    world.write_member(&named(&world, "saf.db"));
    let (lines, code) = world.modify("RELOAD");
    let line = lines.last().unwrap();
    assert!(
        code == 0
            && line.starts_with("ZWES0287I ZWES.SAF.DATABASE does not count")
            && line.contains("saf.db"),
        "{lines:?}"
    );
}

#[test]
fn reload_says_what_counts_only_later() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    world.write_member("ZWES.AUDIT.LINGER_MS=7\nZWES.SPIN_US=11\n");
    let (lines, code) = world.modify("RELOAD");
    assert_eq!((code, lines.len()), (0, 2), "{lines:?}");
    assert!(lines[0].contains("ZWES0264I") && lines[0].contains("ZWES.SPIN_US"), "{lines:?}");
    assert!(lines[1].contains("ZWES0285I") && lines[1].ends_with("ZWES.AUDIT.LINGER_MS"), "{lines:?}");
}

#[test]
fn server_without_root_runs_as_who_started_it_and_says_what_it_cannot_do() {
    use std::os::unix::process::CommandExt as _;
    if !is_root() {
        return;
    }
    let world = World::prepare(USUAL, "");
    let own = |path: &std::path::Path| std::os::unix::fs::chown(path, Some(ANN), Some(ANN)).unwrap();
    for name in ["saf.db", "parmlib"] {
        own(&world.path(name));
    }
    own(world.dir.path());
    let log = world.path("log");
    let mut server = world.command(&[]).arg("--log").arg(&log).uid(ANN).gid(ANN).spawn().unwrap();
    world.wait_for_log("ZWES0109I");
    assert!(world.log().contains("ZWES0248W"), "{}", world.log());
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(ann.call(4, b"x").1, b"x");
    assert_eq!(ann.call(13, br#"{"capacity":5}"#).0.code, 99);
    let (_, header, _) = Raw::greet(&world, crate::world::EVE);
    assert_eq!(header.code, 33);
    // Who started it is its operator without a profile, and nobody else is.
    let options = world.options();
    let connect = || tender_xmem::control::Control::connect(&"ZWESIS_STD".parse().unwrap(), &options);
    let mut owner = crate::world::as_user(ANN, connect).unwrap();
    let mut output = owner.modify("FLUSH").unwrap();
    let lines: Vec<String> = output.by_ref().map(|line| line.unwrap()).collect();
    assert_eq!(output.outcome().unwrap(), 0, "{lines:?}");
    let control = world.path("run/ZWESIS_STD/control");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&control, open).unwrap();
    let eve = Raw::connect_to(&control, crate::world::EVE);
    let mut command = tender_xmem::frame::Header::new(Kind::Command, 1);
    command.length = 5;
    eve.send(&[&command.encode()[..], b"FLUSH"].concat(), &[]).unwrap();
    assert_eq!(eve.hear().frame().0.code, 33);
    let rules: Vec<String> = world.audit().into_iter().map(|entry| entry.rule).collect();
    assert!(rules.iter().any(|rule| rule.contains("uid 60001 started the server")), "{rules:?}");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(server.id().cast_signed()), nix::sys::signal::SIGTERM)
        .unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0), "{}", world.log());
}

#[test]
fn lock_names_its_holder_to_everybody() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let lock = world.path("run/ZWESIS_STD/lock");
    // `tender xmem status` of an ordinary user reads it.
    let held = crate::world::as_user(crate::world::EVE, || std::fs::read_to_string(&lock));
    assert!(held.unwrap().contains(&world.pid().to_string()));
}
