//! Memory of real processes.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, PidfdFlags};
use tender_worker::inspect::{InspectOrder, InspectOutcome, start_time};
use tender_worker::order::{Outcome, Refusal, Work};
use tender_worker::{Kind, Range, Settings};

use crate::world::{self, ALICE, BOB, Worker};

/// A process of a user that waits until it is told to end.
struct Target {
    process: Child,
}

impl Target {
    fn start(uid: u32) -> Self {
        let process = Command::new("/bin/cat")
            .uid(uid)
            .gid(uid)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It runs when it answers: while a process becomes a program, its stack is not yet where it will be.
        let mut target = Self { process };
        target.process.stdin.as_mut().unwrap().write_all(b"?").unwrap();
        target.process.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        target
    }

    fn pidfd(&self) -> OwnedFd {
        let pid = Pid::from_raw(self.process.id().cast_signed()).unwrap();
        rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap()
    }

    /// First and last address of a part of its memory.
    fn mapping(&self, name: &str) -> Option<(u64, u64)> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.process.id())).ok()?;
        let line = maps.lines().find(|line| line.ends_with(name))?;
        let (first, last) = line.split_whitespace().next()?.split_once('-')?;
        Some((u64::from_str_radix(first, 16).ok()?, u64::from_str_radix(last, 16).ok()?))
    }

    fn order(&self, address: u64, bytes: u32) -> InspectOrder {
        InspectOrder { start_time: start_time(self.process.id()).unwrap(), address, bytes }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.inspect.enabled = true;
    settings.inspect.uids = vec![Range::new(ALICE, ALICE)];
    settings
}

fn ask(worker: &mut Worker, order: InspectOrder, descriptor: OwnedFd) -> InspectOutcome {
    match worker.ask(Work::Inspect(order), vec![descriptor]) {
        Outcome::Inspect(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn memory_of_an_allowed_user_is_read() {
    if !world::root("memory_of_an_allowed_user_is_read") {
        return;
    }
    let mut worker = Worker::start(Kind::Inspect, &settings());
    let target = Target::start(ALICE);
    // It still changes its stack while it starts.
    world::eventually("it waits for its input", || {
        let call = std::fs::read_to_string(format!("/proc/{}/syscall", target.process.id())).unwrap();
        call.starts_with(&format!("{} 0x0 ", libc::SYS_read))
    });
    let (_, end) = target.mapping("[stack]").unwrap();
    let at = end - 65_536;
    let expected = {
        use std::os::unix::fs::FileExt as _;
        let memory = std::fs::File::open(format!("/proc/{}/mem", target.process.id())).unwrap();
        let mut bytes = vec![0; 65_536];
        memory.read_exact_at(&mut bytes, at).unwrap();
        bytes
    };
    let InspectOutcome::Complete { bytes } = ask(&mut worker, target.order(at, 65_536), target.pidfd())
    else {
        panic!("not complete")
    };
    // The end of the stack holds the environment and does not change while the process waits.
    assert_eq!(bytes.0[60_000..], expected[60_000..]);
    assert!(expected.windows(8).any(|text| text == b"/bin/cat"));
    worker.finish();
}

#[test]
fn memory_that_ends_early_is_partial_and_none_is_unreadable() {
    if !world::root("memory_that_ends_early_is_partial_and_none_is_unreadable") {
        return;
    }
    let mut worker = Worker::start(Kind::Inspect, &settings());
    let target = Target::start(ALICE);
    let (_, end) = target.mapping("[stack]").unwrap();
    let InspectOutcome::Partial { bytes } =
        ask(&mut worker, target.order(end - 5000, 20_000), target.pidfd())
    else {
        panic!("not partial")
    };
    assert_eq!(bytes.0.len(), 5000);
    assert_eq!(ask(&mut worker, target.order(0x1000, 64), target.pidfd()), InspectOutcome::Unreadable);
}

#[test]
fn memory_of_a_process_that_ended_or_is_another_is_gone() {
    if !world::root("memory_of_a_process_that_ended_or_is_another_is_gone") {
        return;
    }
    let mut worker = Worker::start(Kind::Inspect, &settings());
    let mut target = Target::start(ALICE);
    let (first, _) = target.mapping("[stack]").unwrap();
    let order = target.order(first, 64);
    let other = InspectOrder { start_time: order.start_time + 1, ..order.clone() };
    assert_eq!(ask(&mut worker, other, target.pidfd()), InspectOutcome::Gone);
    // Ended, not yet reaped: its number is still its own.
    let pidfd = target.pidfd();
    drop(target.process.stdin.take());
    world::eventually("the target is a zombie", || {
        std::fs::read_to_string(format!("/proc/{}/stat", target.process.id()))
            .is_ok_and(|stat| stat.contains(") Z "))
    });
    assert_eq!(ask(&mut worker, order.clone(), pidfd.try_clone().unwrap()), InspectOutcome::Gone);
    target.process.wait().unwrap();
    assert_eq!(ask(&mut worker, order, pidfd), InspectOutcome::Gone);
}

#[test]
fn memory_that_is_not_allowed_is_not_read() {
    if !world::root("memory_that_is_not_allowed_is_not_read") {
        return;
    }
    let mut worker = Worker::start(Kind::Inspect, &settings());
    let (alice, bob, root) = (Target::start(ALICE), Target::start(BOB), Target::start(0));
    for target in [&bob, &root] {
        let (first, _) = target.mapping("[stack]").unwrap();
        let refused = worker.refusal(Work::Inspect(target.order(first, 64)), vec![target.pidfd()]);
        assert!(matches!(refused, Refusal::NotAllowed { .. }), "{refused}");
    }
    let (first, _) = alice.mapping("[stack]").unwrap();
    for order in [alice.order(first, 0), alice.order(first, 65_537), alice.order(u64::MAX - 10, 64)] {
        let refused = worker.refusal(Work::Inspect(order), vec![alice.pidfd()]);
        assert!(matches!(refused, Refusal::Invalid { .. }), "{refused}");
    }
    let null = std::fs::File::open("/dev/null").unwrap();
    let refused = worker.refusal(Work::Inspect(alice.order(first, 64)), vec![null.into()]);
    assert!(matches!(refused, Refusal::Invalid { .. }), "{refused}");
    let mut off = Worker::start(Kind::Inspect, &Settings::default());
    let refused = off.refusal(Work::Inspect(alice.order(first, 64)), vec![alice.pidfd()]);
    assert!(matches!(refused, Refusal::NotAllowed { .. }), "{refused}");
    let mut alice = alice;
    alice.process.stdin.take().unwrap().write_all(b"end").unwrap();
}

/// Starts targets until one gets a number, which is then certainly its second life.
fn reuse(number: u32) -> Option<Target> {
    for _ in 0..200 {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string()).ok()?;
        let target = Target::start(ALICE);
        if target.process.id() == number {
            return Some(target);
        }
    }
    None
}

#[test]
fn memory_of_a_process_with_the_number_of_another_is_gone() {
    if !world::root("memory_of_a_process_with_the_number_of_another_is_gone") {
        return;
    }
    let mut worker = Worker::start(Kind::Inspect, &settings());
    let first = Target::start(ALICE);
    let (number, old) = (first.process.id(), first.pidfd());
    drop(first);
    let Some(second) = reuse(number) else {
        println!(
            "memory_of_a_process_with_the_number_of_another_is_gone: skipped, the number did not come again"
        );
        return;
    };
    let (address, _) = second.mapping("[stack]").unwrap();
    // Everything is right but the descriptor, which is what counts.
    assert_eq!(ask(&mut worker, second.order(address, 64), old), InspectOutcome::Gone);
    let read = ask(&mut worker, second.order(address, 64), second.pidfd());
    assert!(matches!(read, InspectOutcome::Complete { .. }));
}

#[test]
fn memory_of_a_process_that_ends_at_any_moment_is_whole_or_gone() {
    if !world::root("memory_of_a_process_that_ends_at_any_moment_is_whole_or_gone") {
        return;
    }
    let mut worker = Worker::start(Kind::Inspect, &settings());
    for round in 0..60_u32 {
        let mut target = Target::start(ALICE);
        let (_, end) = target.mapping("[stack]").unwrap();
        let order = target.order(end - 4096, 4096);
        let ids: Vec<u64> =
            (0..20).map(|_| worker.send(Work::Inspect(order.clone()), vec![target.pidfd()])).collect();
        for _ in 0..round * 50 {
            std::hint::black_box(std::process::id());
        }
        target.process.kill().unwrap();
        let mut gone = false;
        for id in ids {
            let answer = worker.answer();
            assert_eq!(answer.id, id);
            match answer.outcome {
                Outcome::Inspect(InspectOutcome::Complete { bytes }) => {
                    assert!(!gone, "it came back to life");
                    assert!(bytes.0.windows(8).any(|text| text == b"/bin/cat"), "not its memory");
                }
                Outcome::Inspect(InspectOutcome::Gone) => gone = true,
                other => panic!("{other:?}"),
            }
        }
    }
}
