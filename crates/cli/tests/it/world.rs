//! A principal and its managed systems in a temporary directory, driven through the command line.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long anything may take before the test gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) line: String,
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

impl Answer {
    /// Asserts the return code.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "`tender {}` said:\n{}", self.line, self.text);
        self
    }

    /// Asserts that the answer has this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.text.contains(text), "`tender {}` does not say `{text}`:\n{}", self.line, self.text);
        self
    }

    /// Asserts that a signal ended it.
    #[track_caller]
    pub(crate) fn was_killed(self) -> Self {
        assert_eq!(self.code, None, "`tender {}` was not killed:\n{}", self.line, self.text);
        self
    }
}

/// Hosts in a directory of their own.
#[derive(Debug)]
pub(crate) struct World {
    directory: tempfile::TempDir,
    agents: Vec<(String, Child)>,
}

impl Drop for World {
    fn drop(&mut self) {
        for (_, child) in &mut self.agents {
            drop(child.kill());
            drop(child.wait());
        }
        // Levels are read-only directories; only this can remove them for an ordinary user.
        drop(tender_content::remove_tree(self.directory.path()));
    }
}

impl World {
    /// Makes a world with the example release in `media/`.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/720");
        copy(&examples, &directory.path().join("media"));
        Self { directory, agents: Vec::new() }
    }

    /// Makes a world whose principal has signed envelopes of both RSUs and level ONE with the first in it, packaged.
    pub(crate) fn with_level_one() -> Self {
        let world = Self::new();
        world.run("principal", "envelope key vendor.key").ends(0);
        for rsu in ["rsu0801", "rsu0802"] {
            let line = format!(
                "envelope create {rsu}.envelope --from media/base --to media/{rsu} --overlay \
                 --describe media/{rsu}.yaml --key vendor.key"
            );
            world.run("principal", &line).ends(0);
        }
        for line in [
            "servmgr initialize 720 --from media/base",
            "servmgr vendor set example --key vendor.key.pub",
            "servmgr srvlvl add 720 one basedon BASE nonesm desc First",
            "servmgr srvlvl service 720 one all rsu0801.envelope",
            "servmgr srvlvl package 720 one",
        ] {
            world.run("principal", line).ends(0);
        }
        world
    }

    /// Sets up, enrols, starts and registers a managed system.
    pub(crate) fn add_system(&mut self, name: &str) {
        let port = free_ports();
        let add = format!("servmgr system add 720 {name} BASE --hostname 127.0.0.1 --port {port}");
        let invited = self.run("principal", &add).ends(4);
        let token = invited.text.split_whitespace().find(|word| word.starts_with("tender-join-")).unwrap();
        let (first, last) = (port + 1, port + 3);
        self.run(name, &format!("agent init {name} --listen 127.0.0.1:{port} --passive {first}-{last}"))
            .ends(0);
        self.run(name, "agent base 720 --from media/base").ends(0);
        self.run(name, &format!("agent enrol {token}")).ends(0);
        self.start_agent(name, &[]);
        self.run("principal", &add).ends(4);
    }

    /// Returns a path in the world.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Prepares `tender …` on a host.
    pub(crate) fn command(&self, host: &str, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
        command
            .args(words(line))
            .current_dir(self.directory.path())
            .env_remove("TENDER_FAULT")
            .env_remove("TENDER_XMEM_RUN")
            .env_remove("TENDER_XMEM_STATE")
            .env_remove("TENDER_XMEM_PARMLIB")
            .env_remove("TENDER_XMEMD")
            .env("TENDER_HOME", self.path(host))
            .env("COLUMNS", "140")
            .stdin(Stdio::null());
        command
    }

    /// Runs `tender …` on a host.
    pub(crate) fn run(&self, host: &str, line: &str) -> Answer {
        answer(line, &self.command(host, line).output().unwrap())
    }

    /// Runs `tender …` on a host with a fault point armed.
    pub(crate) fn run_until(&self, fault: &str, host: &str, line: &str) -> Answer {
        answer(line, &self.command(host, line).env("TENDER_FAULT", fault).output().unwrap())
    }

    /// Runs `tender … --json` and returns the document.
    pub(crate) fn json(&self, host: &str, line: &str) -> serde_json::Value {
        let output = self.command(host, &format!("{line} --json")).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("`{line}`: {fault}: {output:?}"))
    }

    /// Starts an agent and waits until it listens.
    pub(crate) fn start_agent(&mut self, name: &str, environment: &[(&str, &str)]) {
        let mut command = self.command(name, "agent run");
        let mut child = command
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        self.agents.push((name.to_owned(), child));
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.contains("listens") {
                    tell.send(()).unwrap_or_default();
                }
            }
        });
        told.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("the agent of {name} does not listen"));
    }

    /// Returns the process ids of an agent's children.
    pub(crate) fn children_of_agent(&self, name: &str) -> Vec<String> {
        let (_, agent) = self.agents.iter().find(|(agent, _)| agent == name).unwrap();
        let tasks = fs::read_dir(format!("/proc/{}/task", agent.id())).unwrap();
        let children =
            tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        children.flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Kills an agent without warning.
    pub(crate) fn kill_agent(&mut self, name: &str) {
        let at = self.agents.iter().position(|(agent, _)| agent == name).unwrap();
        let (_, mut child) = self.agents.remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Returns the text of a file in a slot, when the slot and the file are there.
    pub(crate) fn slot_text(&self, host: &str, slot: &str, part: &str) -> Option<String> {
        fs::read_to_string(self.path(host).join("system").join(slot).join(part)).ok()
    }

    /// Returns level and generation in a slot.
    pub(crate) fn slot(&self, host: &str, slot: &str) -> Option<String> {
        let status = self.json(host, "agent status");
        let level = status["data"][slot]["level"].as_str()?;
        Some(format!("{level}.{}", status["data"][slot]["generation"]))
    }
}

pub(crate) fn answer(line: &str, output: &Output) -> Answer {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Answer { line: line.to_owned(), code: output.status.code(), text }
}

/// Waits until something is so; looks again and again instead of sleeping a fixed time.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    let (_keep, clock) = mpsc::channel::<()>();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "{what} did not happen in time");
        assert!(clock.recv_timeout(Duration::from_millis(20)).is_err(), "nobody sends");
    }
}

/// Splits a line the way a shell does; single quotes keep words together.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, piece) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Copies a directory over another, links as links.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&source, &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source).unwrap(), &target).unwrap();
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}

/// Finds four ports in a row that are free on loopback and that no other test of this process was given.
///
/// Limits: below the ports that the system gives to connections, so that no client takes one in between.
pub(crate) fn free_ports() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 16_000;
    const COUNT: u32 = 16_000;
    for _ in 0..COUNT / 4 {
        // Another process of tests begins elsewhere.
        let offset = std::process::id().wrapping_mul(236) + TAKEN.fetch_add(4, Ordering::Relaxed);
        let first = u16::try_from(FIRST + offset % COUNT / 4 * 4).unwrap();
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if (first..first + 4).all(is_free) {
            return first;
        }
    }
    panic!("no four ports in a row are free on loopback");
}

/// Finds the library of Debian's `faketime`, which is loaded into a program: the wrapper around it fails when a process that was
/// killed had its number before.
pub(crate) fn faketime_library() -> String {
    let output =
        Command::new("sh").args(["-c", "ls /usr/lib/*/faketime/libfaketimeMT.so.1"]).output().unwrap();
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(!path.is_empty(), "Debian's `faketime` is missing: apt-get install faketime");
    path
}
