//! Descriptors by the hundred: none stays, and nobody else is without one.

use std::os::fd::{AsFd as _, OwnedFd};

use tender_xmem::frame::{Flags, Header, Kind};

use crate::wire::{Raw, sealed};
use crate::world::{ANN, BOB, USUAL, World, as_user, is_root, pause, size_of, wait_until};

fn sizes(world: &World) -> Vec<(u32, usize)> {
    let pids = ["front", "monitor", "keeper"].iter().flat_map(|role| world.boxes(role));
    pids.map(|pid| (pid, size_of(pid).0)).collect()
}

fn settles(world: &World, before: &[(u32, usize)]) {
    wait_until("every descriptor is closed again", || {
        sizes(world).iter().zip(before).all(|(now, before)| now.0 == before.0 && now.1 <= before.1)
    });
}

/// Grants may be audited by a worker later: what a service once needed stays. So each is used once before it is counted.
fn start() -> Option<World> {
    if !is_root() {
        return None;
    }
    let world = World::start(USUAL, "ZWES.CALLS_PER_CONNECTION=16\n");
    let mut ann = Raw::enter(&world, ANN);
    ann.call(13, br#"{"capacity":1}"#);
    Some(world)
}

#[test]
fn flood_of_descriptors_ends_its_connections_and_takes_none_from_others() {
    let Some(world) = start() else { return };
    let mut good = Raw::enter(&world, ANN);
    let before = sizes(&world);
    let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (world, null) = (&world, &null);
            scope.spawn(move || {
                for round in 0..60_u64 {
                    let raw = if round % 2 == 0 { Raw::enter(world, BOB) } else { Raw::connect(world, BOB) };
                    // Several packets full of them at once; all but the first come after the end.
                    for sequence in 0..4 {
                        let header = Header::new(Kind::Call, sequence + 1).encode();
                        let sent = as_user(BOB, || raw.send(&header, &[null.as_fd(); 200]));
                        if sent.is_err() {
                            break;
                        }
                    }
                    assert_eq!(raw.hear_goodbye().0, 9);
                }
            });
        }
        for _ in 0..200 {
            assert_eq!(good.call(4, b"good").1, b"good");
            pause(2);
        }
    });
    settles(&world, &before);
}

#[test]
fn memory_files_of_calls_under_way_are_bounded_and_closed() {
    let Some(world) = start() else { return };
    let mut good = Raw::enter(&world, ANN);
    let before = sizes(&world);
    // Valid calls with their payload in a file, sent and never listened to.
    let request = format!("{}{}", r#"{"protocols":["tcp"],"capacity":1}"#, " ".repeat(100_000));
    let mut most = 0;
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let floods: Vec<_> = (0..3)
            .map(|_| {
                let (world, request, stop) = (&world, &request, &stop);
                scope.spawn(move || {
                    let mut raw = Raw::enter(world, ANN);
                    rustix::io::ioctl_fionbio(&raw.socket, true).unwrap();
                    let mut sent = 0_u32;
                    for _ in 0..3000 {
                        let file = sealed(request.as_bytes());
                        let mut header = raw.next_call(13, request.len());
                        header.flags = Flags::MEMFD;
                        match raw.send(&header.encode(), &[file.as_fd()]) {
                            Ok(()) => sent += 1,
                            Err(_) => pause(1),
                        }
                    }
                    stop.store(true, std::sync::atomic::Ordering::Relaxed);
                    sent
                })
            })
            .collect();
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            assert_eq!(good.call(4, b"good").1, b"good");
            most = most.max(sizes(&world).iter().map(|(_, count)| *count).max().unwrap());
        }
        let sent: u32 = floods.into_iter().map(|flood| flood.join().unwrap()).sum();
        assert!(sent > 16, "{sent}");
    });
    let at_rest = before.iter().map(|(_, count)| *count).max().unwrap();
    // Sixteen calls of each of three connections, and what is being handed on.
    assert!(most <= at_rest + 3 * 16 * 2 + 32, "{most} descriptors, {at_rest} at rest");
    settles(&world, &before);
}
