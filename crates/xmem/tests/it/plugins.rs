//! The two example plug-ins, as an auxiliary host would start them.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tender_xmem::code::RouterCode;
use tender_xmem::frame::{Header, Kind};
use tender_xmem::plugin::{Anchors, Caller, CommandStatus, Descriptor, PluginCall, Start};
use tender_xmem::socket::Connection;

struct Host {
    control: Connection,
    calls: Connection,
    child: Child,
    buffer: Vec<u8>,
}

impl Host {
    /// Starts a program with sockets 3 and 4. The shell moves them there from 0 and 1.
    fn start(program: &[&str]) -> Self {
        let (control, control_end) = Connection::pair().expect("a pair");
        let (calls, calls_end) = Connection::pair().expect("a pair");
        let child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4<&1 0</dev/null 1>&2", "sh"])
            .args(program)
            .arg("MOD=ECHOPL01,COMM=3,some,parameter")
            .stdin(Stdio::from(control_end.into_socket()))
            .stdout(Stdio::from(calls_end.into_socket()))
            .spawn()
            .expect("started");
        Self { control, calls, child, buffer: Connection::buffer() }
    }

    fn until() -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(20))
    }

    /// The next frame of the control socket.
    fn hear(&mut self) -> (Header, Vec<u8>) {
        let frame = self.control.receive_until(&mut self.buffer, 0, Self::until()).expect("a frame");
        (frame.header, frame.payload.into_owned())
    }

    fn begin(&mut self, anchors: Anchors) -> Descriptor {
        let (header, payload) = self.hear();
        assert_eq!(header.kind, Kind::Descriptor);
        let descriptor = serde_json::from_slice(&payload).expect("a descriptor");
        let start =
            Start { server: "ZWESIS_TEST".into(), generation: 1, parameters: Default::default(), anchors };
        let start = serde_json::to_vec(&start).expect("JSON");
        self.control.send(&Header::new(Kind::Start, 0), &start, &[]).expect("START");
        descriptor
    }

    fn call(&self, sequence: u64, service: &str, request: &[u8]) {
        let caller = Caller {
            connection: 1,
            uid: 1234,
            gid: 1234,
            pid: 1,
            user: Some("ALICE".into()),
            actor: None,
            service: service.into(),
        };
        let payload = PluginCall::payload(&caller, request).expect("small");
        self.calls.send(&Header::new(Kind::Call, sequence), &payload, &[]).expect("CALL");
    }

    fn answer(&mut self) -> (Header, Vec<u8>) {
        let frame = self.calls.receive_until(&mut self.buffer, 0, Self::until()).expect("an answer");
        assert_eq!(frame.header.kind, Kind::Reply);
        (frame.header, frame.payload.into_owned())
    }

    fn end(mut self) {
        self.control.send(&Header::new(Kind::Term, 0), &[], &[]).expect("TERM");
        assert!(self.child.wait().expect("ended").success());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("this program");
    let target = tests.parent().and_then(std::path::Path::parent).expect("the target directory");
    target.join("examples").join(name)
}

fn python() -> Option<PathBuf> {
    let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/plugins/echo.py"));
    if Command::new("python3").arg("--version").output().is_err() {
        writeln!(std::io::stderr(), "the Python example is skipped: there is no python3")
            .expect("standard error");
        return None;
    }
    Some(script)
}

/// What both examples do alike.
fn converse(host: &mut Host) {
    host.control.send(&Header::new(Kind::Ping, 7), &[], &[]).expect("PING");
    let (pong, _) = host.hear();
    assert_eq!((pong.kind, pong.sequence), (Kind::Pong, 7));
    for (sequence, request) in [(1, b"hello".to_vec()), (2, Vec::new()), (3, vec![5; 60_000])] {
        host.call(sequence, "ECHO", &request);
        let (header, payload) = host.answer();
        assert_eq!((header.sequence, header.code, header.detail), (sequence, 0, 0));
        assert!(payload == request);
    }
    host.call(4, "NOTHING", b"");
    assert_eq!(host.answer().0.detail, RouterCode::NotFound.number());
    for (text, status) in [("COUNT", CommandStatus::Consumed), ("DANCE", CommandStatus::Unknown)] {
        host.control.send(&Header::new(Kind::PluginCommand, 9), text.as_bytes(), &[]).expect("COMMAND");
        let (output, said) = host.hear();
        assert_eq!((output.kind, output.sequence, output.code), (Kind::PluginOutput, 9, status.number()));
        assert_eq!(said.is_empty(), status == CommandStatus::Unknown);
    }
}

#[test]
fn call_that_is_cancelled_is_given_up_by_a_service_that_asks_and_the_others_go_on() {
    let program = example("patient_plugin");
    let mut host = Host::start(&[program.to_str().expect("a path")]);
    host.begin(Anchors::new());
    assert_eq!(host.hear().0.kind, Kind::Ready);
    for sequence in [1, 2] {
        host.call(sequence, "WORK", b"");
    }
    host.calls.send(&Header::new(Kind::Cancel, 2), &[], &[]).expect("CANCEL");
    let (reply, said) = host.answer();
    // Cancelled before its turn came, or while it worked.
    assert!(
        (reply.sequence, reply.code, reply.detail) == (2, 0, 33) || (reply.sequence, reply.code) == (2, 97),
        "{reply:?}"
    );
    assert!(reply.code == 97 || said == b"nobody waits");
    host.calls.send(&Header::new(Kind::Cancel, 9), &[], &[]).expect("CANCEL");
    host.calls.send(&Header::new(Kind::Cancel, 1), &[], &[]).expect("CANCEL");
    assert_eq!(host.answer().0.sequence, 1);
    host.end();
}

#[test]
fn rust_example_serves_and_keeps_its_anchor() {
    let program = example("echo_plugin");
    let mut host = Host::start(&[program.to_str().expect("a path")]);
    let descriptor = host.begin(Anchors::new());
    assert_eq!((descriptor.name.as_str(), descriptor.services.len()), ("ECHO", 2));
    let (anchor, kept) = host.hear();
    assert_eq!(anchor.kind, Kind::Anchor);
    let kept: Anchors = serde_json::from_slice(&kept).expect("anchors");
    let (ready, _) = host.hear();
    assert_eq!((ready.kind, ready.code), (Kind::Ready, 0));
    converse(&mut host);
    host.call(5, "WHOAMI", b"");
    assert_eq!(host.answer().1, b"uid 1234");
    // Sixteen at once and more: each is answered, by its service or with "no room".
    for sequence in 100..140 {
        host.call(sequence, "ECHO", &sequence.to_le_bytes());
    }
    let mut answered: Vec<u64> = (0..40).map(|_| host.answer().0.sequence).collect();
    answered.sort_unstable();
    assert_eq!(answered, (100..140).collect::<Vec<u64>>());
    host.end();
    let mut host = Host::start(&[program.to_str().expect("a path")]);
    host.begin(kept);
    let (_, kept) = host.hear();
    let kept: Anchors = serde_json::from_slice(&kept).expect("anchors");
    assert!(kept[""].starts_with("02"), "the count went on: {kept:?}");
    host.end();
}

#[test]
fn python_example_serves_by_the_documented_protocol() {
    let Some(script) = python() else { return };
    let mut host = Host::start(&["python3", script.to_str().expect("a path")]);
    let descriptor = host.begin(Anchors::new());
    assert_eq!((descriptor.name.as_str(), descriptor.nickname.as_str()), ("PYECHO", "PYEC"));
    assert_eq!(host.hear().0.kind, Kind::Ready);
    converse(&mut host);
    host.end();
}

#[test]
fn plugins_started_by_hand_say_so() {
    let program = example("echo_plugin");
    let mut commands = vec![Command::new(program)];
    if let Some(script) = python() {
        let mut command = Command::new("python3");
        command.arg(script);
        commands.push(command);
    }
    for mut command in commands {
        let output = command.stdin(Stdio::null()).output().expect("ran");
        assert_eq!(output.status.code(), Some(8));
        assert!(String::from_utf8_lossy(&output.stderr).contains("ZWES0058E"), "{output:?}");
    }
}

#[test]
fn plugin_whose_server_is_gone_ends() {
    let program = example("echo_plugin");
    let mut host = Host::start(&[program.to_str().expect("a path")]);
    host.begin(Anchors::new());
    assert_eq!(host.hear().0.kind, Kind::Anchor);
    assert_eq!(host.hear().0.kind, Kind::Ready);
    let (unused, _) = Connection::pair().expect("a pair");
    drop(std::mem::replace(&mut host.control, unused));
    assert_eq!(host.child.wait().expect("ended").code(), Some(8));
}
