//! Sockets of this host, as the kernel lists them.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

use tender_worker::network::{NetworkOrder, NetworkOutcome, Protocol, Socket, State};
use tender_worker::order::{Outcome, Refusal, Work};
use tender_worker::{Kind, Settings};

use crate::world::{self, Worker};

fn ask(worker: &mut Worker, order: NetworkOrder) -> NetworkOutcome {
    match worker.ask(Work::Network(order), Vec::new()) {
        Outcome::Network(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn inode(socket: impl AsFd) -> u64 {
    rustix::fs::fstat(socket).unwrap().st_ino
}

fn find(outcome: &NetworkOutcome, inode: u64) -> &Socket {
    outcome
        .sockets
        .iter()
        .find(|socket| socket.inode == inode)
        .unwrap_or_else(|| panic!("{inode} is not listed"))
}

#[test]
fn sockets_of_all_protocols_are_listed_with_their_owners() {
    if !world::root("sockets_of_all_protocols_are_listed_with_their_owners") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket\n");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let own = std::process::id();
    let mut worker = Worker::start(Kind::Network, &Settings::default());
    let address = |socket: std::net::SocketAddr| socket.to_string();
    for (inode, protocol, state, local) in [
        (inode(&tcp), Protocol::Tcp4, State::Listen, address(tcp.local_addr().unwrap())),
        (inode(&udp), Protocol::Udp4, State::Close, address(udp.local_addr().unwrap())),
        (inode(&unix), Protocol::Unix, State::Listen, path.to_str().unwrap().replace('\n', "\\n")),
    ] {
        let protocols = vec![protocol];
        let found =
            ask(&mut worker, NetworkOrder { process: Some(own), protocols, ..NetworkOrder::default() });
        assert!(found.owners_complete && !found.more);
        let socket = find(&found, inode);
        assert_eq!((socket.protocol, socket.state, &*socket.local), (protocol, Some(state), &*local));
        assert!(socket.owners.iter().any(|owner| owner.pid == own), "{socket:?}");
        if protocol != Protocol::Unix {
            assert_eq!(socket.uid, Some(0));
        }
    }
    if let Ok(tcp6) = TcpListener::bind("[::1]:0") {
        let listed =
            ask(&mut worker, NetworkOrder { protocols: vec![Protocol::Tcp6], ..NetworkOrder::default() });
        assert_eq!(find(&listed, inode(&tcp6)).local, address(tcp6.local_addr().unwrap()));
    }
    worker.finish();
}

#[test]
fn sockets_are_filtered() {
    if !world::root("sockets_are_filtered") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (server, _) = listener.accept().unwrap();
    let mut worker = Worker::start(Kind::Network, &Settings::default());
    let mut inodes = |order: NetworkOrder| {
        let mut inodes: Vec<u64> =
            ask(&mut worker, order).sockets.iter().map(|socket| socket.inode).collect();
        inodes.sort_unstable();
        inodes
    };
    let sorted = |mut inodes: Vec<u64>| {
        inodes.sort_unstable();
        inodes
    };
    // Closed connections to whoever had the port a moment ago are listed for a minute.
    let states = vec![State::Listen, State::Established];
    let local = NetworkOrder {
        local_port: Some(port),
        protocols: vec![Protocol::Tcp4],
        states: states.clone(),
        ..NetworkOrder::default()
    };
    assert_eq!(inodes(local.clone()), sorted(vec![inode(&listener), inode(&server)]));
    let listening = NetworkOrder { states: vec![State::Listen], ..local.clone() };
    assert_eq!(inodes(listening), [inode(&listener)]);
    let remote = NetworkOrder { remote_port: Some(port), states, ..NetworkOrder::default() };
    assert_eq!(inodes(remote), [inode(&client)]);
    assert!(inodes(NetworkOrder { uid: Some(61_999), ..local.clone() }).is_empty());
    assert!(inodes(NetworkOrder { process: Some(1), ..local.clone() }).is_empty());
    assert!(inodes(NetworkOrder { protocols: vec![Protocol::Udp4], ..local }).is_empty());
}

#[test]
fn sockets_beyond_the_rows_are_announced() {
    if !world::root("sockets_beyond_the_rows_are_announced") {
        return;
    }
    let sockets: Vec<UdpSocket> = (0..40).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let mut settings = Settings::default();
    settings.network.rows_max = 20;
    let mut worker = Worker::start(Kind::Network, &settings);
    let udp = NetworkOrder { protocols: vec![Protocol::Udp4], ..NetworkOrder::default() };
    let few = ask(&mut worker, NetworkOrder { rows_max: 3, ..udp.clone() });
    assert!(few.sockets.len() == 3 && few.more);
    let many = ask(&mut worker, NetworkOrder { rows_max: 1000, ..udp });
    assert!(many.sockets.len() == 20 && many.more && sockets.len() > 20);
    worker.finish();
}

#[test]
fn owners_that_are_turned_off_are_refused() {
    if !world::root("owners_that_are_turned_off_are_refused") {
        return;
    }
    let mut settings = Settings::default();
    settings.network.owners = false;
    let mut worker = Worker::start(Kind::Network, &settings);
    for order in [
        NetworkOrder { owners: true, ..NetworkOrder::default() },
        NetworkOrder { process: Some(1), ..NetworkOrder::default() },
    ] {
        let refused = worker.refusal(Work::Network(order), Vec::new());
        assert!(matches!(refused, Refusal::NotAllowed { .. }), "{refused}");
    }
    // Without any capability the sockets themselves are listed.
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let all = ask(&mut worker, NetworkOrder { protocols: vec![Protocol::Tcp4], ..NetworkOrder::default() });
    assert!(find(&all, inode(&tcp)).owners.is_empty());
    worker.finish();
}

#[test]
fn owners_that_take_too_long_are_incomplete() {
    if !world::root("owners_that_take_too_long_are_incomplete") {
        return;
    }
    let mut settings = Settings::default();
    settings.network.owners_ms_max = 0;
    let mut worker = Worker::start(Kind::Network, &settings);
    let found = ask(&mut worker, NetworkOrder { owners: true, ..NetworkOrder::default() });
    assert!(!found.owners_complete);
}
