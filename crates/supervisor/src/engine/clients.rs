//! Clients of the console: reading their requests and sending them answers, as fast as each takes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags};

use super::{Engine, Key};
use crate::client;
use crate::clock;
use crate::console::{Reply, Request, socket};
use crate::messages::message;
use crate::options::SuperviseError;
use crate::plan::Instance;
use crate::poller::{Interest, Poller, Token};

/// Clients at a time.
const CLIENTS_MAX: usize = 64;
/// A request is not longer, in bytes.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// A client that takes its answers slower than this is dropped; lines of output are left out before, in bytes.
const ANSWER_BYTES_MAX: usize = 8 << 20;
const LINES_BYTES_MAX: usize = 512 << 10;
/// Time until connections are accepted again when there was no room for one.
const ACCEPT_PAUSE_MS: u64 = 500;

/// All clients.
#[derive(Debug)]
pub(super) struct Clients {
    path: PathBuf,
    listener: Option<UnixListener>,
    clients: BTreeMap<u32, Client>,
    ids_used: u32,
}

/// One client.
#[derive(Debug)]
struct Client {
    stream: OwnedFd,
    /// What it sent and what was not looked at yet.
    input: Vec<u8>,
    /// What it was not sent yet.
    answer: Vec<u8>,
    interest: Interest,
    /// A request is being answered; the next waits.
    is_busy: bool,
    watch: Watch,
    /// It sends no more.
    has_ended: bool,
    lines_left_out: u64,
}

/// What a client is told of as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Watch {
    Nothing,
    Events,
    Lines(BTreeSet<u32>),
}

impl Clients {
    pub(super) fn new(instance: &Instance) -> Self {
        let path = client::socket_path(&instance.directory, &instance.id);
        Self { path, listener: None, clients: BTreeMap::new(), ids_used: 0 }
    }

    /// Says whether anybody follows a component's output.
    pub(super) fn follows(&self, id: u32) -> bool {
        self.clients.values().any(|client| matches!(&client.watch, Watch::Lines(ids) if ids.contains(&id)))
    }

    /// Sends a line to all who follow; one that is slow gets a number of lines left out instead.
    pub(super) fn send_line(&mut self, id: u32, reply: &Reply) {
        for client in self.clients.values_mut() {
            if !matches!(&client.watch, Watch::Lines(ids) if ids.contains(&id)) {
                continue;
            }
            if client.answer.len() > LINES_BYTES_MAX {
                client.lines_left_out += 1;
                continue;
            }
            if client.lines_left_out > 0 {
                let count = std::mem::take(&mut client.lines_left_out);
                let text = format!("{count} lines are left out: they came faster than they were taken");
                client.put(&Reply::Message(message("ZWEL0087W", text)));
            }
            client.put(reply);
        }
    }

    pub(super) fn broadcast_event(&mut self, reply: &Reply) {
        for client in self.clients.values_mut().filter(|client| client.watch == Watch::Events) {
            client.put(reply);
        }
    }
}

impl Client {
    /// Says whether the other end is closed in both directions.
    fn is_gone(&self) -> bool {
        let mut fds = [PollFd::new(&self.stream, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let is_polled = rustix::event::poll(&mut fds, Some(&now)).is_ok();
        is_polled && fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }

    fn put(&mut self, reply: &Reply) {
        serde_json::to_writer(&mut self.answer, reply).expect("a reply is JSON, and memory takes it");
        self.answer.push(b'\n');
    }
}

impl Engine {
    /// Makes the console socket, for this user alone.
    pub(super) fn open_console(&mut self) -> Result<(), SuperviseError> {
        let path = self.clients.path.clone();
        let failed = |source| SuperviseError::Path { step: "make the console", path: path.clone(), source };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        // The lock of the instance is held: nobody else listens there. Closed to others from its first moment.
        let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let bound = socket::with_short_path(&path, |path| UnixListener::bind(path));
        rustix::process::umask(mask);
        let listener = bound.map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        self.poller.add(&listener, Token::Listener, Interest::Read).map_err(failed)?;
        self.clients.listener = Some(listener);
        self.tell(message("ZWEL0012I", format!("console `{}` is open", path.display())));
        Ok(())
    }

    /// Ends the console: everybody gets what is already said, at once or not at all.
    pub(super) fn close_console(&mut self) {
        let ids: Vec<u32> = self.clients.clients.keys().copied().collect();
        for id in ids {
            let is_owed = self.clients.clients.get(&id).is_some_and(|client| client.is_busy);
            if is_owed {
                if !self.exit.forced.is_empty() {
                    let text = format!("components that had to be killed: {}", self.exit.forced.join(", "));
                    self.reply(id, &Reply::Message(message("ZWEL0053W", text)));
                }
                self.reply(id, &Reply::Done { ok: self.exit.unkillable.is_empty() });
            }
        }
        self.flush_clients();
        if self.clients.listener.take().is_some() {
            // Nobody listens there any more; what is left disturbs nobody.
            fs::remove_file(&self.clients.path).ok();
            self.tell(message("ZWEL0015I", "console is closed"));
        }
    }

    pub(super) fn accept_clients(&mut self) {
        loop {
            let Some(listener) = &self.clients.listener else { return };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match rustix::net::accept_with(listener, flags) {
                Ok(stream) => self.admit_client(stream),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => {
                    // No descriptor is free: asked again at once, it would turn round for ever.
                    self.poller.remove(listener);
                    self.timers.arm(Key::Listener, clock::monotonic_ms() + ACCEPT_PAUSE_MS);
                    let text = format!("no connection can be taken for a moment: {error}");
                    self.tell(message("ZWEL0087W", text));
                    return;
                }
            }
        }
    }

    pub(super) fn accept_again(&mut self) {
        let Some(listener) = &self.clients.listener else { return };
        if self.poller.add(listener, Token::Listener, Interest::Read).is_err() {
            self.timers.arm(Key::Listener, clock::monotonic_ms() + ACCEPT_PAUSE_MS);
        }
    }

    /// Takes a client in, if it is this user or root and there is room.
    fn admit_client(&mut self, stream: OwnedFd) {
        let own = rustix::process::geteuid();
        let refusal = match rustix::net::sockopt::socket_peercred(&stream) {
            Ok(peer) if peer.uid != own && !peer.uid.is_root() => {
                format!("user {} may not use this console (process {})", peer.uid.as_raw(), peer.pid)
            }
            Ok(_) if self.clients.clients.len() >= CLIENTS_MAX => "too many callers at a time".to_owned(),
            Ok(_) => String::new(),
            Err(error) => format!("the caller cannot be told: {error}"),
        };
        if !refusal.is_empty() {
            let said = message("ZWEL0087W", refusal);
            let lines = [Reply::Message(said.clone()), Reply::Done { ok: false }];
            let text =
                lines.map(|reply| serde_json::to_string(&reply).expect("a reply is JSON") + "\n").concat();
            // Told in one go or not at all: nobody waits for a stranger.
            rustix::net::send(&stream, text.as_bytes(), SendFlags::NOSIGNAL).ok();
            self.tell(said);
            return;
        }
        let id = self.clients.ids_used;
        self.clients.ids_used = self.clients.ids_used.wrapping_add(1);
        if self.poller.add(&stream, Token::Client(id), Interest::Read).is_ok() {
            let client = Client {
                stream,
                input: Vec::new(),
                answer: Vec::new(),
                interest: Interest::Read,
                is_busy: false,
                watch: Watch::Nothing,
                has_ended: false,
                lines_left_out: 0,
            };
            self.clients.clients.insert(id, client);
        }
    }

    pub(super) fn client_event(&mut self, id: u32) {
        self.read_client(id);
    }

    /// Takes one request of everybody who has one.
    pub(super) fn serve_clients(&mut self) {
        let ids: Vec<u32> = self.clients.clients.keys().copied().collect();
        for id in ids {
            self.serve_client(id);
        }
    }

    fn read_client(&mut self, id: u32) {
        let Some(client) = self.clients.clients.get_mut(&id) else { return };
        if client.has_ended && client.is_gone() {
            // Nobody is there to be told anything.
            self.drop_client(id);
            return;
        }
        let mut buffer = [0; 4096];
        while client.input.len() <= REQUEST_BYTES_MAX {
            match rustix::io::read(&client.stream, &mut buffer) {
                Ok(0) => {
                    client.has_ended = true;
                    break;
                }
                Ok(length) => client.input.extend_from_slice(&buffer[..length]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.drop_client(id);
                    return;
                }
            }
        }
    }

    /// Takes the next request, when none is being answered and the answers before it are being taken.
    ///
    /// One a turn: whoever sends a thousand at once waits, and nobody else does.
    fn serve_client(&mut self, id: u32) {
        let Some(client) = self.clients.clients.get_mut(&id) else { return };
        if client.is_busy || client.watch != Watch::Nothing || client.answer.len() > LINES_BYTES_MAX {
            return;
        }
        let Some(end) = memchr::memchr(b'\n', &client.input) else {
            if client.input.len() > REQUEST_BYTES_MAX {
                client.input.clear();
                client.has_ended = true;
                self.refuse(id, "the request is too long");
            } else if client.has_ended && !client.input.is_empty() {
                client.input.clear();
                self.refuse(id, "the request has no end");
            }
            return;
        };
        let line: Vec<u8> = client.input.drain(..=end).collect();
        client.is_busy = true;
        match serde_json::from_slice::<Request>(&line) {
            Ok(request) => self.take_request(id, request),
            Err(error) => self.refuse(id, &format!("the request makes no sense: {error}")),
        }
    }

    /// Says whether a request waits for the next turn.
    pub(super) fn has_waiting_request(&self) -> bool {
        self.clients.clients.values().any(|client| {
            let may_be_served =
                !client.is_busy && client.watch == Watch::Nothing && client.answer.len() <= LINES_BYTES_MAX;
            may_be_served && memchr::memchr(b'\n', &client.input).is_some()
        })
    }

    fn refuse(&mut self, id: u32, why: &str) {
        self.reply(id, &Reply::Message(message("ZWEL0093E", why)));
        self.reply(id, &Reply::Done { ok: false });
    }

    /// Says something to a client; the last word makes room for its next request.
    pub(super) fn reply(&mut self, id: u32, reply: &Reply) {
        let Some(client) = self.clients.clients.get_mut(&id) else { return };
        client.put(reply);
        if reply.is_last() {
            client.is_busy = false;
        }
    }

    pub(super) fn watch_events(&mut self, id: u32) {
        if let Some(client) = self.clients.clients.get_mut(&id) {
            client.watch = Watch::Events;
        }
    }

    pub(super) fn watch_lines(&mut self, id: u32, components: BTreeSet<u32>) {
        if let Some(client) = self.clients.clients.get_mut(&id) {
            client.watch = Watch::Lines(components);
        }
    }

    /// Sends what there is to send, and lets go those who are done or too slow.
    pub(super) fn flush_clients(&mut self) {
        let ids: Vec<u32> = self.clients.clients.keys().copied().collect();
        for id in ids {
            let Some(client) = self.clients.clients.get_mut(&id) else { continue };
            let is_gone = client.flush(&self.poller, id).is_err();
            // Who watches stops by ending the connection.
            let is_watching = client.watch != Watch::Nothing;
            let is_asking = client.is_busy || memchr::memchr(b'\n', &client.input).is_some();
            let is_done = client.has_ended && client.answer.is_empty() && (is_watching || !is_asking);
            if client.answer.len() > ANSWER_BYTES_MAX {
                self.tell(message("ZWEL0087W", "a caller that takes no answers is dropped"));
                self.drop_client(id);
            } else if is_gone || is_done {
                self.drop_client(id);
            }
        }
    }

    fn drop_client(&mut self, id: u32) {
        self.timers.disarm(Key::Client(id));
        self.waits.retain(|wait| wait.client != id);
        self.forget_planning_client(id);
        if let Some(client) = self.clients.clients.remove(&id) {
            self.poller.remove(&client.stream);
        }
    }
}

impl Client {
    fn flush(&mut self, poller: &Poller, id: u32) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.answer.len() {
            match rustix::net::send(&self.stream, &self.answer[sent..], SendFlags::NOSIGNAL) {
                Ok(length) => sent += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.answer.drain(..sent);
        if self.answer.is_empty() && self.answer.capacity() > 64 << 10 {
            self.answer = Vec::new();
        }
        // One that sends faster than it is answered waits, and so does one that has said its last word.
        let wants_read = !self.has_ended && self.input.len() <= REQUEST_BYTES_MAX;
        let wanted = match (wants_read, self.answer.is_empty()) {
            (true, true) => Interest::Read,
            (true, false) => Interest::Both,
            (false, false) => Interest::Write,
            (false, true) => Interest::None,
        };
        if wanted != self.interest {
            poller.change(&self.stream, Token::Client(id), wanted)?;
            self.interest = wanted;
        }
        Ok(())
    }
}
