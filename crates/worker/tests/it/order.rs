//! Orders that no monitor would send, to a real worker.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use tender_worker::order::{OrderError, Orders, Outcome, PACKET_BYTES_MAX, Refusal, Reply, Work};
use tender_worker::port::{PortOrder, Transport};
use tender_worker::{Kind, Range, Settings};

use crate::world::{self, PATIENCE, Worker};

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.port.ports = vec![Range::new(700, 701)];
    settings
}

fn send(channel: &OwnedFd, bytes: &[u8], descriptors: usize) {
    let null = std::fs::File::open("/dev/null").unwrap();
    let list: Vec<BorrowedFd<'_>> = (0..descriptors).map(|_| null.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(250))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !list.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(&list)));
    }
    rustix::net::sendmsg(channel, &[IoSlice::new(bytes)], &mut control, SendFlags::empty()).unwrap();
}

fn receive(channel: &OwnedFd) -> Reply {
    world::wait_readable(channel.as_fd(), Instant::now() + PATIENCE);
    let mut bytes = vec![0; PACKET_BYTES_MAX];
    let (length, _) = rustix::net::recv(channel, bytes.as_mut_slice(), RecvFlags::empty()).unwrap();
    assert!(length > 0, "the worker has ended");
    serde_json::from_slice(&bytes[..length]).unwrap()
}

fn open_descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

const GOOD: &str = r#"{"id":9,"work":{"port":{"transport":"tcp","address":"127.0.0.1","port":9}}}"#;

#[test]
fn order_that_is_malformed_is_answered_and_the_worker_lives_on() {
    if !world::root("order_that_is_malformed_is_answered_and_the_worker_lives_on") {
        return;
    }
    let (worker, channel) = Worker::start_raw(Kind::Port, &settings());
    let wide = format!(r#"{{"id":5,"work":{}}}"#, "[".repeat(100_000));
    let cases: &[(&[u8], u64)] = &[
        (b"not json", 0),
        (b"{}", 0),
        (b"\xff\xfe\x00", 0),
        (br#"{"id":0,"work":{"cancel":1}}"#, 0),
        (br#"{"id":-1,"work":{"cancel":1}}"#, 0),
        (br#"{"id":18446744073709551616,"work":{"cancel":1}}"#, 0),
        (br#"{"id":3}"#, 3),
        (br#"{"id":3,"work":{"reboot":{}}}"#, 3),
        (br#"{"id":3,"work":{"cancel":1},"uid":0}"#, 3),
        (br#"{"id":4,"work":{"port":{"transport":"tcp","address":"::","port":9,"as":"root"}}}"#, 4),
        (br#"{"id":4,"work":{"port":{"transport":"tcp","address":"here","port":9}}}"#, 4),
        (br#"{"id":4,"work":{"port":{"transport":"tcp","address":"::","port":70000}}}"#, 4),
        (br#"{"id":4,"work":{"port":{"transport":"tcp","address":"::","port":9,"port":10}}}"#, 4),
        (wide.as_bytes(), 0),
    ];
    for (bytes, id) in cases {
        send(&channel, bytes, 0);
        let reply = receive(&channel);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        assert_eq!(reply.id, *id, "{shown}");
        assert!(matches!(reply.outcome, Outcome::Refused(Refusal::Malformed { .. })), "{shown}: {reply:?}");
    }
    send(&channel, GOOD.as_bytes(), 0);
    assert!(matches!(receive(&channel).outcome, Outcome::Refused(Refusal::NotAllowed { .. })));
    drop((channel, worker));
}

#[test]
fn order_of_any_size_or_with_any_descriptors_leaves_nothing_open() {
    if !world::root("order_of_any_size_or_with_any_descriptors_leaves_nothing_open") {
        return;
    }
    let (worker, channel) = Worker::start_raw(Kind::Port, &settings());
    send(&channel, GOOD.as_bytes(), 0);
    receive(&channel);
    let before = open_descriptors(worker.pid());
    send(&channel, &vec![b' '; PACKET_BYTES_MAX + 1], 0);
    assert!(matches!(receive(&channel).outcome, Outcome::Refused(Refusal::Malformed { .. })));
    for descriptors in [4, 250] {
        send(&channel, GOOD.as_bytes(), descriptors);
        assert!(matches!(receive(&channel).outcome, Outcome::Refused(Refusal::Malformed { .. })));
    }
    for descriptors in 1..4 {
        send(&channel, GOOD.as_bytes(), descriptors);
        let reply = receive(&channel);
        let expected = Refusal::Descriptors { expected: 0, came: descriptors };
        assert_eq!((reply.id, reply.outcome), (9, Outcome::Refused(expected)));
    }
    assert_eq!(open_descriptors(worker.pid()), before);
}

#[test]
fn order_with_a_secret_that_is_malformed_is_not_repeated_in_the_answer() {
    if !world::root("order_with_a_secret_that_is_malformed_is_not_repeated_in_the_answer") {
        return;
    }
    let (_worker, channel) = Worker::start_raw(Kind::Password, &settings());
    for bytes in [
        r#"{"id":3,"work":{"password":{"user":"root","password":"opensesame"}}}"#,
        r#"{"id":3,"work":{"password":{"user":"root","password":6f70656e}}}"#,
        r#"{"id":3,"work":{"password":{"user":"root","opensesame":"6f"}}}"#,
        r#"{"id":3,"work":{"opensesame":{"user":"root","password":"6f"}}}"#,
    ] {
        send(&channel, bytes.as_bytes(), 0);
        let shown = format!("{:?}", receive(&channel));
        assert!(shown.contains("Malformed") && !shown.contains("sesame"), "{shown}");
    }
}

#[test]
fn order_for_another_kind_is_refused_on_both_sides() {
    if !world::root("order_for_another_kind_is_refused_on_both_sides") {
        return;
    }
    let (_worker, channel) = Worker::start_raw(Kind::Network, &settings());
    send(&channel, GOOD.as_bytes(), 0);
    assert_eq!(receive(&channel).outcome, Outcome::Refused(Refusal::Kind { kind: Kind::Network }));
    let mut orders = Orders::new(Kind::Network, channel).unwrap();
    let order = PortOrder {
        transport: Transport::Tcp,
        address: [127, 0, 0, 1].into(),
        port: 700,
        reuse_address: false,
        dual_stack: false,
        backlog: 0,
    };
    let refused = orders.send(Work::Port(order), Vec::new(), Duration::ZERO).unwrap_err();
    assert!(matches!(refused, OrderError::Kind { kind: Kind::Network }));
}

#[test]
fn orders_of_a_worker_that_was_killed_are_outstanding() {
    if !world::root("orders_of_a_worker_that_was_killed_are_outstanding") {
        return;
    }
    let mut worker = Worker::start(Kind::Network, &settings());
    worker.process.kill().unwrap();
    worker.process.wait().unwrap();
    let orders = worker.orders();
    // Another test's child may hold a copy of the worker's end between its fork and its exec.
    world::wait_readable(orders.as_fd(), Instant::now() + PATIENCE);
    let sent = orders.send(
        Work::Network(tender_worker::network::NetworkOrder::default()),
        Vec::new(),
        Duration::ZERO,
    );
    assert!(matches!(sent, Err(OrderError::Ended { kind: Kind::Network })));
    assert_eq!(orders.outstanding().collect::<Vec<_>>(), [1]);
    assert!(matches!(orders.receive(), Err(OrderError::Ended { .. })));
}

#[test]
fn orders_that_do_not_fit_the_channel_are_kept_and_all_answered() {
    if !world::root("orders_that_do_not_fit_the_channel_are_kept_and_all_answered") {
        return;
    }
    let mut worker = Worker::start(Kind::Network, &settings());
    let order = tender_worker::network::NetworkOrder { local_port: Some(1), ..Default::default() };
    let ids: Vec<u64> = (0..2000).map(|_| worker.send(Work::Network(order.clone()), Vec::new())).collect();
    let mut answered: Vec<u64> = ids.iter().map(|_| worker.answer().id).collect();
    answered.sort_unstable();
    assert_eq!(answered, ids);
    assert!(!worker.orders().wants_write());
    worker.finish();
}

#[test]
fn orders_check_what_a_worker_answers() {
    let (ours, its) = tender_worker::order::pair().unwrap();
    let mut orders = Orders::new(Kind::Network, ours).unwrap();
    assert!(orders.receive().unwrap().is_none());
    orders
        .send(Work::Network(tender_worker::network::NetworkOrder::default()), Vec::new(), Duration::ZERO)
        .unwrap();
    for (bytes, descriptors) in [
        (r#"{"id":2,"outcome":{"refused":"duplicate"}}"#, 0),
        (r#"{"id":1,"outcome":{"refused":"duplicate"}}"#, 1),
        (r#"{"id":1,"outcome":{"port":"opened"}}"#, 0),
        (r#"{"id":1,"outcome":{"refused":"duplicate"},"more":1}"#, 0),
        ("nonsense", 0),
    ] {
        send(&its, bytes.as_bytes(), descriptors);
        let error = orders.receive().unwrap_err();
        assert!(matches!(error, OrderError::Protocol { .. }), "{bytes}: {error}");
    }
    send(&its, br#"{"id":1,"outcome":{"refused":"duplicate"}}"#, 0);
    assert_eq!(orders.receive().unwrap().unwrap().outcome, Outcome::Refused(Refusal::Duplicate));
}
