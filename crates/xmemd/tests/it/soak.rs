//! A day of calls in miniature: no process of the server grows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tender_xmem::client::{Client, Options};

use crate::wire::Raw;
use crate::world::{ANN, BOB, PATIENCE, USUAL, World, become_user, is_root, pause, size_of};

/// How much more memory a process may have afterwards, in KiB: allocators give back late.
const GROWTH_KIB: u64 = 4096;

/// What each process of the server has: descriptors and KiB.
fn sizes(world: &World) -> HashMap<u32, (usize, u64)> {
    world.processes().into_iter().map(|pid| (pid, size_of(pid))).collect()
}

/// Waits until no process has more descriptors than before, and compares.
fn assert_has_not_grown(world: &World, before: &HashMap<u32, (usize, u64)>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = sizes(world);
        let grown: Vec<String> = now
            .iter()
            .filter_map(|(pid, (descriptors, kib))| {
                let (had, was_kib) = before.get(pid).copied().unwrap_or((0, 0));
                let has_grown = *descriptors > had || *kib > was_kib + GROWTH_KIB;
                let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let line = line.replace('\0', " ");
                has_grown.then(|| format!("{line}: {had} to {descriptors} files, {was_kib} to {kib} KiB"))
            })
            .collect();
        if grown.is_empty() && now.len() == before.len() {
            return;
        }
        let all = format!("{grown:#?}, {} processes were {}", now.len(), before.len());
        assert!(Instant::now() < deadline, "{all}\n{}", world.log());
        pause(50);
    }
}

/// Calls everything that the server does for unprivileged callers, for so long; returns how many calls were answered.
fn everything(world: &World, time: Duration) -> u64 {
    let end = Instant::now() + time;
    let calls = AtomicU64::new(0);
    let goes_on = |answered: u64| {
        calls.fetch_add(answered, Ordering::Relaxed);
        Instant::now() < end
    };
    std::thread::scope(|scope| {
        for ring in [true, false] {
            let (world, goes_on) = (&world, &goes_on);
            scope.spawn(move || {
                become_user(ANN);
                let options = Options { ring, ..world.options() };
                let client = Client::connect("ZWESIS_STD".parse().unwrap(), options).unwrap();
                while goes_on(100) {
                    for number in 0..100_u32 {
                        let payload = [number.to_le_bytes(); 16].concat();
                        assert_eq!(client.services().status(&payload).unwrap(), payload);
                    }
                }
            });
        }
        // Workers, the monitor, refusals that are written down, connections that come and go.
        scope.spawn(|| {
            let (mut ann, mut bob) = (Raw::enter(world, ANN), Raw::enter(world, BOB));
            let request = format!("{}{}", r#"{"protocols":["tcp"],"capacity":1000}"#, " ".repeat(70_000));
            while goes_on(6) {
                assert_eq!(ann.call(13, br#"{"protocols":["tcp"],"capacity":1000}"#).0.code, 0);
                assert_eq!(ann.call_large(0, 13, request.as_bytes()).0.code, 0);
                assert_eq!(ann.call(26, br#"{"refusals":{"count":5}}"#).0.code, 0);
                assert_eq!(ann.call(5, b"").0.code, 0);
                assert_eq!(ann.call(11, br#"{"user":{"user":"BOB"}}"#).0.code, 0);
                assert_eq!(bob.call(4, b"").0.code, 33);
            }
        });
        scope.spawn(|| {
            while goes_on(1) {
                let mut raw = Raw::enter(world, ANN);
                assert_eq!(raw.call(4, b"x").0.code, 0);
                drop(raw);
                drop(Raw::connect(world, BOB));
                let options = Options { ring: true, ..world.options() };
                drop(world.client(ANN, options));
                pause(5);
            }
        });
    });
    calls.into_inner()
}

#[test]
fn calls_of_every_kind_for_a_minute_leave_every_process_as_it_was() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    everything(&world, Duration::from_secs(15));
    pause(1500);
    let before = sizes(&world);
    let calls = everything(&world, Duration::from_secs(45));
    println!("{calls} calls");
    assert!(calls > 1000, "{calls}");
    assert_has_not_grown(&world, &before);
}

/// Run it optimised: `cargo test --release -p tender-xmemd --test it -- --ignored ten_million --nocapture`.
#[test]
#[ignore = "minutes, and only optimised"]
fn ten_million_calls_over_the_ring_leave_every_process_as_it_was() {
    if !is_root() {
        return;
    }
    const CALLS: u64 = 10_000_000;
    let world = World::start(USUAL, "");
    let call = |calls: u64| {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let world = &world;
                scope.spawn(move || {
                    become_user(ANN);
                    let options = Options { ring: true, ..world.options() };
                    let client = Client::connect("ZWESIS_STD".parse().unwrap(), options).unwrap();
                    for number in 0..calls / 2 {
                        let payload = [number; 8].map(u64::to_le_bytes).concat();
                        assert_eq!(client.services().status(&payload).unwrap(), payload);
                    }
                });
            }
        });
    };
    call(CALLS / 10);
    pause(1500);
    let before = sizes(&world);
    let begun = Instant::now();
    call(CALLS);
    println!("{CALLS} calls in {:?}; before {before:?}, after {:?}", begun.elapsed(), sizes(&world));
    assert_has_not_grown(&world, &before);
    world.modify("FLUSH");
    let counted: u64 = world
        .audit()
        .iter()
        .filter(|entry| entry.resource == "ZWES.IS.SRV.STATUS")
        .map(|entry| entry.count)
        .sum();
    assert_eq!(counted, CALLS + CALLS / 10, "each is in the audit");
}
