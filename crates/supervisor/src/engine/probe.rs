//! Questions put to a component, without ever waiting for the answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::Engine;
use super::unit::Owner;
use crate::console::State;
use crate::life::{Event, Timer};
use crate::plan::{Component, Probe};
use crate::poller::{Interest, Token};
use crate::process::ending::Ending;
use crate::process::spawn::{Report, Verdict};

/// Of an HTTP answer so much is looked at, in bytes.
const ANSWER_BYTES_MAX: usize = 256;

/// A question that waits for its answer.
#[derive(Debug)]
pub(super) enum Question {
    Connection(Connection),
    Program { pid: i32, report: Report },
}

/// A connection under way.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    /// Where else the name leads.
    others: Vec<SocketAddr>,
    /// What is asked once it stands; nothing but its standing when empty.
    request: String,
    is_sent: bool,
    answer: Vec<u8>,
}

/// What a question came to.
type Answer = Result<(), String>;

/// A URL taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HttpTarget {
    host: String,
    port: u16,
    path: String,
}

/// Checks that a probe can be asked.
pub(super) fn check(probe: &Probe) -> Result<(), String> {
    match probe {
        Probe::Exec(command) if command.is_empty() => Err("the command of a probe is empty".to_owned()),
        Probe::Tcp(target) => split_host(target).map(drop),
        Probe::Http(url) => HttpTarget::parse(url).map(drop),
        _ => Ok(()),
    }
}

impl HttpTarget {
    fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or_else(|| format!("`{url}` is no http URL"))?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        if path.contains(|character: char| character.is_control() || character == ' ') {
            return Err(format!("`{url}` is no http URL"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let (host, port) =
            if has_port { split_host(authority)? } else { split_host(&format!("{authority}:80"))? };
        Ok(Self { host, port, path: path.to_owned() })
    }

    fn request(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!(
            "GET {} HTTP/1.1\r\nHost: {host}:{}\r\nUser-Agent: tender\r\nConnection: close\r\n\r\n",
            self.path, self.port
        )
    }
}

/// Takes `host:port` or `[v6]:port` apart.
fn split_host(target: &str) -> Result<(String, u16), String> {
    let wrong = || format!("`{target}` is not host:port");
    let (host, port) = target.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_host { Ok((host.to_owned(), port.parse().map_err(|_| wrong())?)) } else { Err(wrong()) }
}

/// Finds where a name leads without asking the network: an address, `localhost`, or what `hosts` has.
fn resolve(host: &str, port: u16, hosts: &str) -> Vec<SocketAddr> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return vec![SocketAddr::new(address, port)];
    }
    if host.eq_ignore_ascii_case("localhost") {
        let both: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return both.map(|address| SocketAddr::new(address, port)).to_vec();
    }
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = words.next()?.parse::<IpAddr>().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then(|| SocketAddr::new(address, port))
        })
        .collect()
}

/// Judges the beginning of an HTTP answer; none while it is too short.
fn judge(answer: &[u8], is_over: bool) -> Option<Answer> {
    let line = answer.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    if line.len() == answer.len() && !is_over && answer.len() < ANSWER_BYTES_MAX {
        return None;
    }
    let text = String::from_utf8_lossy(line);
    let code = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse::<u16>().ok());
    Some(match code {
        Some(200..=399) => Ok(()),
        Some(code) => Err(format!("HTTP answers {code}")),
        None => Err("what answers is no HTTP".to_owned()),
    })
}

/// Begins a connection to the first address that takes one.
fn connect(mut addresses: Vec<SocketAddr>, request: String) -> Result<Connection, String> {
    let mut last = "its host has no address here; name one, or put it into /etc/hosts".to_owned();
    while !addresses.is_empty() {
        let address = addresses.remove(0);
        match begin_connection(address) {
            Ok(socket) => {
                return Ok(Connection {
                    socket,
                    others: addresses,
                    request,
                    is_sent: false,
                    answer: Vec::new(),
                });
            }
            Err(error) => last = format!("{address} takes no connection: {error}"),
        }
    }
    Err(last)
}

fn begin_connection(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

impl Connection {
    /// Goes on with whatever is possible; none while the answer is open.
    fn go_on(&mut self) -> Option<Answer> {
        if !self.is_sent {
            match rustix::net::sockopt::socket_error(&self.socket) {
                Ok(Ok(())) => {}
                Ok(Err(error)) | Err(error) => {
                    return Some(Err(format!("the connection is refused: {}", io::Error::from(error))));
                }
            }
            if self.request.is_empty() {
                return Some(Ok(()));
            }
            match rustix::net::send(&self.socket, self.request.as_bytes(), SendFlags::NOSIGNAL) {
                Ok(_) => self.is_sent = true,
                Err(rustix::io::Errno::AGAIN) => return None,
                Err(error) => return Some(Err(format!("it takes no request: {}", io::Error::from(error)))),
            }
        }
        let mut buffer = [0; ANSWER_BYTES_MAX];
        match rustix::net::recv(&self.socket, &mut buffer, RecvFlags::empty()) {
            Ok((_, 0)) => judge(&self.answer, true),
            Ok((_, length)) => {
                self.answer.extend_from_slice(&buffer[..length]);
                judge(&self.answer, false)
            }
            Err(rustix::io::Errno::AGAIN) => None,
            Err(error) => Some(Err(format!("it gives no answer: {}", io::Error::from(error)))),
        }
    }
}

/// The probe that counts in a state, and its times.
struct Due {
    probe: Probe,
    period_ms: u64,
    timeout_ms: u64,
}

fn due(component: &Component, state: State) -> Option<Due> {
    match state {
        State::Starting => component.readiness.as_ref().map(|readiness| Due {
            probe: readiness.probe.clone(),
            period_ms: readiness.period_ms.max(1),
            timeout_ms: readiness.timeout_ms,
        }),
        State::Ready | State::Degraded => component.health.as_ref().map(|health| Due {
            probe: health.probe.clone(),
            period_ms: health.period_ms.max(1),
            timeout_ms: health.timeout_ms,
        }),
        _ => None,
    }
}

impl Engine {
    /// Begins to ask: when a program runs, for readiness; when it is ready, for health.
    pub(super) fn begin_probes(&mut self, id: u32) {
        self.end_question(id);
        let Some(unit) = self.units.get(&id) else { return };
        let Some(due) = due(&unit.component, unit.life.state) else { return };
        let wait_ms = match (unit.life.state, &due.probe, &unit.component.readiness) {
            // These tell by themselves.
            (State::Starting, Probe::Notify | Probe::Log(_), _) => return,
            (State::Starting, _, Some(readiness)) => readiness.initial_delay_ms,
            _ => due.period_ms,
        };
        self.arm(id, Timer::Probe, wait_ms);
    }

    /// Asks no more.
    pub(super) fn end_probes(&mut self, id: u32) {
        self.end_question(id);
        self.disarm(id, Timer::Probe);
    }

    fn end_question(&mut self, id: u32) {
        self.disarm(id, Timer::Answer);
        let Some(unit) = self.units.get_mut(&id) else { return };
        match unit.question.take() {
            Some(Question::Connection(connection)) => self.poller.remove(&connection.socket),
            Some(Question::Program { pid, .. }) => self.kill_helper(pid),
            None => {}
        }
    }

    /// Puts the question of a component's state.
    pub(super) fn ask(&mut self, id: u32) {
        self.end_question(id);
        let Some(unit) = self.units.get(&id) else { return };
        let Some(due) = due(&unit.component, unit.life.state) else { return };
        let asked = match &due.probe {
            Probe::Tcp(target) => split_host(target).and_then(|(host, port)| {
                Ok(Question::Connection(connect(addresses(&host, port), String::new())?))
            }),
            Probe::Http(url) => HttpTarget::parse(url).and_then(|target| {
                let addresses = addresses(&target.host, target.port);
                Ok(Question::Connection(connect(addresses, target.request())?))
            }),
            Probe::Exec(command) => self
                .spawn_helper(id, &command.clone(), Owner::Probe(id))
                .map(|(pid, report)| Question::Program { pid, report }),
            Probe::Notify => Err(format!("it said no WATCHDOG=1 for {} ms", due.period_ms)),
            Probe::Log(_) => return,
        };
        match asked {
            Ok(question) => {
                self.arm(id, Timer::Answer, due.timeout_ms.max(1));
                self.expect_answer(id, question);
            }
            Err(why) => self.answered(id, Err(why)),
        }
    }

    fn expect_answer(&mut self, id: u32, question: Question) {
        if let Question::Connection(connection) = &question {
            let added = self.poller.add(&connection.socket, Token::Probe(id), Interest::Write);
            if let Err(error) = added {
                self.answered(id, Err(error.to_string()));
                return;
            }
        }
        if let Some(unit) = self.units.get_mut(&id) {
            unit.question = Some(question);
        }
    }

    /// Goes on with a connection that can be gone on with.
    pub(super) fn probe_event(&mut self, id: u32) {
        let Some(unit) = self.units.get_mut(&id) else { return };
        let Some(Question::Connection(connection)) = &mut unit.question else { return };
        let was_sent = connection.is_sent;
        match connection.go_on() {
            Some(Err(why)) if !was_sent && !connection.others.is_empty() => {
                let (others, request) =
                    (std::mem::take(&mut connection.others), std::mem::take(&mut connection.request));
                self.poller.remove(connection.socket.as_fd());
                unit.question = None;
                match connect(others, request) {
                    Ok(connection) => self.expect_answer(id, Question::Connection(connection)),
                    Err(_) => self.answered(id, Err(why)),
                }
            }
            Some(answer) => self.answered(id, answer),
            None if connection.is_sent && !was_sent => {
                let changed = self.poller.change(&connection.socket, Token::Probe(id), Interest::Read);
                if let Err(error) = changed {
                    self.answered(id, Err(error.to_string()));
                }
            }
            None => {}
        }
    }

    /// Takes the end of a probe's program.
    pub(super) fn probe_program_ended(&mut self, id: u32, pid: i32, ending: Ending) {
        let Some(unit) = self.units.get_mut(&id) else { return };
        // One that was killed because its time was over asks nothing any more.
        let is_current =
            matches!(&unit.question, Some(Question::Program { pid: asked, .. }) if *asked == pid);
        if !is_current {
            return;
        }
        let Some(Question::Program { report, .. }) = unit.question.take() else { return };
        let probe = due(&unit.component, unit.life.state).map(|due| due.probe);
        let Some(Probe::Exec(command)) = probe else { return };
        let answer = match report.read(&command, &unit.component.working_directory) {
            Verdict::NotExecuted(why) => Err(format!("the program of the probe: {why}")),
            _ if ending.is_success() => Ok(()),
            _ => Err(format!("the program of the probe ended with {ending}")),
        };
        self.answered(id, answer);
    }

    /// Takes that the time for an answer is over.
    pub(super) fn answer_overdue(&mut self, id: u32) {
        let Some(unit) = self.units.get(&id) else { return };
        let timeout_ms = due(&unit.component, unit.life.state).map_or(0, |due| due.timeout_ms);
        self.answered(id, Err(format!("no answer within {timeout_ms} ms")));
    }

    /// Takes an answer, and plans the next question.
    pub(super) fn answered(&mut self, id: u32, answer: Answer) {
        self.end_question(id);
        let Some(unit) = self.units.get_mut(&id) else { return };
        let Some(due) = due(&unit.component, unit.life.state) else { return };
        let is_starting = unit.life.state == State::Starting;
        match answer {
            Ok(()) if is_starting => {
                self.push(id, Event::Answered);
                return;
            }
            Ok(()) => self.push(id, Event::Healthy),
            Err(why) if is_starting => unit.life.reason = Some(why),
            Err(why) => self.push(id, Event::Unhealthy(why)),
        }
        self.arm(id, Timer::Probe, due.period_ms);
    }
}

fn addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    // Without the file the name leads nowhere, and the probe says so.
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    resolve(host, port, &hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_taken_apart_and_what_is_none_is_refused() {
        let target =
            |host: &str, port, path: &str| HttpTarget { host: host.to_owned(), port, path: path.to_owned() };
        assert_eq!(HttpTarget::parse("http://h:81/a?b"), Ok(target("h", 81, "/a?b")));
        assert_eq!(HttpTarget::parse("http://h"), Ok(target("h", 80, "/")));
        assert_eq!(HttpTarget::parse("http://[::1]/x"), Ok(target("::1", 80, "/x")));
        assert_eq!(HttpTarget::parse("http://[::1]:8/"), Ok(target("::1", 8, "/")));
        for wrong in ["https://h/", "http://h:x/", "http://h:99999/", "http:///", "http://h/a b", "h:80"] {
            assert!(HttpTarget::parse(wrong).is_err(), "{wrong}");
        }
        assert!(target("::1", 8, "/x").request().starts_with("GET /x HTTP/1.1\r\nHost: [::1]:8\r\n"));
    }

    #[test]
    fn host_is_found_without_the_network() {
        let hosts = "10.0.0.1 vm01.example.com VM01 # not this\n::2 vm01\nbad vm01\n";
        let found = |host: &str| resolve(host, 9, hosts).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(found("vm01"), ["10.0.0.1:9", "[::2]:9"]);
        assert_eq!(found("127.0.0.1"), ["127.0.0.1:9"]);
        assert_eq!(found("localhost"), ["127.0.0.1:9", "[::1]:9"]);
        assert_eq!(found("not"), [""; 0]);
    }

    #[test]
    fn answer_is_judged_by_its_first_line() {
        assert_eq!(judge(b"HTTP/1.1 20", false), None);
        assert_eq!(judge(b"HTTP/1.1 204 No Content\r\n", false), Some(Ok(())));
        assert_eq!(judge(b"HTTP/1.0 302 Found\r\n", false), Some(Ok(())));
        assert_eq!(judge(b"HTTP/1.1 503 x\r\n", false), Some(Err("HTTP answers 503".to_owned())));
        assert!(judge(b"SSH-2.0\r\n", false).unwrap().is_err());
        assert!(judge(b"", true).unwrap().is_err());
        assert!(judge(&[b'x'; ANSWER_BYTES_MAX], false).unwrap().is_err());
    }
}
