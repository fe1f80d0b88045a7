//! Low ports that are opened and handed over.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;

use tender_worker::order::{Outcome, Refusal, Work};
use tender_worker::port::{PortOrder, PortOutcome, Transport};
use tender_worker::{Kind, Range, Settings};

use crate::world::{self, Worker};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Low ports that nobody has on this host. The tests run side by side, so each takes other ones.
fn settings(first: u32) -> Settings {
    let mut settings = Settings::default();
    settings.port.ports = vec![Range::new(first, first + 1)];
    settings
}

fn order(transport: Transport, address: IpAddr, port: u16) -> PortOrder {
    PortOrder { transport, address, port, reuse_address: false, dual_stack: false, backlog: 0 }
}

fn open(worker: &mut Worker, order: &PortOrder) -> Result<OwnedFd, PortOutcome> {
    let answer = worker.ask_whole(Work::Port(order.clone()), Vec::new());
    match (answer.outcome, answer.descriptors.into_iter().next()) {
        (Outcome::Port(PortOutcome::Opened), Some(opened)) => Ok(opened),
        (Outcome::Port(outcome), None) => Err(outcome),
        other => panic!("{other:?}"),
    }
}

#[test]
fn port_below_1024_is_handed_over_listening() {
    if !world::root("port_below_1024_is_handed_over_listening") {
        return;
    }
    let mut worker = Worker::start(Kind::Port, &settings(811));
    let mut served = Vec::new();
    for (address, port) in [(LOCAL, 811), (IpAddr::V6(Ipv6Addr::LOCALHOST), 812)] {
        let opened = match open(&mut worker, &order(Transport::Tcp, address, port)) {
            Err(PortOutcome::NoAddress) if address.is_ipv6() => {
                println!("port_below_1024_is_handed_over_listening: without IPv6, the host has none");
                continue;
            }
            opened => opened.unwrap(),
        };
        assert!(rustix::net::sockopt::socket_acceptconn(&opened).unwrap());
        assert!(!rustix::net::sockopt::socket_reuseaddr(&opened).unwrap());
        let listener = TcpListener::from(opened);
        listener.set_nonblocking(false).unwrap();
        let mut client = TcpStream::connect((address, port)).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"through").unwrap();
        drop(client);
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        served.push(listener);
    }
    // The worker keeps none of them.
    drop(served);
    let again = PortOrder { reuse_address: true, ..order(Transport::Tcp, LOCAL, 811) };
    let opened = open(&mut worker, &again).unwrap();
    assert!(rustix::net::sockopt::socket_reuseaddr(&opened).unwrap());
    worker.finish();
}

#[test]
fn port_for_datagrams_is_handed_over() {
    if !world::root("port_for_datagrams_is_handed_over") {
        return;
    }
    let mut worker = Worker::start(Kind::Port, &settings(821));
    let socket = UdpSocket::from(open(&mut worker, &order(Transport::Udp, LOCAL, 821)).unwrap());
    socket.set_nonblocking(false).unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", "127.0.0.1:821").unwrap();
    assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 1);
}

#[test]
fn port_that_is_taken_or_has_no_address_is_told() {
    if !world::root("port_that_is_taken_or_has_no_address_is_told") {
        return;
    }
    let mut worker = Worker::start(Kind::Port, &settings(831));
    let _first = open(&mut worker, &order(Transport::Tcp, LOCAL, 831)).unwrap();
    let reuse = PortOrder { reuse_address: true, ..order(Transport::Tcp, LOCAL, 831) };
    for again in [order(Transport::Tcp, LOCAL, 831), reuse] {
        assert_eq!(open(&mut worker, &again).unwrap_err(), PortOutcome::InUse);
    }
    let elsewhere = order(Transport::Tcp, [192, 0, 2, 1].into(), 832);
    assert_eq!(open(&mut worker, &elsewhere).unwrap_err(), PortOutcome::NoAddress);
}

#[test]
fn port_beyond_the_settings_is_refused() {
    if !world::root("port_beyond_the_settings_is_refused") {
        return;
    }
    let mut settings = settings(841);
    settings.port.addresses = vec![LOCAL, Ipv6Addr::UNSPECIFIED.into()];
    let mut worker = Worker::start(Kind::Port, &settings);
    let all_v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    for (order, allowed) in [
        (order(Transport::Tcp, LOCAL, 0), false),
        (order(Transport::Tcp, LOCAL, 840), false),
        (order(Transport::Tcp, LOCAL, 843), false),
        (order(Transport::Udp, LOCAL, 8080), false),
        (order(Transport::Tcp, [127, 0, 0, 2].into(), 841), false),
        (PortOrder { dual_stack: true, ..order(Transport::Tcp, all_v6, 841) }, false),
        (PortOrder { dual_stack: true, ..order(Transport::Tcp, LOCAL, 841) }, true),
        (PortOrder { backlog: 4097, ..order(Transport::Tcp, LOCAL, 841) }, true),
        (PortOrder { backlog: 1, ..order(Transport::Udp, LOCAL, 841) }, true),
    ] {
        let refused = worker.refusal(Work::Port(order.clone()), Vec::new());
        let invalid = matches!(refused, Refusal::Invalid { .. });
        assert!(
            invalid == allowed && (invalid || matches!(refused, Refusal::NotAllowed { .. })),
            "{order:?}: {refused}"
        );
    }
}
