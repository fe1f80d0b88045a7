//! Boxes that die, one after the other, while they are used.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::Signal;
use tender_xmem::client::Options;

use crate::wire::Raw;
use crate::world::{ANN, USUAL, World, is_root, pause, size_of, wait_until};

#[test]
fn monitor_that_dies_ends_its_calls_with_36_and_no_connection() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let mut ann = Raw::enter(&world, ANN);
    let sequence = ann.cast(11, br#"{"password":{"user":"BOB","password":"guess"}}"#);
    wait_until("a worker is there", || !world.boxes("worker").is_empty());
    let monitor = world.kill_box("monitor");
    let (reply, _) = ann.hear().frame();
    assert_eq!((reply.sequence, reply.code), (sequence, 36));
    assert_eq!(ann.call(4, b"still here").1, b"still here");
    wait_until("another monitor is there", || world.boxes("monitor").iter().any(|pid| *pid != monitor));
    // It knows the connection again, because the kernel does.
    wait_until("it decides again", || ann.call(26, br#"{"refusals":{"count":1}}"#).0.code == 0);
    world.saf(&["PERMIT ZWES.IS CLASS(FACILITY) ID(ANN) ACCESS(NONE)"]);
    assert_eq!(ann.hear_goodbye().0, 33);
}

#[test]
fn monitor_that_hears_of_connections_before_it_has_profiles_forgets_none() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let mut ann = Raw::enter(&world, ANN);
    let keeper = world.boxes("keeper")[0];
    crate::world::signal(keeper, Signal::STOP);
    let monitor = world.kill_box("monitor");
    wait_until("another monitor is there", || world.boxes("monitor").iter().any(|pid| *pid != monitor));
    // Time for the front to tell it of the connection, and for the names of its user.
    pause(1000);
    // It does not know the connection yet: a call is answered at once, and was not begun.
    assert_eq!(ann.call(26, br#"{"refusals":{"count":1}}"#).0.code, 30);
    crate::world::signal(keeper, Signal::CONT);
    wait_until("it decides again", || {
        let request = br#"{"refusals":{"count":1}}"#;
        let mut header = ann.next_call(26, request.len());
        header.detail = 1000;
        ann.send(&[&header.encode()[..], request].concat(), &[]).unwrap();
        ann.hear().frame().0.code == 0
    });
}

#[test]
fn keeper_that_dies_is_not_noticed_by_anybody() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let mut ann = Raw::enter(&world, ANN);
    let keeper = world.kill_box("keeper");
    assert_eq!(ann.call(4, b"x").0.code, 0);
    wait_until("another keeper is there", || world.boxes("keeper").iter().any(|pid| *pid != keeper));
    world.saf(&["PERMIT ZWES.IS CLASS(FACILITY) ID(ANN) ACCESS(NONE)"]);
    assert_eq!(ann.hear_goodbye().0, 33);
}

#[test]
fn worker_that_dies_ends_its_calls_with_36_and_the_next_gets_another() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let mut ann = Raw::enter(&world, ANN);
    let slow = br#"{"password":{"user":"BOB","password":"guess"}}"#;
    let sequence = ann.cast(11, slow);
    wait_until("a worker is there", || !world.boxes("worker").is_empty());
    let worker = world.kill_box("worker");
    let (reply, _) = ann.hear().frame();
    assert_eq!((reply.sequence, reply.code), (sequence, 36));
    let (reply, _) = ann.call(11, slow);
    assert_eq!((reply.code, reply.detail), (0, 11));
    assert!(!world.boxes("worker").contains(&worker));
}

#[test]
fn front_that_dies_under_load_is_there_again_and_clients_come_back() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let client = world.client(ANN, world.options());
    let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                crate::world::become_user(ANN);
                while !stop.load(Ordering::Relaxed) {
                    // What may be done twice is done again by the client itself.
                    let mut call = tender_xmem::client::Call::new(4, b"load");
                    call.repeatable = true;
                    let reply = client.call_with(call).unwrap();
                    assert_eq!(&*reply.payload, b"load");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..3 {
            let before = calls.load(Ordering::Relaxed);
            wait_until("calls go on", || calls.load(Ordering::Relaxed) > before + 100);
            let front = world.kill_box("front");
            wait_until("another front is there", || world.boxes("front").iter().any(|pid| *pid != front));
        }
        let before = calls.load(Ordering::Relaxed);
        wait_until("calls go on", || calls.load(Ordering::Relaxed) > before + 100);
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn server_that_is_killed_and_started_again_is_found_by_its_clients() {
    if !is_root() {
        return;
    }
    let mut world = World::start(USUAL, "");
    let client = world.client(ANN, Options { reconnect_ms: 60_000, ..world.options() });
    let generation = client.welcome().unwrap().generation;
    assert_eq!(client.services().status(b"one").unwrap(), b"one");
    world.signal(Signal::KILL);
    world.ended();
    world.run(&[]);
    let mut call = tender_xmem::client::Call::new(4, b"two");
    call.repeatable = true;
    let reply = crate::world::as_user(ANN, || client.call_with(call).unwrap());
    assert_eq!(&*reply.payload, b"two");
    assert_ne!(client.welcome().unwrap().generation, generation);
}

#[test]
fn many_calls_leave_the_boxes_as_large_as_they_were() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let (front, monitor) = (world.boxes("front")[0], world.boxes("monitor")[0]);
    let round = |calls: u32| {
        std::thread::scope(|scope| {
            for ring in [true, false] {
                let world = &world;
                scope.spawn(move || {
                    let client = world.client(ANN, Options { ring, ..world.options() });
                    for number in 0..calls {
                        let payload = number.to_le_bytes();
                        assert_eq!(client.services().status(&payload).unwrap(), payload);
                    }
                });
            }
        });
    };
    round(20_000);
    pause(1000);
    let before = [size_of(front), size_of(monitor)];
    for _ in 0..3 {
        round(30_000);
    }
    wait_until("connections are gone", || {
        size_of(front).0 <= before[0].0 && size_of(monitor).0 <= before[1].0
    });
    for (pid, (_, kilobytes)) in [front, monitor].into_iter().zip(before) {
        let now = size_of(pid).1;
        assert!(now < kilobytes + 4096, "process {pid} grew from {kilobytes} to {now} kB");
    }
    let counted: u64 = {
        wait_until("everything is counted", || {
            let of = |entry: &tender_saf::AuditEntry| entry.resource == "ZWES.IS.SRV.STATUS";
            world.audit().iter().filter(|entry| of(entry)).map(|entry| entry.count).sum::<u64>() >= 220_000
        });
        world
            .audit()
            .iter()
            .filter(|entry| entry.resource == "ZWES.IS.SRV.STATUS")
            .map(|entry| entry.count)
            .sum()
    };
    assert_eq!(counted, 220_000);
}
