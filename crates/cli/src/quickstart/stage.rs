//! The hosts of the quickstart: one directory each, the agents as real processes on loopback.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::QuickstartError;

/// How long an agent may take to listen.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// A directory with one home per host, and the agents that run.
#[derive(Debug)]
pub(crate) struct Stage {
    directory: PathBuf,
    program: PathBuf,
    agents: Vec<(String, Child)>,
    instances: Vec<String>,
}

impl Stage {
    /// Sets the stage in `directory`, which must be empty or absent.
    pub(crate) fn set(directory: PathBuf) -> Result<Self, QuickstartError> {
        let fault = |source| QuickstartError::Stage { path: directory.clone(), source };
        fs::create_dir_all(&directory).map_err(fault)?;
        if fs::read_dir(&directory).map_err(fault)?.next().is_some() {
            return Err(QuickstartError::NotEmpty { path: directory });
        }
        let program = std::env::current_exe().map_err(fault)?;
        let directory = fs::canonicalize(&directory).map_err(fault)?;
        Ok(Self { directory, program, agents: Vec::new(), instances: Vec::new() })
    }

    /// Returns where everything lies.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the Tender home of a host.
    pub(crate) fn home(&self, host: &str) -> PathBuf {
        self.directory.join(host)
    }

    /// Prepares `tender …` as typed on `host`.
    pub(crate) fn command(&self, host: &str, words: &[String]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .current_dir(&self.directory)
            .env("TENDER_HOME", self.home(host))
            .env("COLUMNS", "140")
            .stdin(Stdio::null());
        command
    }

    /// Starts the agent of `host` and waits until it says that it listens.
    pub(crate) fn start_agent(&mut self, host: &str) -> Result<(), QuickstartError> {
        let fault = |source| QuickstartError::Agent { host: host.to_owned(), source };
        let words = ["agent", "run"].map(str::to_owned);
        let mut child =
            self.command(host, &words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(fault)?;
        let output = child.stdout.take().ok_or_else(|| fault(io::ErrorKind::BrokenPipe.into()))?;
        self.agents.push((host.to_owned(), child));
        let (tell, told) = mpsc::channel();
        // The thread goes on reading, so that the agent never blocks on a full pipe; it ends with the agent.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.contains("listens") {
                    // Nobody waits any more after the first time.
                    tell.send(()).unwrap_or_default();
                }
            }
        });
        told.recv_timeout(READY_TIMEOUT).map_err(|_| QuickstartError::NotReady { host: host.to_owned() })
    }

    /// Notes that these hosts run production instances, named `<host>-prod`, which have to be stopped at the end.
    pub(crate) fn instances_of(&mut self, hosts: &[&str]) {
        self.instances.extend(hosts.iter().map(|host| (*host).to_owned()));
    }

    /// Returns the process ids of the agents.
    pub(crate) fn agent_ids(&self) -> Vec<u32> {
        self.agents.iter().map(|(_, child)| child.id()).collect()
    }

    /// Leaves the agents running and forgets them.
    pub(crate) fn keep(mut self) {
        self.agents.clear();
        self.instances.clear();
    }

    /// Stops the agents and removes the directory.
    pub(crate) fn strike(mut self) -> Result<(), QuickstartError> {
        self.stop_all();
        tender_content::remove_tree(&self.directory)
            .map_err(|source| QuickstartError::Strike { path: self.directory.clone(), source: source.into() })
    }

    fn stop_all(&mut self) {
        for (_, child) in &mut self.agents {
            stop(child);
        }
        self.agents.clear();
        for host in std::mem::take(&mut self.instances) {
            let words = ["stop", "--instance", &format!("{host}-prod")].map(str::to_owned);
            // One that never started has nothing to stop.
            drop(self.command(&host, &words).stdout(Stdio::null()).stderr(Stdio::null()).status());
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop_all();
    }
}

fn stop(child: &mut Child) {
    let pid = rustix::process::Pid::from_child(child);
    // An agent that ended by itself is already where it should be.
    if rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok() {
        drop(child.wait());
    }
}

/// Finds `count` ports in a row that are free on loopback.
///
/// They lie below those that the system hands out, so that no connection of another program takes one before the agent
/// does; another process begins to look elsewhere.
///
/// Limits: a program with a port of its own may still be quicker; the agent then says so.
pub(crate) fn free_ports(count: u16) -> Option<u16> {
    const FIRST: u32 = 10_000;
    const ROOM: u32 = 6_000;
    let rows = ROOM / u32::from(count);
    (0..rows).find_map(|row| {
        let row = std::process::id().wrapping_add(row) % rows;
        let first = u16::try_from(FIRST + row * u32::from(count)).ok()?;
        let last = first.checked_add(count - 1)?;
        (first..=last).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()).then_some(first)
    })
}
