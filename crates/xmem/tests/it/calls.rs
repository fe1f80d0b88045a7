//! Calls, over the socket and over the ring.

use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tender_xmem::client::Call;
use tender_xmem::code::CmsCode;

use crate::server::{BYTES, DEADLINE, DESCRIPTOR, ECHO, HOLD, REFUSE, Server, wait_for};

fn with_both(check: impl Fn(&Server, bool)) {
    for ring in [false, true] {
        let run = tempfile::tempdir().expect("a directory");
        let server = Server::start(run.path());
        check(&server, ring);
        assert!(server.orders.violations.lock().expect("a lock").is_empty());
    }
}

#[test]
fn call_with_payloads_around_every_limit_brings_them_back() {
    with_both(|server, ring| {
        let client = server.client(ring);
        assert_eq!(client.has_ring(), ring);
        for bytes in [0, 1, 63, 64, 65, 4096, 32_704, 32_705, 65_536, 65_537, 1 << 20, 16 << 20] {
            let payload: Vec<u8> = (0..bytes).map(|index| index as u8).collect();
            let reply = client.call(ECHO, &payload).expect("answered");
            assert!(reply.payload == payload, "{bytes} bytes came back as {}", reply.payload.len());
        }
        let error = client.call(ECHO, &vec![0; (16 << 20) + 1]).expect_err("too long");
        assert_eq!(error.code(), Some(CmsCode::BadParameter));
        assert_eq!(client.call(ECHO, b"still there").expect("answered").payload, b"still there");
    });
}

#[test]
fn call_whose_answer_is_large_gets_it_over_the_socket() {
    with_both(|server, ring| {
        let client = server.client(ring);
        for bytes in [10_u32, 40_000, 70_000, 3_000_000] {
            let reply = client.call(BYTES, &bytes.to_le_bytes()).expect("answered");
            assert_eq!(reply.payload.len(), bytes as usize);
        }
    });
}

#[test]
fn calls_of_many_threads_over_one_connection_get_their_own_answers() {
    with_both(|server, ring| {
        let client = server.client(ring);
        std::thread::scope(|scope| {
            for thread in 0..8u32 {
                let client = &client;
                scope.spawn(move || {
                    for call in 0..300u32 {
                        let mut payload = [thread.to_le_bytes(), call.to_le_bytes()].concat();
                        payload.resize(8 + (call as usize * 37) % 3000, 1);
                        let reply = client.call(ECHO, &payload).expect("answered");
                        assert!(reply.payload == payload, "thread {thread} got the answer of another call");
                    }
                });
            }
        });
        assert_eq!(server.orders.connections.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn calls_in_flight_of_one_thread_are_answered_in_any_order() {
    with_both(|server, ring| {
        let client = server.client(ring);
        let payloads: Vec<[u8; 1]> = (0..10).map(|number| [number]).collect();
        let flights: Vec<_> =
            payloads.iter().map(|payload| client.start(Call::new(HOLD, payload)).expect("sent")).collect();
        wait_for("ten held calls", || server.orders.held.load(Ordering::SeqCst) == 10);
        // The server answers the last one first.
        server.orders.release.store(true, Ordering::SeqCst);
        for (number, flight) in flights.into_iter().enumerate() {
            assert_eq!(flight.wait().expect("answered").payload, [number as u8]);
        }
    });
}

#[test]
fn call_with_a_deadline_ends_with_96_and_the_late_answer_harms_nobody() {
    with_both(|server, ring| {
        let client = server.client(ring);
        let call = Call { deadline_ms: 30, ..Call::new(HOLD, b"late") };
        let begin = Instant::now();
        let error = client.call_with(call).expect_err("nobody answers");
        assert_eq!(error.code(), Some(CmsCode::DeadlinePassed));
        assert!(begin.elapsed().as_millis() >= 30);
        server.orders.release.store(true, Ordering::SeqCst);
        for _ in 0..5 {
            assert_eq!(client.call(ECHO, b"next").expect("answered").payload, b"next");
        }
        let told =
            client.call_with(Call { deadline_ms: 1234, ..Call::new(DEADLINE, b"") }).expect("answered");
        let told = u32::from_le_bytes(told.payload.try_into().expect("a u32"));
        assert!(told > 0 && told <= 1234, "the server was told {told} ms");
    });
}

#[test]
fn call_that_is_cancelled_ends_with_97() {
    with_both(|server, ring| {
        let client = server.client(ring);
        let mut flight = client.start(Call::new(HOLD, b"")).expect("sent");
        let canceller = flight.canceller();
        wait_for("a held call", || server.orders.held.load(Ordering::SeqCst) == 1);
        std::thread::scope(|scope| {
            scope.spawn(move || canceller.cancel());
            assert_eq!(flight.wait().expect_err("cancelled").code(), Some(CmsCode::Cancelled));
        });
        // Dropped is cancelled too.
        drop(client.start(Call::new(HOLD, b"")).expect("sent"));
        client.call(ECHO, b"").expect("answered");
        wait_for("no held call", || server.orders.held.load(Ordering::SeqCst) == 0);
    });
}

#[test]
fn call_answered_with_a_descriptor_gets_it_only_when_it_was_asked_for() {
    with_both(|server, ring| {
        let client = server.client(ring);
        let mut reply =
            client.call_with(Call { descriptors_max: 1, ..Call::new(DESCRIPTOR, b"p") }).expect("answered");
        let mut text = String::new();
        let pipe = reply.descriptors.pop().expect("a descriptor");
        assert!(rustix::io::fcntl_getfd(&pipe).expect("open").contains(rustix::io::FdFlags::CLOEXEC));
        std::fs::File::from(pipe).read_to_string(&mut text).expect("readable");
        assert_eq!(text, "through the pipe");
        let error = client.call(DESCRIPTOR, b"p").expect_err("not asked for");
        assert_eq!(error.code(), Some(CmsCode::ProtocolViolated));
        assert_eq!(client.call(ECHO, b"next").expect("answered").payload, b"next");
    });
}

#[test]
fn call_refused_by_its_service_is_no_error_of_the_call() {
    with_both(|server, ring| {
        let client = server.client(ring);
        let reply = client.call(REFUSE, b"").expect("answered");
        assert_eq!((reply.service_code, reply.payload.as_slice()), (20, b"why".as_slice()));
        assert_eq!(
            client.call(99, b"").expect_err("no such service").code(),
            Some(CmsCode::ServiceOutOfRange)
        );
    });
}
