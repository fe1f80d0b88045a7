//! Files and links in directories that belong to root.

use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, SealFlags};
use tender_worker::order::{Bytes, Outcome, Refusal, Work};
use tender_worker::place::{Action, Content, PlaceOrder, PlaceOutcome};
use tender_worker::{Kind, Range, Settings};

use crate::world::{self, ALICE, BOB, Worker};

/// A directory that may be changed, with one beside it that may not.
struct Slots {
    directory: tempfile::TempDir,
}

impl Slots {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let slots = Self { directory };
        for name in ["root", "root/sub", "outside"] {
            fs::create_dir(slots.directory.path().join(name)).unwrap();
        }
        fs::write(slots.directory.path().join("outside/victim"), "victim").unwrap();
        slots
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.place.roots = vec![self.root()];
        settings.place.uids = vec![Range::new(ALICE, ALICE)];
        settings.place.gids = vec![Range::new(ALICE, ALICE)];
        settings.place.bytes_max = 1 << 20;
        settings
    }

    fn order(&self, name: &str, action: Action) -> Work {
        Work::Place(PlaceOrder { root: self.root(), name: name.into(), action })
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn put(bytes: &[u8]) -> Action {
    Action::Put {
        content: Content::Inline(Bytes(bytes.to_vec())),
        digest: digest(bytes),
        mode: 0o640,
        uid: ALICE,
        gid: ALICE,
        replace: false,
        expected: None,
    }
}

/// `put` with some of its fields changed.
macro_rules! put {
    ($bytes:expr, $($field:ident = $value:expr),+) => {{
        let mut action = put($bytes);
        if let Action::Put { $($field),+, .. } = &mut action {
            $(*$field = $value;)+
        }
        action
    }};
}

fn memfd(bytes: &[u8], seals: SealFlags) -> OwnedFd {
    let memfd = rustix::fs::memfd_create("content", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    let mut file = fs::File::from(memfd);
    file.write_all(bytes).unwrap();
    rustix::fs::fcntl_add_seals(&file, seals).unwrap();
    file.into()
}

fn all_seals() -> SealFlags {
    SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL
}

fn outcome(worker: &mut Worker, work: Work, descriptors: Vec<OwnedFd>) -> PlaceOutcome {
    match worker.ask(work, descriptors) {
        Outcome::Place(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn file_is_there_as_ordered_and_doing_it_again_changes_nothing() {
    if !world::root("file_is_there_as_ordered_and_doing_it_again_changes_nothing") {
        return;
    }
    let slots = Slots::new();
    let mut worker = Worker::start(Kind::Place, &slots.settings());
    println!("{}", worker.report);
    for name in ["file", "sub/file"] {
        let work = slots.order(name, put(b"content"));
        assert_eq!(outcome(&mut worker, work.clone(), Vec::new()), PlaceOutcome::Created);
        let metadata = fs::metadata(slots.at(name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (ALICE, ALICE, 0o640));
        assert_eq!(fs::read(slots.at(name)).unwrap(), b"content");
        assert_eq!(outcome(&mut worker, work, Vec::new()), PlaceOutcome::Unchanged);
        assert_eq!(fs::metadata(slots.at(name)).unwrap().ino(), metadata.ino());
    }
    assert_eq!(slots.names(), ["file", "sub"]);
    worker.finish();
}

#[test]
fn file_is_replaced_only_when_asked() {
    if !world::root("file_is_replaced_only_when_asked") {
        return;
    }
    let slots = Slots::new();
    let mut worker = Worker::start(Kind::Place, &slots.settings());
    fs::write(slots.at("file"), "old").unwrap();
    let refused = worker.refusal(slots.order("file", put(b"new")), Vec::new());
    let exists = rustix::io::Errno::EXIST.raw_os_error();
    assert!(matches!(refused, Refusal::System { errno, .. } if errno == exists), "{refused}");
    assert_eq!(fs::read(slots.at("file")).unwrap(), b"old");
    let replace = slots.order("file", put!(b"new", replace = true, uid = 0, gid = 0, mode = 0o755));
    assert_eq!(outcome(&mut worker, replace.clone(), Vec::new()), PlaceOutcome::Replaced);
    assert_eq!(outcome(&mut worker, replace, Vec::new()), PlaceOutcome::Unchanged);
    assert_eq!(fs::read(slots.at("file")).unwrap(), b"new");
    assert_eq!(fs::metadata(slots.at("file")).unwrap().mode() & 0o7777, 0o755);
    // Only the file that was meant.
    let other = put!(b"newer", replace = true, mode = 0o755, expected = Some(digest(b"old")));
    let refused = worker.refusal(slots.order("file", other), Vec::new());
    assert!(matches!(refused, Refusal::System { errno, .. } if errno == exists), "{refused}");
    let meant = put!(b"newer", replace = true, mode = 0o755, expected = Some(digest(b"new")));
    assert_eq!(outcome(&mut worker, slots.order("file", meant), Vec::new()), PlaceOutcome::Replaced);
    let back = put!(b"new", replace = true, uid = 0, gid = 0, mode = 0o755);
    assert_eq!(outcome(&mut worker, slots.order("file", back), Vec::new()), PlaceOutcome::Replaced);
    // The same content with another owner is another file.
    let owner = slots.order("file", put!(b"new", replace = true, mode = 0o755));
    assert_eq!(outcome(&mut worker, owner, Vec::new()), PlaceOutcome::Replaced);
    assert_eq!(slots.names(), ["file", "sub"]);
}

#[test]
fn file_from_a_sealed_memfd_is_placed_and_from_anything_else_is_not() {
    if !world::root("file_from_a_sealed_memfd_is_placed_and_from_anything_else_is_not") {
        return;
    }
    let slots = Slots::new();
    let mut worker = Worker::start(Kind::Place, &slots.settings());
    let big = vec![7; 1 << 20];
    let order = |bytes: &[u8]| slots.order("big", put!(bytes, content = Content::Descriptor));
    let sealed = memfd(&big, all_seals());
    assert_eq!(outcome(&mut worker, order(&big), vec![sealed]), PlaceOutcome::Created);
    assert_eq!(fs::read(slots.at("big")).unwrap(), big);
    fs::remove_file(slots.at("big")).unwrap();
    let longer = vec![7; (1 << 20) + 1];
    let refused = worker.refusal(order(&longer), vec![memfd(&longer, all_seals())]);
    assert!(matches!(refused, Refusal::NotAllowed { .. }), "{refused}");
    let (pipe, _write) = rustix::pipe::pipe().unwrap();
    let directory: OwnedFd = fs::File::open("/").unwrap().into();
    let file: OwnedFd = fs::File::open("/etc/passwd").unwrap().into();
    let half = memfd(&big, SealFlags::GROW | SealFlags::SHRINK);
    for descriptor in [pipe, directory, file, half] {
        let refused = worker.refusal(order(&big), vec![descriptor]);
        assert!(matches!(refused, Refusal::Invalid { .. }), "{refused}");
    }
    assert_eq!(slots.names(), ["sub"]);
}

#[test]
fn file_with_another_digest_never_has_a_name() {
    if !world::root("file_with_another_digest_never_has_a_name") {
        return;
    }
    let slots = Slots::new();
    let mut worker = Worker::start(Kind::Place, &slots.settings());
    for wrong in [digest(b"other"), digest(b"content").to_uppercase(), "00".to_owned(), String::new()] {
        let refused = worker.refusal(slots.order("file", put!(b"content", digest = wrong)), Vec::new());
        assert!(matches!(refused, Refusal::Invalid { .. }), "{refused}");
        assert_eq!(slots.names(), ["sub"]);
    }
}

#[test]
fn file_beyond_the_settings_is_refused() {
    if !world::root("file_beyond_the_settings_is_refused") {
        return;
    }
    let slots = Slots::new();
    let mut worker = Worker::start(Kind::Place, &slots.settings());
    for action in [
        put!(b"x", mode = 0o4755),
        put!(b"x", mode = 0o2755),
        put!(b"x", mode = 0o1755),
        put!(b"x", mode = 0o10755),
        put!(b"x", mode = 0o666),
        put!(b"x", uid = BOB),
        put!(b"x", gid = BOB),
        put!(b"x", uid = u32::MAX),
        put(&[0; 65_537]),
    ] {
        let shown = format!("{action:?}");
        worker.refusal(slots.order("file", action), Vec::new());
        assert_eq!(slots.names(), ["sub"], "{shown}");
    }
    for root in [slots.directory.path().to_owned(), slots.at("sub"), "/etc".into(), slots.at("../root")] {
        let work = Work::Place(PlaceOrder { root, name: "file".into(), action: put(b"x") });
        assert!(matches!(worker.refusal(work, Vec::new()), Refusal::NotAllowed { .. }));
    }
}

#[test]
fn name_that_leads_elsewhere_is_refused() {
    if !world::root("name_that_leads_elsewhere_is_refused") {
        return;
    }
    let slots = Slots::new();
    let outside = slots.directory.path().join("outside");
    symlink(&outside, slots.at("link")).unwrap();
    symlink("../outside", slots.at("relative")).unwrap();
    symlink("sub", slots.at("inside")).unwrap();
    symlink(outside.join("victim"), slots.at("victim")).unwrap();
    fs::create_dir(slots.at("theirs")).unwrap();
    std::os::unix::fs::chown(slots.at("theirs"), Some(ALICE), None).unwrap();
    fs::create_dir(slots.at("open")).unwrap();
    fs::set_permissions(slots.at("open"), fs::Permissions::from_mode(0o777)).unwrap();
    let mut worker = Worker::start(Kind::Place, &slots.settings());
    for name in [
        "../outside/x",
        "/etc/x",
        "sub/../../outside/x",
        ".",
        "..",
        "",
        "sub/",
        "./x",
        "link/x",
        "relative/x",
        "inside/x",
        "theirs/x",
        "open/x",
        "file\0",
        "missing/x",
        ".tender-place-1",
    ] {
        let refused = worker.refusal(slots.order(name, put!(b"x", replace = true)), Vec::new());
        println!("{name:?}: {refused}");
    }
    // A directory is no file, and a link is replaced, not followed.
    worker.refusal(slots.order("sub", put!(b"x", replace = true)), Vec::new());
    worker.refusal(slots.order("victim", put(b"x")), Vec::new());
    let replaced = outcome(&mut worker, slots.order("victim", put!(b"x", replace = true)), Vec::new());
    assert_eq!(replaced, PlaceOutcome::Replaced);
    assert!(fs::symlink_metadata(slots.at("victim")).unwrap().is_file());
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"victim");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn name_whose_directory_is_exchanged_meanwhile_never_leads_outside() {
    if !world::root("name_whose_directory_is_exchanged_meanwhile_never_leads_outside") {
        return;
    }
    let slots = Slots::new();
    let outside = slots.directory.path().join("outside");
    symlink(&outside, slots.at("link")).unwrap();
    let mut worker = Worker::start(Kind::Place, &slots.settings());
    // Dropped at the end, also of a failed test: that is what the thread looks for.
    let (running, ended) = std::sync::mpsc::channel::<()>();
    let root = slots.root();
    let exchanger = std::thread::spawn(move || {
        let directory = fs::File::open(&root).unwrap();
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            rustix::fs::renameat_with(&directory, "sub", &directory, "link", flags).unwrap();
        }
    });
    let mut placed = 0;
    for round in 0..500 {
        let work = slots.order("sub/file", put!(format!("{round}").as_bytes(), replace = true));
        placed += u32::from(matches!(worker.ask(work, Vec::new()), Outcome::Place(_)));
    }
    drop(running);
    exchanger.join().unwrap();
    println!("{placed} of 500 placed");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "something was placed outside");
}

#[test]
fn file_is_whole_at_any_moment_while_it_is_replaced() {
    if !world::root("file_is_whole_at_any_moment_while_it_is_replaced") {
        return;
    }
    let slots = Slots::new();
    let mut worker = Worker::start(Kind::Place, &slots.settings());
    let content = |round: u8| vec![round; 60_000];
    outcome(&mut worker, slots.order("file", put(&content(0))), Vec::new());
    for round in 1..60 {
        worker.send(slots.order("file", put!(&content(round), replace = true)), Vec::new());
        while worker.orders().receive().unwrap().is_none() {
            worker.orders().flush().unwrap();
            let seen = fs::read(slots.at("file")).unwrap();
            assert!(seen.len() == 60_000 && seen.iter().all(|byte| *byte == seen[0]));
        }
    }
}

#[test]
fn worker_killed_at_any_moment_leaves_old_or_new() {
    if !world::root("worker_killed_at_any_moment_leaves_old_or_new") {
        return;
    }
    let slots = Slots::new();
    let content = |round: u8| vec![round; 60_000];
    fs::write(slots.at("file"), content(0)).unwrap();
    for round in 1..25 {
        let mut worker = Worker::start(Kind::Place, &slots.settings());
        worker.send(slots.order("file", put!(&content(round), replace = true)), Vec::new());
        for _ in 0..round * 8 {
            std::hint::black_box(fs::metadata(slots.at("file")).unwrap());
        }
        drop(worker);
        let seen = fs::read(slots.at("file")).unwrap();
        assert!(seen.len() == 60_000 && seen.iter().all(|byte| *byte == seen[0]));
        // Who got no answer asks again.
        let mut worker = Worker::start(Kind::Place, &slots.settings());
        let again = slots.order("file", put!(&content(round), replace = true));
        let expected = [PlaceOutcome::Replaced, PlaceOutcome::Unchanged];
        assert!(expected.contains(&outcome(&mut worker, again, Vec::new())));
        assert_eq!(fs::read(slots.at("file")).unwrap(), content(round));
    }
    // What was left unfinished went with the next order.
    assert_eq!(slots.names(), ["file", "sub"]);
}

#[test]
fn link_is_set_switched_and_exchanged() {
    if !world::root("link_is_set_switched_and_exchanged") {
        return;
    }
    let slots = Slots::new();
    let mut worker = Worker::start(Kind::Place, &slots.settings());
    let mut link = |name: &str, target: &str| {
        outcome(&mut worker, slots.order(name, Action::Link { target: target.into() }), Vec::new())
    };
    assert_eq!(link("current", "levels/2"), PlaceOutcome::Created);
    assert_eq!(link("current", "levels/2"), PlaceOutcome::Unchanged);
    assert_eq!(link("current", "levels/3"), PlaceOutcome::Replaced);
    assert_eq!(link("previous", "levels/1"), PlaceOutcome::Created);
    let exchange = |expected: &str| {
        let action = Action::Exchange { with: "previous".to_owned(), expected: expected.into() };
        slots.order("current", action)
    };
    assert_eq!(outcome(&mut worker, exchange("levels/3"), Vec::new()), PlaceOutcome::Replaced);
    let leads = |name: &str| fs::read_link(slots.at(name)).unwrap();
    assert_eq!((leads("current"), leads("previous")), ("levels/1".into(), "levels/3".into()));
    // Asked again after a lost answer it does not change them back.
    assert_eq!(outcome(&mut worker, exchange("levels/3"), Vec::new()), PlaceOutcome::Unchanged);
    assert_eq!(leads("current"), Path::new("levels/1"));
    worker.refusal(exchange("levels/9"), Vec::new());
    fs::write(slots.at("file"), "x").unwrap();
    for (name, target) in
        [("bad", "../x"), ("bad", "/etc"), ("bad", ""), ("bad", "a/../../b"), ("file", "x"), ("sub", "x")]
    {
        worker.refusal(slots.order(name, Action::Link { target: target.into() }), Vec::new());
    }
    for with in ["file", "missing", "current", "../outside", ""] {
        let action = Action::Exchange { with: with.to_owned(), expected: "levels/1".into() };
        worker.refusal(slots.order("current", action), Vec::new());
    }
    assert_eq!(slots.names(), ["current", "file", "previous", "sub"]);
    worker.finish();
}

#[test]
fn file_is_removed_only_if_it_is_the_one_that_is_meant() {
    if !world::root("file_is_removed_only_if_it_is_the_one_that_is_meant") {
        return;
    }
    let slots = Slots::new();
    let mut worker = Worker::start(Kind::Place, &slots.settings());
    fs::write(slots.at("file"), "x").unwrap();
    symlink("x", slots.at("link")).unwrap();
    let remove = |name: &str, digest: Option<String>| slots.order(name, Action::Remove { digest });
    worker.refusal(remove("file", Some(digest(b"y"))), Vec::new());
    worker.refusal(remove("sub", None), Vec::new());
    worker.refusal(remove("link", Some(digest(b"x"))), Vec::new());
    assert_eq!(outcome(&mut worker, remove("file", Some(digest(b"x"))), Vec::new()), PlaceOutcome::Removed);
    assert_eq!(outcome(&mut worker, remove("file", Some(digest(b"x"))), Vec::new()), PlaceOutcome::Unchanged);
    assert_eq!(outcome(&mut worker, remove("link", None), Vec::new()), PlaceOutcome::Removed);
    assert_eq!(slots.names(), ["sub"]);
}

#[test]
fn file_that_does_not_fit_the_disk_leaves_what_was_there() {
    if !world::root("file_that_does_not_fit_the_disk_leaves_what_was_there") {
        return;
    }
    let slots = Slots::new();
    let mut command = std::process::Command::new("unshare");
    let script = "mount -t tmpfs -o size=128k,mode=755 tmpfs \"$0\" && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script]).arg(slots.root()).arg(world::role());
    let mut worker = Worker::start_by(command, Kind::Place, &slots.settings());
    let seen = PathBuf::from(format!("/proc/{}/root{}", worker.pid(), slots.root().display()));
    let small = put(b"small");
    assert_eq!(outcome(&mut worker, slots.order("file", small), Vec::new()), PlaceOutcome::Created);
    let big = vec![7; 1 << 20];
    for round in 0..5 {
        let action = put!(&big, content = Content::Descriptor, replace = round % 2 == 0);
        let name = if round % 2 == 0 { "file" } else { "other" };
        let refused = worker.refusal(slots.order(name, action), vec![memfd(&big, all_seals())]);
        assert!(matches!(refused, Refusal::System { errno: 28, .. }), "{refused}");
    }
    assert_eq!(fs::read(seen.join("file")).unwrap(), b"small");
    assert_eq!(fs::read_dir(&seen).unwrap().count(), 1);
    let more = vec![1; 60_000];
    assert_eq!(outcome(&mut worker, slots.order("more", put(&more)), Vec::new()), PlaceOutcome::Created);
    worker.finish();
}
