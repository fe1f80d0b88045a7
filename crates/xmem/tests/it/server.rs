//! A small server made of the crate's own server side.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::time::Timespec;
use tender_xmem::client::{Client, Options};
use tender_xmem::frame::{Flags, Header, Kind};
use tender_xmem::ring::{CAPACITY_DEFAULT, ServerRing};
use tender_xmem::socket::{Connection, Listener, SocketError, name_directory, socket_path};
use tender_xmem::{Hello, ServerName, Welcome};

/// Comes back.
pub(crate) const ECHO: u16 = 4;
/// Is written down, then comes back.
pub(crate) const EXECUTE: u16 = 100;
/// Is answered when the test says so.
pub(crate) const HOLD: u16 = 101;
/// As many bytes as the `u32` of the request says.
pub(crate) const BYTES: u16 = 102;
/// A descriptor comes along.
pub(crate) const DESCRIPTOR: u16 = 103;
/// The service's own code 20.
pub(crate) const REFUSE: u16 = 104;
/// The deadline in ms that the call had.
pub(crate) const DEADLINE: u16 = 105;

/// How the server behaves, changed while it runs.
#[derive(Default)]
pub(crate) struct Orders {
    /// WELCOME brings this instead of 0.
    pub(crate) welcome_code: AtomicU32,
    pub(crate) welcome_payload: Mutex<Vec<u8>>,
    /// Takes connections and says nothing.
    pub(crate) silent: AtomicBool,
    /// Has no ring to give.
    pub(crate) no_ring: AtomicBool,
    /// Says GOODBYE 30 on every connection.
    pub(crate) goodbye: AtomicBool,
    /// Answers the held calls, now and from now on.
    pub(crate) release: AtomicBool,
    /// Ends every connection as after a drain.
    pub(crate) end: AtomicBool,
    /// What was executed.
    pub(crate) executed: Mutex<Vec<Vec<u8>>>,
    /// The same in a file, for a server that is killed.
    pub(crate) journal: Mutex<Option<PathBuf>>,
    /// Calls that are held.
    pub(crate) held: AtomicU32,
    /// Why connections ended.
    pub(crate) violations: Mutex<Vec<String>>,
    pub(crate) connections: AtomicU32,
    stop: AtomicBool,
}

pub(crate) struct Server {
    pub(crate) orders: Arc<Orders>,
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

pub(crate) fn name() -> ServerName {
    ServerName::new("ZWESIS_TEST").expect("a name")
}

pub(crate) fn options(run: &Path) -> Options {
    Options {
        client: "test".into(),
        run_directory: run.to_owned(),
        deadline_ms: 20_000,
        ..Options::default()
    }
}

/// Waits until `state` holds; fails after 20 seconds.
pub(crate) fn wait_for(what: &str, mut state: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !state() {
        assert!(Instant::now() < until, "{what} did not come about");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

impl Server {
    pub(crate) fn start(run: &Path) -> Self {
        let path = socket_path(run, &name());
        std::fs::create_dir_all(name_directory(run, &name())).expect("the server's directory");
        drop(std::fs::remove_file(&path));
        let listener = Listener::bind(&path, 64).expect("listening");
        let orders = Arc::new(Orders::default());
        let shared = Arc::clone(&orders);
        let thread = std::thread::spawn(move || accept(&listener, &shared));
        Self { orders, path, thread: Some(thread) }
    }

    pub(crate) fn client(&self, ring: bool) -> Client {
        let run = self.path.parent().and_then(Path::parent).expect("the run directory");
        Client::connect(name(), Options { ring, ..options(run) }).expect("connected")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.orders.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the server failed");
        }
    }
}

const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

fn accept(listener: &Listener, orders: &Arc<Orders>) {
    let mut threads = Vec::new();
    while !orders.stop.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok(connection) => {
                let orders = Arc::clone(orders);
                orders.connections.fetch_add(1, Ordering::SeqCst);
                threads.push(std::thread::spawn(move || Session::new(connection, &orders).serve()));
            }
            Err(SocketError::WouldBlock) => {
                let mut wanted = [rustix::event::PollFd::new(listener, rustix::event::PollFlags::IN)];
                rustix::event::poll(&mut wanted, Some(&TICK)).expect("poll");
            }
            Err(error) => panic!("accept: {error}"),
        }
    }
    for thread in threads {
        thread.join().expect("a session");
    }
}

struct Session<'a> {
    connection: Connection,
    orders: &'a Orders,
    ring: Option<ServerRing>,
    poller: OwnedFd,
    held: VecDeque<(Header, Vec<u8>)>,
    said_goodbye: bool,
}

enum Next {
    GoOn,
    End,
}

impl<'a> Session<'a> {
    fn new(connection: Connection, orders: &'a Orders) -> Self {
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
        epoll::add(&poller, &connection, epoll::EventData::new_u64(0), epoll::EventFlags::IN).expect("epoll");
        Self { connection, orders, ring: None, poller, held: VecDeque::new(), said_goodbye: false }
    }

    fn serve(mut self) {
        let mut buffer = Connection::buffer();
        let mut record = Vec::new();
        loop {
            if let Next::End = self.packets(&mut buffer) {
                return;
            }
            while let Some(ring) = &mut self.ring {
                match ring.try_pop(&mut record) {
                    Ok(Some(header)) => self.handle(header, &record),
                    Ok(None) => break,
                    Err(error) => return self.violated(&error.to_string(), 9),
                }
            }
            self.follow_orders();
            if self.orders.end.load(Ordering::SeqCst) || self.orders.stop.load(Ordering::SeqCst) {
                return self.end(&mut buffer);
            }
            if self.ring.as_ref().is_some_and(ServerRing::arm) {
                continue;
            }
            let mut events = Vec::with_capacity(4);
            let _: Result<usize, _> =
                epoll::wait(&self.poller, rustix::buffer::spare_capacity(&mut events), Some(&TICK));
            if let Some(ring) = &self.ring {
                ring.disarm();
            }
        }
    }

    fn packets(&mut self, buffer: &mut [u8]) -> Next {
        loop {
            let (header, payload) = match self.connection.receive(buffer, 0) {
                Ok(frame) => (frame.header, frame.payload.into_owned()),
                Err(SocketError::WouldBlock) => return Next::GoOn,
                Err(SocketError::Violated(violation)) => {
                    self.violated(&format!("{violation:?}"), violation.code().number());
                    return Next::End;
                }
                Err(_) => return Next::End,
            };
            if !self.orders.silent.load(Ordering::SeqCst) {
                self.handle(header, &payload);
            }
        }
    }

    fn violated(&mut self, what: &str, code: u32) {
        self.orders.violations.lock().expect("a lock").push(what.to_owned());
        let mut goodbye = Header::new(Kind::Goodbye, 0);
        goodbye.code = code;
        drop(self.connection.send(&goodbye, what.as_bytes(), &[]));
        if let Some(ring) = &self.ring {
            ring.nudge();
        }
    }

    fn follow_orders(&mut self) {
        if self.orders.goodbye.load(Ordering::SeqCst) && !self.said_goodbye {
            self.said_goodbye = true;
            let mut goodbye = Header::new(Kind::Goodbye, 0);
            goodbye.code = 30;
            drop(self.connection.send(&goodbye, &[], &[]));
            if let Some(ring) = &self.ring {
                ring.nudge();
            }
        }
        if self.orders.release.load(Ordering::SeqCst) {
            while let Some((header, payload)) = self.held.pop_back() {
                self.orders.held.fetch_sub(1, Ordering::SeqCst);
                self.reply(&header.reply(0, 0), &payload, &[]);
            }
        }
    }

    /// The end of a drain: what was not begun is given back.
    fn end(mut self, buffer: &mut [u8]) {
        self.connection.shut_reading();
        while let Ok(frame) = self.connection.receive(buffer, 0) {
            let header = frame.header;
            if header.kind == Kind::Call {
                self.reply(&header.reply(30, 0), &[], &[]);
            }
        }
    }

    fn handle(&mut self, header: Header, payload: &[u8]) {
        match header.kind {
            Kind::Hello => self.welcome(payload),
            Kind::RingOpen => self.open_ring(header),
            Kind::Cancel => {
                if let Some(position) =
                    self.held.iter().position(|(held, _)| held.sequence == header.sequence)
                    && let Some((held, _)) = self.held.remove(position)
                {
                    self.orders.held.fetch_sub(1, Ordering::SeqCst);
                    self.reply(&held.reply(97, 0), &[], &[]);
                }
            }
            Kind::Call => self.call(header, payload),
            kind => panic!("a client sent {kind:?}"),
        }
    }

    fn welcome(&mut self, payload: &[u8]) {
        Hello::decode(payload).expect("a HELLO");
        let mut header = Header::new(Kind::Welcome, 0);
        header.code = self.orders.welcome_code.load(Ordering::SeqCst);
        let payload = if header.code == 0 {
            let welcome = Welcome {
                server: name(),
                release: "test".into(),
                generation: 1,
                epoch: 1,
                services: Vec::new(),
                payload_bytes_max: 16 << 20,
                calls_max: 64,
            };
            serde_json::to_vec(&welcome).expect("JSON")
        } else {
            header.reference = 4711;
            self.orders.welcome_payload.lock().expect("a lock").clone()
        };
        self.connection.send(&header, &payload, &[]).expect("WELCOME");
    }

    fn open_ring(&mut self, header: Header) {
        let mut ready = Header::new(Kind::RingReady, header.sequence);
        if self.orders.no_ring.load(Ordering::SeqCst) {
            ready.code = 99;
            return self.connection.send(&ready, &[], &[]).expect("RING_READY");
        }
        let capacity = if header.detail == 0 { CAPACITY_DEFAULT } else { header.detail };
        let ring = ServerRing::create(capacity).expect("a ring");
        ready.detail = ring.capacity();
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&self.poller, ring.doorbell(), epoll::EventData::new_u64(1), flags).expect("epoll");
        self.connection.send(&ready, &[], &ring.descriptors()).expect("RING_READY");
        self.ring = Some(ring);
    }

    fn call(&mut self, header: Header, payload: &[u8]) {
        let reply = header.reply(0, 0);
        match header.service {
            ECHO => self.reply(&reply, payload, &[]),
            EXECUTE => {
                if let Some(path) = &*self.orders.journal.lock().expect("a lock") {
                    let mut journal =
                        OpenOptions::new().append(true).create(true).open(path).expect("journal");
                    journal.write_all(&[payload, b"\n"].concat()).expect("journal");
                }
                self.orders.executed.lock().expect("a lock").push(payload.to_vec());
                self.reply(&reply, payload, &[]);
            }
            HOLD => {
                self.orders.held.fetch_add(1, Ordering::SeqCst);
                self.held.push_back((header, payload.to_vec()));
            }
            BYTES => {
                let bytes = u32::from_le_bytes(payload.try_into().expect("a u32"));
                self.reply(&reply, &vec![9; bytes as usize], &[]);
            }
            DESCRIPTOR => {
                let (reading, writing) = rustix::pipe::pipe().expect("a pipe");
                rustix::io::write(&writing, b"through the pipe").expect("write");
                self.reply(&reply, payload, &[reading]);
            }
            REFUSE => self.reply(&header.reply(0, 20), b"why", &[]),
            DEADLINE => self.reply(&reply, &header.detail.to_le_bytes(), &[]),
            _ => self.reply(&header.reply(11, 0), &[], &[]),
        }
        assert!(!header.flags.contains(Flags::NO_SAF_CHECK), "nobody asked for that");
    }

    fn reply(&mut self, header: &Header, payload: &[u8], descriptors: &[OwnedFd]) {
        if let Some(ring) = &mut self.ring
            && descriptors.is_empty()
            && payload.len() <= ring.payload_bytes_max()
        {
            let until = Instant::now() + Duration::from_secs(5);
            loop {
                match ring.try_push(header, payload) {
                    Ok(true) => return,
                    Ok(false) if Instant::now() < until => std::thread::yield_now(),
                    _ => return,
                }
            }
        }
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        // A client that is gone does not get its answer.
        drop(self.connection.send_until(
            header,
            payload,
            &descriptors,
            Some(Instant::now() + Duration::from_secs(5)),
        ));
        if let Some(ring) = &self.ring {
            ring.nudge();
        }
    }
}
