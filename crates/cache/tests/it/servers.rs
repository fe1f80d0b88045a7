//! Real servers of a test's own, in a directory that goes with them.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server under way; it ends with this value.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
    _directory: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Server {
    pub(crate) fn etcd() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [port, peer] = free_ports();
        let (own, others) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(directory.path().join("data"));
        command.args(["--listen-client-urls", &own, "--advertise-client-urls", &own]);
        command.args(["--listen-peer-urls", &others, "--initial-advertise-peer-urls", &others]);
        command.args(["--initial-cluster", &format!("default={others}"), "--log-level", "error"]);
        // The tests kill it at the end: nothing has to be on disk.
        command.arg("--unsafe-no-fsync");
        Self::start(command, "etcd-server", port, directory)
    }

    pub(crate) fn redis() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [port, _] = free_ports();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]);
        command.arg(directory.path());
        Self::start(command, "redis-server", port, directory)
    }

    fn start(mut command: Command, package: &str, port: u16, directory: tempfile::TempDir) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| {
            panic!(
                "{error}: this test needs the Debian package {package}; `cargo xtask ci` as root installs it"
            )
        });
        let server = Self { process, port, _directory: directory };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < deadline, "{package} does not listen");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        server
    }
}

/// Below the ports that the system gives to connections, so that no client takes one in between.
fn free_ports() -> [u16; 2] {
    use std::sync::atomic::{AtomicU32, Ordering};
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..2000 {
        let offset = std::process::id().wrapping_mul(18) + TAKEN.fetch_add(2, Ordering::Relaxed);
        let first = u16::try_from(6000 + offset % 4000 / 2 * 2).unwrap();
        if [first, first + 1].iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()) {
            return [first, first + 1];
        }
    }
    panic!("no two ports are free on loopback");
}
