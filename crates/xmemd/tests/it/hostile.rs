//! What a hostile client can do, item by item; a good one beside it notices nothing.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use tender_xmem::frame::{Flags, Header, Kind, VERSION};
use tender_xmem::ring::ClientRing;

use crate::wire::{Heard, Raw, passed_on};
use crate::world::{ANN, BOB, USUAL, World, is_root, size_of, wait_until};

/// Starts a server, lets somebody misbehave, and looks whether somebody else is served all the same.
fn beside(misbehave: impl FnOnce(&World)) {
    beside_with("", misbehave);
}

/// The same with a server of certain parameters.
fn beside_with(member: &str, misbehave: impl FnOnce(&World)) {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, member);
    let front = world.boxes("front");
    let mut good = Raw::enter(&world, ANN);
    misbehave(&world);
    assert_eq!(good.call(4, b"good").1, b"good");
    assert_eq!(world.boxes("front"), front, "the front was lost\n{}", world.log());
}

#[test]
fn frames_that_are_none_end_the_connection_with_their_code() {
    beside(|world| {
        let good = Header::new(Kind::Call, 1).encode();
        let damaged = |offset: usize, value: u8| {
            let mut bytes = good;
            bytes[offset] = value;
            bytes
        };
        let other_version = u8::try_from(VERSION + 1).unwrap();
        for (packet, code) in [
            (damaged(0, 0), 9),
            (damaged(4, other_version), 65),
            (damaged(6, 99), 9),
            (damaged(18, 0x80), 9),
            (damaged(28, 1), 62),
            (damaged(31, 255), 62),
        ] {
            let mut raw = Raw::enter(world, ANN);
            raw.send(&packet, &[]).unwrap();
            assert_eq!(raw.hear_goodbye().0, code, "{packet:?}");
            // Also as the first thing that is said.
            raw = Raw::connect(world, ANN);
            raw.send(&packet, &[]).unwrap();
            assert_eq!(raw.hear_goodbye().0, code, "{packet:?}");
        }
        let mut raw = Raw::enter(world, ANN);
        raw.send(&good[..47], &[]).unwrap();
        assert_eq!(raw.hear_goodbye().0, 9);
        raw = Raw::enter(world, ANN);
        raw.send(&vec![0; 65_536 + 49], &[]).unwrap();
        assert_eq!(raw.hear_goodbye().0, 9);
    });
}

#[test]
fn frames_in_the_wrong_order_end_the_connection() {
    beside(|world| {
        let raw = Raw::connect(world, ANN);
        raw.send(&Header::new(Kind::Call, 1).encode(), &[]).unwrap();
        assert_eq!(raw.hear_goodbye().0, 9);
        for kind in [Kind::Hello, Kind::Welcome, Kind::Reply, Kind::Goodbye, Kind::Command, Kind::Descriptor]
        {
            let raw = Raw::enter(world, ANN);
            raw.send(&Header::new(kind, 1).encode(), &[]).unwrap();
            assert_eq!(raw.hear_goodbye().0, 9, "{kind:?}");
        }
        let mut raw = Raw::connect(world, ANN);
        raw.hello("{");
        assert_eq!(raw.hear_goodbye().0, 9);
        // A number that is in use.
        let mut raw = Raw::enter(world, ANN);
        let slow = br#"{"password":{"user":"BOB","password":"guess"}}"#;
        let mut header = raw.next_call(11, slow.len());
        header.sequence = 77;
        for _ in 0..2 {
            raw.send(&[&header.encode()[..], slow].concat(), &[]).unwrap();
        }
        assert_eq!(raw.hear_goodbye().0, 9);
    });
}

#[test]
fn half_open_connection_ends_after_seconds() {
    beside(|world| {
        let raw = Raw::connect(world, ANN);
        let (code, text) = raw.hear_goodbye();
        assert_eq!((code, text.contains("HELLO")), (9, true), "{text}");
    });
}

#[test]
fn descriptors_that_nobody_asked_for_end_the_connection_and_stay_nowhere() {
    beside(|world| {
        let front = world.boxes("front")[0];
        let before = size_of(front).0;
        let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        for count in [1, 2, 200] {
            let mut raw = Raw::enter(world, ANN);
            let header = raw.next_call(4, 0);
            raw.send(&header.encode(), &vec![null.as_fd(); count]).unwrap();
            assert_eq!(raw.hear_goodbye().0, 9, "{count}");
        }
        wait_until("the descriptors are closed", || size_of(front).0 <= before);
    });
}

#[test]
fn memory_file_that_is_not_sealed_or_none_ends_the_connection() {
    beside(|world| {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let open = rustix::fs::memfd_create("open", flags).unwrap();
        rustix::fs::ftruncate(&open, 100_000).unwrap();
        let half = rustix::fs::memfd_create("half", flags).unwrap();
        rustix::fs::ftruncate(&half, 100_000).unwrap();
        rustix::fs::fcntl_add_seals(&half, SealFlags::SHRINK | SealFlags::GROW).unwrap();
        let short = rustix::fs::memfd_create("short", flags).unwrap();
        rustix::fs::fcntl_add_seals(
            &short,
            SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
        )
        .unwrap();
        let zero: OwnedFd = std::fs::File::open("/dev/zero").unwrap().into();
        let (pipe, _end) = rustix::pipe::pipe().unwrap();
        for fd in [&open, &half, &short, &zero, &pipe] {
            let mut raw = Raw::enter(world, ANN);
            let mut header = raw.next_call(11, 100_000);
            header.flags = Flags::MEMFD;
            raw.send(&header.encode(), &[fd.as_fd()]).unwrap();
            assert_eq!(raw.hear_goodbye().0, 9);
        }
        let mut raw = Raw::enter(world, ANN);
        let mut header = raw.next_call(11, 100_000);
        header.flags = Flags::MEMFD;
        raw.send(&header.encode(), &[]).unwrap();
        assert_eq!(raw.hear_goodbye().0, 9, "a flag without a descriptor");
    });
}

#[test]
fn client_that_does_not_read_costs_only_itself() {
    beside(|world| {
        let front = world.boxes("front")[0];
        let before = size_of(front).1;
        let mut raw = Raw::enter(world, ANN);
        rustix::io::ioctl_fionbio(&raw.socket, true).unwrap();
        let payload = vec![7; 60_000];
        let mut sent = 0_u32;
        let end = std::time::Instant::now() + std::time::Duration::from_secs(2);
        while std::time::Instant::now() < end {
            let header = raw.next_call(4, payload.len());
            match raw.send(&[&header.encode()[..], &payload].concat(), &[]) {
                Ok(()) => sent += 1,
                Err(_) => crate::world::pause(1),
            }
        }
        assert!(sent < 1000, "everything was taken");
        assert!(size_of(front).1 < before + 8192, "the front keeps what is not read");
    });
}

#[test]
fn client_that_reads_its_socket_and_never_its_ring_is_ended_all_the_same() {
    beside(|world| {
        let mut raw = Raw::enter(world, ANN);
        let mut open = Header::new(Kind::RingOpen, 1);
        open.detail = 4096;
        raw.send(&open.encode(), &[]).unwrap();
        let Heard::Frame(ready, _, mut fds) = raw.hear() else { panic!("no ring") };
        let (doorbell, memory) = (fds.pop().unwrap(), fds.pop().unwrap());
        let mut ring = ClientRing::open(&memory, doorbell, ready.detail).unwrap();
        // More answers than the ring has room for; none is taken out.
        let mut taken = 0;
        wait_until("the ring is full both ways", || {
            let header = raw.next_call(4, 1000);
            taken += usize::from(ring.sender.try_push(&header, &[7; 1000]).unwrap());
            taken > 4
        });
        // The socket is late again and again, for a moment each time, and that is nothing to mind.
        rustix::io::ioctl_fionbio(&raw.socket, true).unwrap();
        let payload = vec![7; 60_000];
        wait_until("the connection has ended", || {
            let mut sent = 0;
            loop {
                let header = raw.next_call(4, payload.len());
                match raw.send(&[&header.encode()[..], &payload].concat(), &[]) {
                    Ok(()) => sent += 1,
                    Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => return true,
                    Err(_) => break,
                }
            }
            crate::world::pause(300);
            let mut buffer = vec![0; 70_000];
            for _ in 0..sent * 2 {
                rustix::net::recv(&raw.socket, &mut buffer[..], RecvFlags::DONTWAIT).ok();
            }
            false
        });
        world.wait_for_log("does not read what it is sent");
    });
}

#[test]
fn log_cannot_be_forged() {
    beside(|world| {
        let mut ann = Raw::enter(world, ANN);
        let forged = b"x\n2025/01/01-00:00:00.00 TENDER-XMEMD ROOT(1) ZWES0109I Ready: FORGED\x1b[2J\xff";
        assert_eq!(ann.call(1, forged).0.code, 0);
        world.wait_for_log("FORGED");
        let log = world.log();
        let line = log.lines().find(|line| line.contains("FORGED")).unwrap();
        assert!(line.contains("(uid 60001)") && line.contains("| x\\n2025"), "{line}");
        assert!(!log.contains('\u{1b}'));
        // A length that goes beyond what is there.
        assert_eq!(ann.call(2, &[255, 255, b'x']).0.code, 78);
        let mut dump = vec![2, 0, b'd', b'd'];
        dump.extend_from_slice(&[0xAB; 60_000]);
        assert_eq!(ann.call(2, &dump).0.code, 0);
        world.wait_for_log("dd (60000 bytes)");
        assert_eq!(ann.call(1, &[b'y'; 4097]).0.code, 41);
    });
}

#[test]
fn log_cannot_be_flooded() {
    // So few that the slowest machine asks for more.
    beside_with("ZWES.LOG_LINES_PER_SECOND=10\n", |world| {
        let mut ann = Raw::enter(world, ANN);
        let refused = (0..500).filter(|_| ann.call(1, b"flood").0.code == 86).count();
        assert!(refused > 250, "{refused}");
        world.wait_for_log("flood");
    });
}

#[test]
fn ring_that_is_corrupt_costs_its_owner_the_connection() {
    beside(|world| {
        for seed in 0..40_u64 {
            let raw = Raw::enter(world, ANN);
            let mut open = Header::new(Kind::RingOpen, 1);
            open.detail = 4096;
            raw.send(&open.encode(), &[]).unwrap();
            let Heard::Frame(ready, _, fds) = raw.hear() else { panic!("no ring") };
            assert_eq!((ready.kind, ready.code, fds.len()), (Kind::RingReady, 0, 2));
            // Noise over everything: records, heads, the header.
            let size = rustix::fs::fstat(&fds[0]).unwrap().st_size as usize;
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let noise: Vec<u8> = (0..size)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state as u8
                })
                .collect();
            rustix::io::pwrite(&fds[0], &noise, 0).unwrap();
            rustix::io::write(&fds[1], &1_u64.to_ne_bytes()).unwrap();
            let (code, text) = raw.hear_goodbye();
            assert_eq!(code, 9, "{text}");
        }
        // The seals hold: nobody can take the memory away.
        let mut raw = Raw::enter(world, ANN);
        raw.send(&Header::new(Kind::RingOpen, 1).encode(), &[]).unwrap();
        let Heard::Frame(_, _, fds) = raw.hear() else { panic!("no ring") };
        assert!(rustix::fs::ftruncate(&fds[0], 0).is_err());
        raw.send(&Header::new(Kind::RingOpen, 2).encode(), &[]).unwrap();
        assert_eq!(raw.hear_goodbye().0, 9, "a second ring");
        raw = Raw::connect(world, BOB);
        drop(raw);
    });
}

#[test]
fn descriptor_that_was_passed_on_keeps_its_owner_and_ends_with_its_process() {
    if !is_root() {
        return;
    }
    let world = World::start(USUAL, "");
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .unwrap();
    let mut helper = connects_and_passes_on(&world, BOB, theirs);
    let mut raw = Raw::of(passed_on(&ours));
    // Root uses it, and is BOB.
    let (reply, _) = raw.call(4, b"");
    assert_eq!(reply.code, 33);
    drop(ours);
    helper.wait().unwrap();
    while let Heard::Frame(header, ..) = raw.hear() {
        assert_eq!(header.kind, Kind::Goodbye);
    }
}

/// Starts another process, which is this program again: it connects, sends the connection to `ours`' other end, and ends
/// when that is closed.
pub(crate) fn connects_and_passes_on(world: &World, uid: u32, theirs: OwnedFd) -> std::process::Child {
    let mut helper = std::process::Command::new(std::env::current_exe().unwrap());
    helper
        .args(["hostile::helper_connects_and_passes_on", "--exact", "--ignored", "--nocapture"])
        .env("XMEMD_TEST_SOCKET", world.path("run/ZWESIS_STD/socket"))
        .env("XMEMD_TEST_UID", uid.to_string())
        .stdin(theirs)
        .stdout(std::process::Stdio::null());
    helper.spawn().unwrap()
}

#[test]
#[ignore = "the other process of the test above"]
fn helper_connects_and_passes_on() {
    let Some(path) = std::env::var_os("XMEMD_TEST_SOCKET") else { return };
    let uid = std::env::var("XMEMD_TEST_UID").unwrap().parse().unwrap();
    let mut raw = Raw::connect_to(std::path::Path::new(&path), uid);
    raw.hello(r#"{"client":"helper","server":"ZWESIS_STD"}"#);
    assert_eq!(raw.hear().frame().0.code, 0);
    raw.pass_on();
    // Until the other end is closed.
    let mut byte = [0; 1];
    rustix::io::read(std::io::stdin(), &mut byte).ok();
}

#[test]
fn thousand_connections_of_one_user_leave_room_for_another() {
    beside(|world| {
        let mut open = Vec::new();
        let mut refused = 0;
        for _ in 0..400 {
            let mut raw = Raw::connect(world, BOB);
            // It may have been turned away before it could say anything.
            raw.try_hello(r#"{"client":"many","server":"ZWESIS_STD"}"#).ok();
            match raw.hear() {
                Heard::Frame(header, ..) if header.kind == Kind::Welcome => open.push(raw),
                Heard::Frame(header, ..) => {
                    assert_eq!((header.kind, header.code), (Kind::Goodbye, 52));
                    refused += 1;
                }
                Heard::End => refused += 1,
            }
        }
        assert!(open.len() <= 256 && refused >= 100, "{} open, {refused} refused", open.len());
        let mut ann = Raw::enter(world, ANN);
        assert_eq!(ann.call(4, b"x").0.code, 0);
    });
}
