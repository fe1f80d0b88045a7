//! A real etcd of a test's own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// An etcd under way; it ends with this value.
pub(crate) struct Server {
    process: Child,
    place: Place,
}

/// Where it was before it was killed.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    ports: [u16; 2],
}

impl Server {
    pub(crate) fn start() -> Self {
        Place { directory: tempfile::tempdir().unwrap(), ports: free_ports() }.restart()
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.place.ports[0])
    }

    /// Kills it.
    pub(crate) fn kill(mut self) -> Place {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let nothing = Place { directory: tempfile::tempdir().unwrap(), ports: [0, 0] };
        std::mem::replace(&mut self.place, nothing)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Place {
    /// Starts it with what it had.
    pub(crate) fn restart(self) -> Server {
        let [own, others] = self.ports.map(|port| format!("http://127.0.0.1:{port}"));
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(self.directory.path().join("data"));
        command.args(["--listen-client-urls", &own, "--advertise-client-urls", &own]);
        command.args(["--listen-peer-urls", &others, "--initial-advertise-peer-urls", &others]);
        command.args(["--initial-cluster", &format!("default={others}"), "--log-level", "error"]);
        // It is killed, the machine is not: what it wrote is there.
        command.arg("--unsafe-no-fsync");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| {
            panic!("{error}: this test needs the Debian package etcd-server; `cargo xtask ci` as root installs it")
        });
        let server = Server { process, place: self };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_healthy(server.place.ports[0]) {
            assert!(Instant::now() < deadline, "etcd does not answer");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        server
    }
}

/// Says whether etcd has a leader and answers: it listens long before.
fn is_healthy(port: u16) -> bool {
    let asked = || {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        connection.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    asked().is_ok_and(|answer| answer.starts_with("HTTP/1.0 200"))
}

/// Below the ports that the system gives to connections, so that no client takes one in between.
pub(crate) fn free_ports() -> [u16; 2] {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..2000 {
        let offset = std::process::id().wrapping_mul(34) + TAKEN.fetch_add(2, Ordering::Relaxed);
        let first = u16::try_from(2400 + offset % 3500 / 2 * 2).unwrap();
        if [first, first + 1].iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()) {
            return [first, first + 1];
        }
    }
    panic!("no two ports are free on loopback");
}
