//! Peers that do not keep to the rules.

use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tender_xmem::client::{Client, Options};
use tender_xmem::code::CmsCode;
use tender_xmem::frame::{Flags, Header, Kind, PACKET_BYTES_MAX};
use tender_xmem::ring::{ClientRing, RingError, ServerRing};
use tender_xmem::socket::{Connection, SocketError, Violation, connect, seal, socket_path};

use crate::server::{ECHO, Server, name, options, wait_for};

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// Sends a packet with descriptors, past every rule of the library.
fn send_raw(socket: BorrowedFd<'_>, packet: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = vec![MaybeUninit::uninit(); 2048];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    sendmsg(socket, &[IoSlice::new(packet)], &mut control, SendFlags::NOSIGNAL).expect("sent");
}

fn call(flags: Flags, length: u32) -> Vec<u8> {
    let mut header = Header::new(Kind::Call, 1);
    (header.flags, header.length, header.service) = (flags, length, ECHO);
    header.encode().to_vec()
}

fn violation(packet: &[u8], descriptors: &[BorrowedFd<'_>], allowed: usize) -> Violation {
    let (one, other) = Connection::pair().expect("a pair");
    send_raw(one.as_fd(), packet, descriptors);
    let mut buffer = Connection::buffer();
    match other.receive(&mut buffer, allowed) {
        Err(SocketError::Violated(violation)) => violation,
        received => panic!("not refused: {received:?}"),
    }
}

#[test]
fn descriptors_that_were_not_asked_for_end_the_connection_and_are_closed() {
    let (pipe, writing) = rustix::pipe::pipe().expect("a pipe");
    for count in [1, 2, 3, 4, 5, 100, 253] {
        let flood = vec![pipe.as_fd(); count];
        for allowed in 0..=3 {
            if count <= allowed {
                continue;
            }
            let violation = violation(&call(Flags::NONE, 0), &flood, allowed);
            let expected = matches!(violation, Violation::ControlData | Violation::Descriptors { .. });
            assert!(
                expected && violation.code() == CmsCode::ProtocolViolated,
                "{count} of {allowed}: {violation:?}"
            );
        }
    }
    drop(pipe);
    // Were a copy of the reading end still open, there would be a reader.
    assert_eq!(rustix::io::write(&writing, b"x"), Err(rustix::io::Errno::PIPE));
}

#[test]
fn descriptor_flood_against_a_server_costs_only_the_one_who_floods() {
    let run = tempfile::tempdir().expect("a directory");
    let server = Server::start(run.path());
    let honest = server.client(false);
    let (pipe, _writing) = rustix::pipe::pipe().expect("a pipe");
    let flood = vec![pipe.as_fd(); 253];
    for _ in 0..50 {
        let hostile = connect(&socket_path(run.path(), &name()), Instant::now() + Duration::from_secs(5))
            .expect("connected");
        send_raw(hostile.as_fd(), &call(Flags::NONE, 0), &flood);
        assert_eq!(honest.call(ECHO, b"honest").expect("answered").payload, b"honest");
    }
    wait_for("fifty ends", || server.orders.violations.lock().expect("a lock").len() == 50);
    // 50 × 253 leaked descriptors would be more than may be open.
    assert!(open_descriptors() < 1000);
}

#[test]
fn packets_that_are_no_frames_are_refused_with_their_code() {
    let cases: [(Vec<u8>, CmsCode); 6] = [
        (b"short".to_vec(), CmsCode::ProtocolViolated),
        (vec![0; 48], CmsCode::ProtocolViolated),
        (call(Flags::NONE, 5), CmsCode::BadParameter),
        ([call(Flags::NONE, 0), vec![0; 5]].concat(), CmsCode::BadParameter),
        (vec![0; PACKET_BYTES_MAX + 1], CmsCode::BadParameter),
        (
            {
                let mut other = call(Flags::NONE, 0);
                other[4] = 9;
                other
            },
            CmsCode::WrongClientVersion,
        ),
    ];
    for (packet, code) in cases {
        let violation = violation(&packet, &[], 0);
        assert_eq!(violation.code(), code, "{violation:?}");
    }
}

#[test]
fn an_empty_packet_is_not_taken_for_anything_but_the_end() {
    let (one, other) = Connection::pair().expect("a pair");
    send_raw(one.as_fd(), &[], &[]);
    let mut buffer = Connection::buffer();
    assert!(matches!(other.receive(&mut buffer, 0), Err(SocketError::Closed)));
}

#[test]
fn payload_in_anything_but_a_sealed_memfd_of_the_right_size_is_refused_at_once() {
    let length = 70_000u32;
    let packet = call(Flags::MEMFD, length);
    let bytes = vec![1; length as usize];
    let with_seals = |seals| {
        let file = memfd_create("hostile", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("memfd");
        rustix::io::write(&file, &bytes).expect("written");
        fcntl_add_seals(&file, seals).expect("sealed");
        file
    };
    let (pipe, _writing) = rustix::pipe::pipe().expect("a pipe");
    let mut regular = tempfile::tempfile().expect("a file");
    regular.write_all(&bytes).expect("written");
    let wrong: Vec<(&str, OwnedFd)> = vec![
        ("an empty pipe, which a read would wait for", pipe),
        ("a file that can be shortened", regular.into()),
        ("a memfd without seals", with_seals(SealFlags::empty())),
        ("a memfd that can be written", with_seals(SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)),
        ("a memfd that can be shortened", with_seals(SealFlags::WRITE | SealFlags::GROW | SealFlags::SEAL)),
        ("a memfd of another size", seal(&bytes[1..]).expect("sealed")),
    ];
    for (what, file) in &wrong {
        let violation = violation(&packet, &[file.as_fd()], 0);
        assert!(matches!(violation, Violation::Payload(_)), "{what}: {violation:?}");
    }
    let right = seal(&bytes).expect("sealed");
    assert!(matches!(violation(&packet, &[], 0), Violation::Descriptors { .. }), "no memfd at all");
    assert!(matches!(
        violation(&packet, &[right.as_fd(), right.as_fd(), right.as_fd()], 1),
        Violation::ControlData | Violation::Descriptors { .. }
    ));
    let small = seal(&bytes[..10]).expect("sealed");
    assert!(matches!(violation(&call(Flags::MEMFD, 10), &[small.as_fd()], 0), Violation::Payload(_)));
}

/// A client's end of a ring together with its memory, which it can write to as it likes.
fn hostile_ring() -> (ServerRing, ClientRing, OwnedFd) {
    let server = ServerRing::create(4096).expect("a ring");
    let [memory, doorbell] = server.descriptors();
    let (memory, doorbell) =
        (memory.try_clone_to_owned().expect("dup"), doorbell.try_clone_to_owned().expect("dup"));
    let client = ClientRing::open(&memory, doorbell, 4096).expect("opened");
    (server, client, memory)
}

#[test]
fn ring_client_that_corrupts_any_word_costs_at_most_its_own_connection() {
    // Every word of the control page that is used, and every word of the first two records, with values that are large,
    // small, negative, almost right.
    let offsets = [0usize, 8, 16, 128, 256, 384, 512].into_iter().chain((4096..4096 + 256).step_by(8));
    let values = [0u64, 1, 2, 63, 64, 65, 4096, 1 << 31, u64::from(u32::MAX), 1 << 32, 1 << 63, u64::MAX];
    let mut corrupt = 0;
    for offset in offsets {
        for value in values {
            let (mut server, mut client, memory) = hostile_ring();
            assert!(client.sender.try_push(&Header::new(Kind::Call, 1), &[3; 100]).expect("intact"));
            rustix::io::pwrite(&memory, &value.to_ne_bytes(), offset as u64).expect("written");
            let mut buffer = Vec::new();
            for round in 0..200 {
                match server.try_pop(&mut buffer) {
                    Ok(Some(_)) => assert!(buffer.len() <= 4096),
                    Ok(None) => {}
                    Err(RingError::Corrupt { .. }) => {
                        corrupt += 1;
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
                match server.try_push(&Header::new(Kind::Reply, round), &[5; 200]) {
                    Ok(_) => {}
                    Err(RingError::Corrupt { .. }) => {
                        corrupt += 1;
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
                if !server.arm() {
                    server.disarm();
                }
                server.nudge();
            }
        }
    }
    assert!(corrupt > 50, "corruption was noticed {corrupt} times");
}

#[test]
fn ring_client_that_writes_while_the_server_reads_gets_no_more_than_errors() {
    let (mut server, client, memory) = hostile_ring();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut state = 0x9E37_79B9_7F4A_7C15u64;
            while !done.load(Ordering::Relaxed) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let offset = 4096 + (state >> 40) % 4096 / 8 * 8;
                let value = match state % 4 {
                    0 => state,
                    1 => 1 + (state >> 60),
                    2 => u64::from_le_bytes([0x54, 0x4E, 0x58, 0x4D, 2, 0, 3, 0]),
                    _ => 0,
                };
                rustix::io::pwrite(&memory, &value.to_ne_bytes(), offset).expect("written");
            }
        });
        let mut buffer = Vec::new();
        for _ in 0..200_000 {
            if let Ok(Some(header)) = server.try_pop(&mut buffer) {
                assert_eq!(header.length as usize, buffer.len());
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    drop(client);
}

#[test]
fn ring_memory_can_not_be_shrunk_or_resealed() {
    let (_server, _client, memory) = hostile_ring();
    rustix::fs::ftruncate(&memory, 4096).expect_err("sealed");
    rustix::fs::ftruncate(&memory, 1 << 20).expect_err("sealed");
    fcntl_add_seals(&memory, SealFlags::WRITE).expect_err("sealed");
}

#[test]
fn ring_of_another_size_than_announced_is_not_opened() {
    let server = ServerRing::create(4096).expect("a ring");
    let [memory, doorbell] = server.descriptors().map(|end| end.try_clone_to_owned().expect("dup"));
    for capacity in [0, 1, 4095, 8192, 1 << 20, u32::MAX] {
        let doorbell = doorbell.try_clone().expect("dup");
        ClientRing::open(&memory, doorbell, capacity).expect_err("another size");
    }
    let unsealed = memfd_create("hostile", MemfdFlags::CLOEXEC).expect("memfd");
    rustix::fs::ftruncate(&unsealed, 4096 * 3).expect("sized");
    ClientRing::open(&unsealed, doorbell, 4096).expect_err("not sealed");
}

#[test]
fn ring_corrupted_by_one_client_ends_that_connection_and_no_other() {
    let run = tempfile::tempdir().expect("a directory");
    let server = Server::start(run.path());
    let honest = server.client(true);
    let hostile = connect(&socket_path(run.path(), &name()), Instant::now() + Duration::from_secs(5))
        .expect("connected");
    hostile.send(&Header::new(Kind::RingOpen, 1), &[], &[]).expect("sent");
    let mut buffer = Connection::buffer();
    let frame = hostile.receive_until(&mut buffer, 2, None).expect("a ring");
    let [memory, doorbell] = <[OwnedFd; 2]>::try_from(frame.descriptors).expect("two descriptors");
    rustix::io::pwrite(&memory, &u64::MAX.to_ne_bytes(), 4096).expect("written");
    // The bell is rung over and over, and made blocking: the server must not care.
    rustix::fs::fcntl_setfl(&doorbell, rustix::fs::OFlags::empty()).expect("blocking");
    rustix::io::write(&doorbell, &1u64.to_ne_bytes()).expect("rung");
    let mut buffer = Connection::buffer();
    let goodbye =
        hostile.receive_until(&mut buffer, 0, Some(Instant::now() + Duration::from_secs(10))).expect("told");
    assert_eq!((goodbye.header.kind, goodbye.header.code), (Kind::Goodbye, 9));
    assert_eq!(honest.call(ECHO, b"honest").expect("answered").payload, b"honest");
}

#[test]
fn server_that_answers_what_was_not_asked_loses_its_client() {
    use tender_xmem::socket::{Listener, name_directory};
    let run = tempfile::tempdir().expect("a directory");
    std::fs::create_dir_all(name_directory(run.path(), &name())).expect("a directory");
    let listener = Listener::bind(&socket_path(run.path(), &name()), 1).expect("listening");
    let hostile = std::thread::spawn(move || {
        let connection = loop {
            match listener.accept() {
                Ok(connection) => break connection,
                Err(_) => std::thread::yield_now(),
            }
        };
        let mut buffer = Connection::buffer();
        connection.receive_until(&mut buffer, 0, None).expect("HELLO");
        let welcome = format!(
            r#"{{"server":"{}","release":"","generation":1,"epoch":1,"services":[],"payload_bytes_max":1,"calls_max":1}}"#,
            name()
        );
        connection.send(&Header::new(Kind::Welcome, 0), welcome.as_bytes(), &[]).expect("WELCOME");
        let frame = connection.receive_until(&mut buffer, 0, None).expect("a call").header;
        connection.send(&Header::new(Kind::Reply, frame.sequence + 7), &[], &[]).expect("a reply");
        // The client ends it.
        drop(connection.receive_until(&mut buffer, 0, Some(Instant::now() + Duration::from_secs(10))));
    });
    let client =
        Client::connect(name(), Options { reconnect_ms: 0, ..options(run.path()) }).expect("connected");
    let error = client.call(ECHO, b"").expect_err("never asked");
    assert_eq!(error.code(), Some(CmsCode::OutcomeUnknown));
    hostile.join().expect("the server");
}
