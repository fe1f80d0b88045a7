//! What needs privilege: memory of other processes, files that belong to root.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use serde_json::{Value, json};

use crate::wire::Raw;
use crate::world::{ANN, BOB, EVE, USUAL, World, is_root, wait_until};

fn value(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(payload)))
}

/// A process of somebody's that waits, and is killed at the end.
struct Target(Child);

impl Target {
    fn start(uid: u32) -> Self {
        Self(Command::new("/bin/sleep").arg("4711.25").uid(uid).gid(uid).spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Returns where its arguments lie.
    fn arguments_at(&self) -> u64 {
        let mut at = 0;
        wait_until("the program runs", || {
            let line = std::fs::read(format!("/proc/{}/cmdline", self.pid())).unwrap();
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
            let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
            // Field 48, counted from the process's state, which is the third.
            at = fields[48 - 3].parse().unwrap();
            line == b"/bin/sleep\x004711.25\0"
        });
        at
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

const INSPECT: &[&str] = &[
    "RDEFINE FACILITY ZWES.IS.INSPECT.60002 UACC(NONE) AUDIT(ALL(READ))",
    "PERMIT ZWES.IS.INSPECT.60002 CLASS(FACILITY) ID(ANN) ACCESS(READ)",
    "RDEFINE FACILITY ZWES.IS.INSPECT.0 UACC(NONE)",
    "PERMIT ZWES.IS.INSPECT.0 CLASS(FACILITY) ID(ANN) ACCESS(READ)",
];

fn inspect(raw: &mut Raw, pid: u32, address: u64, length: u32) -> (u32, u32, Vec<u8>) {
    let request = json!({"pid": pid, "address": address, "length": length}).to_string();
    let (reply, payload) = raw.call(12, request.as_bytes());
    (reply.code, reply.detail, payload)
}

#[test]
fn memory_of_a_process_is_read_for_who_may_read_its_users() {
    if !is_root() {
        return;
    }
    let world = World::start(&[USUAL, INSPECT].concat(), "ZWES.INSPECT=YES\n");
    let target = Target::start(BOB);
    let at = target.arguments_at();
    let mut ann = Raw::enter(&world, ANN);
    let (code, detail, payload) = inspect(&mut ann, target.pid(), at, 18);
    assert_eq!((code, detail), (0, 0), "{}", world.log());
    let (length, rest) = payload.split_first_chunk::<4>().unwrap();
    let (head, bytes) = rest.split_at(u32::from_le_bytes(*length) as usize);
    assert_eq!(value(head), json!({"program": "sleep", "uid": BOB, "length": 18}));
    assert_eq!(bytes, b"/bin/sleep\x004711.25");
    // Nothing there, too much, no process.
    assert_eq!(inspect(&mut ann, target.pid(), 8, 16).1, 17);
    assert_eq!(inspect(&mut ann, target.pid(), at, 0).1, 12);
    assert_eq!(inspect(&mut ann, target.pid(), at, 65_537).1, 12);
    assert_eq!(inspect(&mut ann, target.pid(), u64::MAX, 16).1, 12);
    assert_eq!(inspect(&mut ann, 0, at, 16).1, 11);
    assert_eq!(inspect(&mut ann, u32::MAX, at, 16).1, 11);
    // Another user's process needs another profile; root's is not read even with one.
    let other = Target::start(EVE);
    assert_eq!(inspect(&mut ann, other.pid(), other.arguments_at(), 16).0, 33);
    let (code, detail, payload) = inspect(&mut ann, world.pid(), world_address(world.pid()), 16);
    assert!(code == 0 && detail != 0 && payload.is_empty(), "{code} {detail} {payload:?}");
    // Each look is written down: whose process, by whom.
    world.modify("FLUSH");
    let audit = world.audit();
    let of = |resource: &str, verdict| {
        audit.iter().any(|entry| {
            entry.resource == resource && entry.verdict == verdict && entry.user.as_deref() == Some("ANN")
        })
    };
    assert!(of("ZWES.IS.INSPECT.60002", tender_saf::Verdict::Granted), "{audit:?}");
    assert!(of("ZWES.IS.INSPECT.60003", tender_saf::Verdict::Refused), "{audit:?}");
    // A process that has ended is none.
    let pid = other.pid();
    drop(other);
    assert_eq!(inspect(&mut ann, pid, at, 16).1, 11);
}

/// Returns an address that a process certainly has something at.
fn world_address(pid: u32) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let first = maps.lines().find(|line| line.contains(" r")).unwrap();
    u64::from_str_radix(first.split_once('-').unwrap().0, 16).unwrap()
}

#[test]
fn memory_is_not_read_unless_the_member_says_so() {
    if !is_root() {
        return;
    }
    let world = World::start(&[USUAL, INSPECT].concat(), "");
    let target = Target::start(BOB);
    let at = target.arguments_at();
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(inspect(&mut ann, target.pid(), at, 18).0, 99);
    assert_eq!(world.boxes("worker").len(), 0, "not even a worker for it is started");
}

/// A server with a slot `stage`; the directory belongs to root and lies below the world.
fn placing() -> Option<World> {
    if !is_root() {
        return None;
    }
    let world = World::prepare(
        &[
            USUAL,
            &[
                "RDEFINE FACILITY ZWES.IS.PLACE.STAGE UACC(NONE) AUDIT(ALL(READ))",
                "PERMIT ZWES.IS.PLACE.STAGE CLASS(FACILITY) ID(ANN) ACCESS(UPDATE)",
                "RDEFINE FACILITY ZWES.IS.PLACE.GONE UACC(UPDATE)",
                "PERMIT ZWES.IS.SRV.* CLASS(FACILITY) ID(BOB) ACCESS(UPDATE)",
            ],
        ]
        .concat(),
        "",
    );
    let slot = world.path("slot");
    std::fs::create_dir(&slot).unwrap();
    std::fs::create_dir(slot.join("bin")).unwrap();
    world.write_member(&format!("ZWES.PLACE.STAGE={}\n", slot.display()));
    let mut world = world;
    world.run(&[]);
    Some(world)
}

fn parcel(slot: &str, name: &str, bytes: &[u8], more: &Value) -> Vec<u8> {
    let mut head = json!({
        "slot": slot, "name": name, "mode": 0o755, "digest": blake3::hash(bytes).to_hex().to_string(),
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        head[field] = value.clone();
    }
    let head = head.to_string();
    [&(head.len() as u32).to_le_bytes()[..], head.as_bytes(), bytes].concat()
}

#[test]
fn file_is_placed_for_who_may_and_belongs_to_root() {
    let Some(world) = placing() else { return };
    let mut ann = Raw::enter(&world, ANN);
    let path = world.path("slot/bin/program");
    let none = json!({});
    let (reply, payload) = ann.call(24, &parcel("STAGE", "bin/program", b"first", &none));
    assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
    assert_eq!(value(&payload), json!({"path": path.display().to_string(), "unchanged": false}));
    let found = std::fs::metadata(&path).unwrap();
    assert_eq!((found.uid(), found.gid(), found.permissions().mode() & 0o7777), (0, 0, 0o755));
    assert_eq!(std::fs::read(&path).unwrap(), b"first");
    // The same again is no change; another one in its place must be meant.
    let (reply, payload) = ann.call(24, &parcel("STAGE", "bin/program", b"first", &none));
    assert_eq!((reply.detail, &value(&payload)["unchanged"]), (0, &json!(true)));
    assert_eq!(ann.call(24, &parcel("STAGE", "bin/program", b"second", &none)).0.detail, 20);
    let replaces = json!({"replaces": blake3::hash(b"first").to_hex().to_string()});
    assert_eq!(ann.call(24, &parcel("STAGE", "bin/program", b"second", &replaces)).0.detail, 0);
    assert_eq!(std::fs::read(&path).unwrap(), b"second");
    // Who has the service and not the slot gets nothing there.
    let mut bob = Raw::enter(&world, BOB);
    assert_eq!(bob.call(24, &parcel("STAGE", "bin/theirs", b"x", &none)).0.code, 33);
    assert_eq!(bob.call(24, &parcel("GONE", "bin/theirs", b"x", &none)).0.detail, 16);
    assert!(!world.path("slot/bin/theirs").exists());
}

#[test]
fn file_is_not_placed_outside_nor_with_what_it_must_not_have() {
    let Some(world) = placing() else { return };
    let mut ann = Raw::enter(&world, ANN);
    let outside = world.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, world.path("slot/link")).unwrap();
    let none = json!({});
    for (name, more, code) in [
        ("../outside/x", none.clone(), 14),
        ("/etc/x", none.clone(), 14),
        ("bin/./x", none.clone(), 14),
        ("", none.clone(), 21),
        ("setuid", json!({"mode": 0o4755}), 18),
        ("everybodys", json!({"mode": 0o777}), 18),
        ("damaged", json!({"digest": "0".repeat(64)}), 17),
        ("link/x", none.clone(), 22),
        ("nowhere/x", none.clone(), 19),
    ] {
        let (reply, payload) = ann.call(24, &parcel("STAGE", name, b"content", &more));
        assert_eq!((reply.code, reply.detail), (0, code), "{name} {more}\n{}", world.log());
        // What is wrong is named.
        let answer = value(&payload);
        if code == 22 {
            assert_eq!(answer["field"], "name");
            assert_eq!(answer["reason"], "`link` is or leads over a symbolic link");
        }
        assert!(answer["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{name}: {answer}");
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    let left: Vec<_> =
        std::fs::read_dir(world.path("slot")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "something was left behind: {left:?}");
}

#[test]
fn file_is_replaced_only_when_it_is_the_one_that_was_meant() {
    let Some(world) = placing() else { return };
    let mut ann = Raw::enter(&world, ANN);
    let path = world.path("slot/file");
    std::fs::write(&path, "somebody else was faster").unwrap();
    let replaces = json!({"replaces": blake3::hash(b"as it was read").to_hex().to_string()});
    assert_eq!(ann.call(24, &parcel("STAGE", "file", b"new", &replaces)).0.detail, 20);
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody else was faster");
}
