//! The one busy connection, for which a thread of the front waits alone: nothing of it is different for anybody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::Signal;
use tender_xmem::frame::{Header, Kind};
use tender_xmem::ring::ClientRing;

use crate::hostile::connects_and_passes_on;
use crate::wire::{Heard, Raw, passed_on};
use crate::world::{ANN, BOB, USUAL, World, is_root, signal, wait_until};

/// Lets BOB call STATUS beside ANN.
fn server() -> World {
    let world = World::start(USUAL, "");
    world.saf(&["PERMIT ZWES.IS.SRV.* CLASS(FACILITY) ID(BOB) ACCESS(UPDATE)"]);
    let mut bob = Raw::enter(&world, BOB);
    wait_until("BOB may call", || bob.call(4, b"").0.code == 0);
    world
}

/// Says whether the front's second thread waits in a receive.
fn is_waited_for(world: &World) -> bool {
    let front = world.boxes("front")[0];
    std::fs::read_dir(format!("/proc/{front}/task")).unwrap().any(|task| {
        let task = task.unwrap().path();
        let read = |name: &str| std::fs::read_to_string(task.join(name)).unwrap_or_default();
        read("comm").trim() == "busy"
            && read("syscall").split(' ').next() == Some(&libc::SYS_recvmsg.to_string())
    })
}

/// Calls until the connection is the busy one; returns how often.
fn make_busy(world: &World, raw: &mut Raw) -> u64 {
    let mut calls = 0;
    wait_until("the connection is the busy one", || {
        for number in 0..100_u8 {
            assert_eq!(raw.call(4, &[number; 64]).1, [number; 64]);
            calls += 1;
        }
        is_waited_for(world)
    });
    calls
}

#[test]
fn busy_connection_keeps_nobody_else_waiting_and_is_none_when_it_is_quiet() {
    if !is_root() {
        return;
    }
    let mut world = server();
    let (mut ann, mut bob) = (Raw::enter(&world, ANN), Raw::enter(&world, BOB));
    let mut calls = 0;
    for _ in 0..20 {
        calls += make_busy(&world, &mut ann) + 1;
        assert_eq!(bob.call(4, b"beside").1, b"beside");
        assert_eq!(ann.call(4, b"goes on").1, b"goes on");
        // Also what goes to the monitor and comes back.
        assert_eq!(ann.call(26, br#"{"refusals":{"count":1}}"#).0.code, 0);
    }
    wait_until("nobody waits for it alone", || !is_waited_for(&world));
    assert_eq!(ann.call(4, b"again").1, b"again");
    assert_eq!(world.stop().code(), Some(0), "{}", world.log());
    assert_eq!(ann.hear_goodbye().0, 25);
    assert_eq!(bob.hear_goodbye().0, 25);
    let counted: u64 = world
        .audit()
        .iter()
        .filter(|entry| entry.resource == "ZWES.IS.SRV.STATUS" && entry.user.as_deref() == Some("ANN"))
        .map(|entry| entry.count)
        .sum();
    assert_eq!(counted, calls + 1, "every call is written down");
}

#[test]
fn busy_connection_hears_at_once_that_the_server_stops() {
    if !is_root() {
        return;
    }
    let mut world = server();
    let mut ann = Raw::enter(&world, ANN);
    make_busy(&world, &mut ann);
    assert_eq!(world.stop().code(), Some(0), "{}", world.log());
    assert_eq!(ann.hear_goodbye().0, 25);
    assert!(!world.log().contains("ZWES0115E"), "{}", world.log());
}

#[test]
fn busy_connection_ends_when_its_gate_is_closed() {
    if !is_root() {
        return;
    }
    let world = server();
    let mut ann = Raw::enter(&world, ANN);
    make_busy(&world, &mut ann);
    world.saf(&["PERMIT ZWES.IS CLASS(FACILITY) ID(ANN) ACCESS(NONE)"]);
    // It calls on and on, until it is told to go.
    let code = loop {
        let header = ann.next_call(4, 0);
        if ann.send(&header.encode(), &[]).is_err() {
            break 33;
        }
        match ann.hear() {
            Heard::Frame(header, ..) if header.kind == Kind::Goodbye => break header.code,
            Heard::Frame(..) => {}
            Heard::End => panic!("it ended without a word"),
        }
    };
    assert_eq!(code, 33);
    wait_until("nobody waits for it", || !is_waited_for(&world));
    let mut bob = Raw::enter(&world, BOB);
    make_busy(&world, &mut bob);
}

#[test]
fn busy_connection_that_breaks_the_rules_or_hangs_up_leaves_the_thread_to_the_next() {
    if !is_root() {
        return;
    }
    let world = server();
    for round in 0..6 {
        let mut ann = Raw::enter(&world, ANN);
        make_busy(&world, &mut ann);
        if round % 2 == 0 {
            ann.send(&Header::new(Kind::Welcome, 1).encode(), &[]).unwrap();
            assert_eq!(ann.hear_goodbye().0, 9);
        }
    }
}

#[test]
fn busy_connection_that_does_not_read_costs_only_itself_and_is_answered_when_it_does() {
    if !is_root() {
        return;
    }
    let world = server();
    let (mut ann, mut bob) = (Raw::enter(&world, ANN), Raw::enter(&world, BOB));
    make_busy(&world, &mut ann);
    rustix::io::ioctl_fionbio(&ann.socket, true).unwrap();
    let payload = vec![7; 30_000];
    let mut sent = 0;
    let mut idle = 0;
    // Until it takes no more for a while.
    while idle < 50 {
        let header = ann.next_call(4, payload.len());
        match ann.send(&[&header.encode()[..], &payload].concat(), &[]) {
            Ok(()) => (sent, idle) = (sent + 1, 0),
            Err(_) => {
                idle += 1;
                crate::world::pause(2);
            }
        }
        assert_eq!(bob.call(4, b"beside").1, b"beside");
    }
    rustix::io::ioctl_fionbio(&ann.socket, false).unwrap();
    for _ in 0..sent {
        let (reply, answer) = ann.hear().frame();
        assert_eq!((reply.kind, reply.code, answer.len()), (Kind::Reply, 0, payload.len()));
    }
    make_busy(&world, &mut ann);
}

#[test]
fn busy_connection_that_was_passed_on_ends_with_its_process() {
    if !is_root() {
        return;
    }
    let world = server();
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .unwrap();
    let mut helper = connects_and_passes_on(&world, BOB, theirs);
    let mut raw = Raw::of(passed_on(&ours));
    make_busy(&world, &mut raw);
    drop(ours);
    helper.wait().unwrap();
    wait_until("the connection has ended", || {
        let header = raw.next_call(4, 0);
        raw.send(&header.encode(), &[]).is_err()
    });
    let mut ann = Raw::enter(&world, ANN);
    make_busy(&world, &mut ann);
}

/// Opens a ring on a connection.
fn open_ring(raw: &Raw) -> ClientRing {
    raw.send(&Header::new(Kind::RingOpen, 1).encode(), &[]).unwrap();
    let Heard::Frame(ready, _, mut fds) = raw.hear() else { panic!("no ring") };
    let (doorbell, memory) = (fds.pop().unwrap(), fds.pop().unwrap());
    ClientRing::open(&memory, doorbell, ready.detail).unwrap()
}

/// Waits until something is done several times in less time than the front lets pass between two looks at everything.
fn wait_until_prompt(what: &str, mut once: impl FnMut()) {
    wait_until(what, || {
        let begun = Instant::now();
        (0..10).for_each(|_| once());
        begun.elapsed() < Duration::from_secs(3)
    });
}

#[test]
fn deadline_of_a_call_on_the_busy_connection_needs_nobody_else_to_wake_the_front() {
    if !is_root() {
        return;
    }
    let world = server();
    let mut ann = Raw::enter(&world, ANN);
    let monitor = world.boxes("monitor")[0];
    signal(monitor, Signal::STOP);
    wait_until_prompt("deadlines are kept", || {
        make_busy(&world, &mut ann);
        let mut header = ann.next_call(26, 0);
        header.detail = 1;
        ann.send(&header.encode(), &[]).unwrap();
        assert_eq!(ann.hear().frame().0.code, 96);
    });
    signal(monitor, Signal::CONT);
}

#[test]
fn ring_that_is_opened_on_the_busy_connection_is_looked_at_at_once() {
    if !is_root() {
        return;
    }
    let world = server();
    wait_until_prompt("calls in a new ring are answered", || {
        let mut ann = Raw::enter(&world, ANN);
        make_busy(&world, &mut ann);
        let mut ring = open_ring(&ann);
        // The server is awake, so that no bell is rung.
        let header = ann.next_call(4, 4);
        assert!(ring.sender.try_push(&header, b"ring").unwrap());
        let mut payload = Vec::new();
        wait_until("the call is answered", || ring.receiver.try_pop(&mut payload).unwrap().is_some());
        assert_eq!(payload, b"ring");
    });
}

#[test]
fn busy_connection_beside_a_hot_ring_is_answered() {
    if !is_root() {
        return;
    }
    let world = server();
    let (is_hot, is_over, served) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    let mut ann = Raw::enter(&world, ANN);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut bob = Raw::enter(&world, BOB);
            let mut ring = open_ring(&bob);
            let mut payload = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                if !is_hot.load(Ordering::Relaxed) {
                    crate::world::pause(1);
                }
                // Always another one before the last is answered.
                while is_hot.load(Ordering::Relaxed)
                    && ring.sender.try_push(&bob.next_call(4, 8), &[7; 8]).unwrap()
                {
                    std::hint::spin_loop();
                }
                while ring.receiver.try_pop(&mut payload).unwrap().is_some() {
                    served.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let mut most = 0;
        for _ in 0..20 {
            is_hot.store(false, Ordering::Relaxed);
            make_busy(&world, &mut ann);
            is_hot.store(true, Ordering::Relaxed);
            for _ in 0..50 {
                let before = served.load(Ordering::Relaxed);
                assert_eq!(ann.call(4, b"beside").1, b"beside");
                most = most.max(served.load(Ordering::Relaxed) - before);
            }
        }
        is_over.store(true, Ordering::Relaxed);
        println!("at most {most} calls of the ring in one of the connection");
        assert!(most < 100_000, "{most} calls of the ring were answered meanwhile");
    });
}
