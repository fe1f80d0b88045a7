//! What a plug-in can and cannot do.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use serde_json::Value;
use tender_auxiliary::control::{self, Heard};
use tender_auxiliary::{Event, read_descriptor};
use tender_xmem::frame::PACKET_BYTES_MAX;
use tender_xmem::plugin::Start;

/// The end of a plug-in that the server has.
struct Host {
    control: OwnedFd,
    child: Child,
    buffer: Vec<u8>,
}

fn pair() -> (OwnedFd, OwnedFd) {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

impl Host {
    /// Starts `facts.py` as the server starts a plug-in.
    fn start() -> Self {
        let (control, its_control) = pair();
        let (_calls, its_calls) = pair();
        let timeout = Some(Duration::from_secs(30));
        rustix::net::sockopt::set_socket_timeout(&control, rustix::net::sockopt::Timeout::Recv, timeout)
            .unwrap();
        // Examples are built beside the tests.
        let program = std::env::current_exe().unwrap();
        let program = program.ancestors().nth(2).unwrap().join("examples/host");
        let module = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/facts.py");
        let mut command = Command::new(program);
        command.arg(module).args(["4711", "4712"]);
        let child = command.stdin(Stdio::from(its_control)).stdout(Stdio::from(its_calls)).spawn().unwrap();
        Self { control, child, buffer: vec![0; PACKET_BYTES_MAX] }
    }

    fn hear(&mut self) -> Heard<'_> {
        let (bytes, _) = rustix::net::recv(&self.control, &mut self.buffer[..], RecvFlags::empty()).unwrap();
        assert!(bytes > 0, "the plug-in has closed its socket");
        control::hear(&self.buffer[..bytes])
    }

    fn say(&self, packet: &[u8]) {
        rustix::net::send(&self.control, packet, SendFlags::NOSIGNAL).unwrap();
    }

    fn facts(mut self) -> Value {
        match self.hear() {
            Heard::Event(Event::Described(payload)) => {
                assert_eq!(read_descriptor(payload).unwrap().nickname, "FACT");
            }
            other => panic!("{other:?}"),
        }
        let start = Start {
            server: "ZWESIS_STD".into(),
            generation: 1,
            parameters: Default::default(),
            anchors: Default::default(),
        };
        self.say(&control::start(&start).unwrap());
        assert!(matches!(self.hear(), Heard::Event(Event::Ready { code: 0, .. })));
        self.say(&control::ping());
        assert!(matches!(self.hear(), Heard::Event(Event::Pong)));
        self.say(&control::command(9, "FACTS").unwrap());
        let facts = match self.hear() {
            Heard::Output { sequence: 9, text, .. } => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        };
        self.say(&control::term());
        assert!(self.child.wait().unwrap().success());
        facts
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}

#[test]
fn plugin_in_its_sandbox_has_its_sockets_and_nothing_else() {
    let facts = Host::start().facts();
    assert_eq!(facts["argument"], "MOD=MODULE,COMM=3", "{facts}");
    assert_eq!(facts["environment"].to_string(), r#"["HOME","LANG","PATH"]"#, "{facts}");
    // 6 is the directory that is being listed.
    assert_eq!(facts["descriptors"].to_string(), "[0,1,2,3,4,5]", "{facts}");
    assert_eq!(facts["no_new_privs"], true, "{facts}");
    assert_eq!(facts["capabilities"][0], "0000000000000000", "{facts}");
    assert_eq!(facts["seccomp"][0], "2", "{facts}");
    assert_eq!(facts["writes /tmp"], false, "{facts}");
    assert_eq!(facts["reads /etc/shadow"], false, "{facts}");
    assert_eq!(facts["reads /etc/passwd"], false, "{facts}");
    if rustix::process::geteuid().is_root() {
        assert_eq!((&facts["uid"], &facts["groups"]), (&Value::from(4711), &Value::Array(vec![])), "{facts}");
        assert_eq!(facts["interfaces"].to_string(), r#"["lo"]"#, "{facts}");
    } else {
        eprintln!("uid and network of the plug-in were not looked at: that takes root");
    }
}
