//! Servers at work, seen from outside.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::processes::{self, Process};
use crate::program;
use crate::workspace::Workspace;

/// Nothing takes longer to start.
const START_MAX: Duration = Duration::from_secs(20);
/// Nor to end.
const END_MAX: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_micros(200);

/// A server at work; dropped, it is killed with all its children.
#[derive(Debug)]
pub(crate) struct Served {
    child: Child,
    log: PathBuf,
    /// How long it took until it could be reached.
    pub(crate) start_ms: f64,
}

impl Served {
    /// Starts a server and waits until its port is open; what it says goes into a file.
    pub(crate) fn start(mut command: Command, port: u16, log: &Path) -> Result<Self, Failure> {
        let file = File::create(log).map_err(Failure::file("make", log))?;
        let errors = file.try_clone().map_err(Failure::file("use", log))?;
        let begun = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn();
        let child = child.map_err(|source| Failure::Start { program: program::line(&command), source })?;
        let mut served = Self { child, log: log.to_owned(), start_ms: 0.0 };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        while TcpStream::connect(address).is_err() {
            let has_ended = matches!(served.child.try_wait(), Ok(Some(_)));
            if has_ended || begun.elapsed() > START_MAX {
                return Err(Failure::Unexpected {
                    what: format!("`{}` listens at {address}", program::line(&command)),
                    found: served.said(),
                });
            }
            std::thread::park_timeout(LOOK);
        }
        served.start_ms = begun.elapsed().as_secs_f64() * 1000.0;
        Ok(served)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // It may have ended by itself.
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap_or_default();
        }
        let begun = Instant::now();
        while begun.elapsed() < END_MAX {
            if let Ok(Some(status)) = self.child.try_wait() {
                let command = format!("process {}", self.child.id());
                return if status.success() { Ok(()) } else { Err(Failure::Ended { command, status }) };
            }
            std::thread::park_timeout(LOOK);
        }
        let what = format!("process {} ends within {} seconds", self.child.id(), END_MAX.as_secs());
        Err(Failure::Unexpected { what, found: self.said() })
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the numbers of its processes.
    pub(crate) fn pids(&self) -> Vec<i32> {
        processes::tree(self.child.id()).into_iter().map(|process| process.pid).collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let tree = processes::tree(self.child.id());
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
        for process in tree.into_iter().filter(Process::is_there) {
            if let Some(pid) = rustix::process::Pid::from_raw(process.pid) {
                // It may end by itself meanwhile.
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap_or_default();
            }
        }
    }
}

/// Returns so many ports that nobody uses now.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N], Failure> {
    let failed = |source| Failure::Start { program: "a listener at a free port".to_owned(), source };
    let listeners: Result<Vec<_>, _> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(listeners.map_err(failed)?) {
        *port = listener.local_addr().map_err(failed)?.port();
    }
    Ok(ports)
}

/// Makes an empty directory to work in.
pub(crate) fn work_dir(workspace: &Workspace, name: &str) -> Result<PathBuf, Failure> {
    let dir = workspace.root().join("target/bench").join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(Failure::file("remove", &dir))?;
    }
    std::fs::create_dir_all(&dir).map_err(Failure::file("make", &dir))?;
    Ok(dir)
}
