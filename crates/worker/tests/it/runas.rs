//! Programs run as users, looked at from inside and outside.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::Duration;

use tender_worker::order::{Outcome, Refusal, Work};
use tender_worker::runas::{Identity, Limits, RunAsOrder, RunAsOutcome, Stage, now_ms};
use tender_worker::{Kind, Range, Settings};

use crate::world::{self, ALICE, BOB, Worker};

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.runas.uids = vec![Range::new(ALICE, BOB)];
    settings
}

fn identity(uid: u32, groups: &[u32]) -> Identity {
    Identity { uid, gid: uid, groups: groups.to_vec(), resolved_ms: now_ms() }
}

fn order(uid: u32, script: &str) -> RunAsOrder {
    RunAsOrder {
        identity: identity(uid, &[uid, 61_500, 61_501]),
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        environment: BTreeMap::from([("HOME".to_owned(), "/".to_owned())]),
        directory: "/".into(),
        stdin: false,
        stdout: true,
        stderr: false,
        limits: Limits::default(),
    }
}

/// Runs it and returns what it printed and how it ended.
fn run(worker: &mut Worker, order: RunAsOrder) -> (String, RunAsOutcome) {
    let (mut read, write) = world::pipe();
    let descriptors = if order.stdout { vec![write] } else { Vec::new() };
    let outcome = match worker.ask(Work::RunAs(order), descriptors) {
        Outcome::RunAs(outcome) => outcome,
        other => panic!("{other:?}"),
    };
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    (text, outcome)
}

#[test]
fn program_is_the_user_and_nothing_else() {
    if !world::root("program_is_the_user_and_nothing_else") {
        return;
    }
    let mut worker = Worker::start(Kind::RunAs, &settings());
    for uid in [ALICE, BOB] {
        let (text, outcome) = run(&mut worker, order(uid, "exec cat /proc/self/status"));
        assert_eq!(outcome, RunAsOutcome::Exited { status: 0 });
        let status = world::fields(&text);
        assert_eq!(status["Uid"], format!("{uid} {uid} {uid} {uid}"));
        assert_eq!(status["Gid"], format!("{uid} {uid} {uid} {uid}"));
        assert_eq!(status["Groups"], format!("{uid} 61500 61501"));
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status[set], "0000000000000000", "{set}");
        }
        assert_eq!((&*status["NoNewPrivs"], &*status["Seccomp"]), ("1", "2"));
        assert_eq!((&*status["SigBlk"], &*status["SigIgn"]), ("0000000000000000", "0000000000000000"));
    }
    worker.finish();
}

#[test]
fn program_has_a_clean_environment_session_and_descriptors() {
    if !world::root("program_has_a_clean_environment_session_and_descriptors") {
        return;
    }
    let mut worker = Worker::start(Kind::RunAs, &settings());
    let mut env = order(ALICE, "");
    env.program = "/usr/bin/env".into();
    env.arguments = Vec::new();
    assert_eq!(run(&mut worker, env).0, "HOME=/\n");
    let (text, _) = run(&mut worker, order(ALICE, "cd /proc/self/fd && echo *; pwd; umask; readlink 0 2"));
    // The shell expands with a descriptor of its own for the directory.
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0] == "0 1 2" || lines[0] == "0 1 2 3", "{text}");
    assert_eq!(lines[2..], ["0022", "/dev/null", "/dev/null"], "{text}");
    let (text, _) = run(&mut worker, order(ALICE, "exec cat /proc/self/stat"));
    let fields: Vec<&str> = text.split(' ').collect();
    assert_eq!((fields[4], fields[5]), (fields[0], fields[0]), "leads its group and session: {text}");
}

#[test]
fn program_gets_the_descriptors_that_came_along() {
    if !world::root("program_gets_the_descriptors_that_came_along") {
        return;
    }
    let mut worker = Worker::start(Kind::RunAs, &settings());
    let (stdin, mut to) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map(|(read, write)| (read, std::fs::File::from(write)))
        .unwrap();
    let (mut out, stdout) = world::pipe();
    let (mut err, stderr) = world::pipe();
    let order = RunAsOrder { stdin: true, stderr: true, ..order(ALICE, "cat; echo no >&2; exit 7") };
    worker.send(Work::RunAs(order), vec![stdin, stdout, stderr]);
    to.write_all(b"through").unwrap();
    drop(to);
    assert_eq!(worker.answer().outcome, Outcome::RunAs(RunAsOutcome::Exited { status: 7 }));
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    err.read_to_string(&mut text).unwrap();
    assert_eq!(text, "throughno\n");
}

#[test]
fn program_ends_are_told_apart() {
    if !world::root("program_ends_are_told_apart") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(directory.path(), mode(0o755)).unwrap();
    let private = directory.path().join("private");
    std::fs::create_dir(&private).unwrap();
    std::fs::set_permissions(&private, mode(0o700)).unwrap();
    let forbidden = directory.path().join("forbidden");
    std::fs::copy("/bin/true", &forbidden).unwrap();
    std::fs::set_permissions(&forbidden, mode(0o700)).unwrap();
    let mut worker = Worker::start(Kind::RunAs, &settings());
    let mut ends = |change: &dyn Fn(&mut RunAsOrder)| {
        let mut order = order(ALICE, "kill -TERM $$");
        change(&mut order);
        run(&mut worker, order).1
    };
    assert_eq!(ends(&|_| ()), RunAsOutcome::Signalled { signal: 15 });
    let not = |stage, errno| RunAsOutcome::NotStarted { stage, errno };
    assert_eq!(ends(&|order| order.program = "/does/not/exist".into()), not(Stage::Program, 2));
    assert_eq!(ends(&|order| order.program = forbidden.clone()), not(Stage::Program, 13));
    // Root may enter it; the user may not.
    assert_eq!(ends(&|order| order.directory = private.clone()), not(Stage::Directory, 13));
    assert_eq!(ends(&|order| order.directory = "/does/not/exist".into()), not(Stage::Directory, 2));
}

#[test]
fn program_cannot_get_more() {
    if !world::root("program_cannot_get_more") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(directory.path(), mode(0o755)).unwrap();
    let set_uid = directory.path().join("cat");
    std::fs::copy("/bin/cat", &set_uid).unwrap();
    std::fs::set_permissions(&set_uid, mode(0o4755)).unwrap();
    let mut worker = Worker::start(Kind::RunAs, &settings());
    let script = format!("{} /proc/self/status; unshare --user true; echo $?", set_uid.display());
    let (text, _) = run(&mut worker, order(ALICE, &script));
    assert_eq!(world::fields(&text)["Uid"], format!("{ALICE} {ALICE} {ALICE} {ALICE}"));
    assert!(text.ends_with("\n1\n"), "{text}");
    let (text, _) = run(&mut worker, order(ALICE, "cat /etc/shadow || echo refused"));
    assert_eq!(text, "refused\n");
}

#[test]
fn program_is_limited() {
    if !world::root("program_is_limited") {
        return;
    }
    let mut settings = settings();
    settings.runas.limits.descriptors = 50;
    settings.runas.limits.memory_bytes = 1 << 30;
    let mut worker = Worker::start(Kind::RunAs, &settings);
    let mut limited = order(ALICE, "ulimit -n; ulimit -v; ulimit -c; ulimit -t; ulimit -Hn");
    limited.limits =
        Limits { descriptors: 100, memory_bytes: 512 << 20, processor_s: 9, ..Limits::default() };
    assert_eq!(run(&mut worker, limited).0, "50\n524288\n0\n9\n50\n");
}

#[test]
fn identity_that_is_not_allowed_runs_nothing() {
    if !world::root("identity_that_is_not_allowed_runs_nothing") {
        return;
    }
    let mut settings = settings();
    settings.runas.uids.push(Range::new(0, 0));
    settings.runas.gids = vec![Range::new(0, 0), Range::new(61_000, 62_000)];
    let mut worker = Worker::start(Kind::RunAs, &settings);
    let (_read, write) = world::pipe();
    let mut refused = |identity: Identity| {
        let order = RunAsOrder { identity, ..order(ALICE, "echo never") };
        worker.refusal(Work::RunAs(order), vec![write.try_clone().unwrap()])
    };
    for identity in [
        identity(0, &[]),
        identity(ALICE - 1, &[]),
        identity(BOB + 1, &[]),
        identity(u32::MAX, &[]),
        identity(ALICE, &[0]),
        identity(ALICE, &[62_001]),
        Identity { gid: 0, ..identity(ALICE, &[]) },
        Identity { gid: u32::MAX, ..identity(ALICE, &[]) },
    ] {
        let shown = format!("{identity:?}");
        assert!(matches!(refused(identity), Refusal::NotAllowed { .. }), "{shown}");
    }
    let long_ago = Identity { resolved_ms: now_ms().saturating_sub(120_000), ..identity(ALICE, &[]) };
    if now_ms() > 120_000 {
        assert!(matches!(refused(long_ago), Refusal::Invalid { .. }));
    }
    let tomorrow = Identity { resolved_ms: now_ms() + 86_400_000, ..identity(ALICE, &[]) };
    assert!(matches!(refused(tomorrow), Refusal::Invalid { .. }));
    assert!(matches!(refused(identity(ALICE, &vec![61_500; 1025])), Refusal::Invalid { .. }));
}

#[test]
fn order_with_relative_paths_or_bad_words_runs_nothing() {
    if !world::root("order_with_relative_paths_or_bad_words_runs_nothing") {
        return;
    }
    let mut worker = Worker::start(Kind::RunAs, &settings());
    let (_read, write) = world::pipe();
    let changes: [&dyn Fn(&mut RunAsOrder); 6] = [
        &|order| order.program = "bin/sh".into(),
        &|order| order.directory = "tmp".into(),
        &|order| order.arguments.push("a\0b".to_owned()),
        &|order| drop(order.environment.insert("A=B".to_owned(), "x".to_owned())),
        &|order| drop(order.environment.insert(String::new(), "x".to_owned())),
        &|order| order.arguments = vec![String::new(); 1025],
    ];
    for change in changes {
        let mut order = order(ALICE, "echo never");
        change(&mut order);
        let refused = worker.refusal(Work::RunAs(order), vec![write.try_clone().unwrap()]);
        assert!(matches!(refused, Refusal::Invalid { .. }), "{refused}");
    }
}

#[test]
fn program_beyond_its_deadline_ends_with_all_that_it_started() {
    if !world::root("program_beyond_its_deadline_ends_with_all_that_it_started") {
        return;
    }
    let mut worker = Worker::start(Kind::RunAs, &settings());
    let (mut read, write) = world::pipe();
    // One in its session, one that has left its parent, one with a session of its own.
    let script = "sleep 1000 & (sleep 1000 &) ; setsid sleep 1000 & exec sleep 1000";
    let descriptors: Vec<OwnedFd> = vec![write];
    let deadline = Duration::from_millis(1500);
    let id = worker.orders().send(Work::RunAs(order(ALICE, script)), descriptors, deadline).unwrap();
    // A second order is not touched.
    let (mut other, write) = world::pipe();
    worker.send(Work::RunAs(order(BOB, "echo fine")), vec![write]);
    let mut text = String::new();
    other.read_to_string(&mut text).unwrap();
    assert_eq!(text, "fine\n");
    assert!(matches!(worker.answer().outcome, Outcome::RunAs(RunAsOutcome::Exited { status: 0 })));
    let answer = worker.answer();
    assert_eq!((answer.id, answer.outcome), (id, Outcome::Refused(Refusal::TimedOut)));
    // Whoever has the pipe has ended: there is nothing to read, and nobody who could write.
    text.clear();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(text, "");
    let pid = worker.pid();
    world::eventually("no child is left", || {
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap().is_empty()
    });
    worker.finish();
}

#[test]
fn program_whose_order_is_cancelled_ends() {
    if !world::root("program_whose_order_is_cancelled_ends") {
        return;
    }
    let mut worker = Worker::start(Kind::RunAs, &settings());
    let (mut read, write) = world::pipe();
    let id = worker.send(Work::RunAs(order(ALICE, "echo on; exec sleep 1000")), vec![write]);
    let mut started = [0; 3];
    read.read_exact(&mut started).unwrap();
    worker.orders().cancel(id).unwrap();
    let answer = worker.answer();
    assert_eq!((answer.id, answer.outcome), (id, Outcome::Refused(Refusal::Cancelled)));
}

#[test]
fn program_ends_with_its_worker() {
    if !world::root("program_ends_with_its_worker") {
        return;
    }
    let mut worker = Worker::start(Kind::RunAs, &settings());
    let (mut read, write) = world::pipe();
    worker.send(Work::RunAs(order(ALICE, "echo on; exec sleep 1000")), vec![write]);
    let mut started = [0; 3];
    read.read_exact(&mut started).unwrap();
    worker.process.kill().unwrap();
    worker.process.wait().unwrap();
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(text, "");
}

#[test]
fn programs_at_once_do_not_mix() {
    if !world::root("programs_at_once_do_not_mix") {
        return;
    }
    let mut settings = settings();
    settings.runas.orders_max = 40;
    let mut worker = Worker::start(Kind::RunAs, &settings);
    let mut running = Vec::new();
    for round in 0..40_i32 {
        let uid = if round % 2 == 0 { ALICE } else { BOB };
        let (stdin, to) = world::pipe();
        let (read, write) = world::pipe();
        let script = format!("read -r line; grep ^Uid: /proc/self/status; echo \"$line\"; exit {round}");
        let order = RunAsOrder { stdin: true, ..order(uid, &script) };
        let id = worker.send(Work::RunAs(order), vec![stdin.into(), write]);
        running.push((id, uid, round, std::fs::File::from(to), read));
    }
    let refused =
        worker.refusal(Work::RunAs(RunAsOrder { stdout: false, ..order(ALICE, "true") }), Vec::new());
    assert_eq!(refused, Refusal::Busy { orders_max: 40 });
    // The last is let go first.
    for (_, _, round, to, _) in running.iter_mut().rev() {
        writeln!(to, "line {round}").unwrap();
    }
    let mut ends: std::collections::HashMap<u64, Outcome> =
        running.iter().map(|_| worker.answer()).map(|answer| (answer.id, answer.outcome)).collect();
    for (id, uid, round, _, mut read) in running {
        assert_eq!(ends.remove(&id), Some(Outcome::RunAs(RunAsOutcome::Exited { status: round })));
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nline {round}\n"));
    }
    worker.finish();
}
