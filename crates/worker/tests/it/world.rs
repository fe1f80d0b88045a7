//! Starting workers and asking them.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use tender_worker::confine::Report;
use tender_worker::order::{Answer, Orders, Outcome, Refusal, Work};
use tender_worker::{Kind, Settings};

/// A worker is waited for so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Users that no file of this host knows.
pub(crate) const WORKER_UID: u32 = 61_001;
pub(crate) const ALICE: u32 = 61_010;
pub(crate) const BOB: u32 = 61_011;

/// Whether tests that take root can run; otherwise says that this one does not.
pub(crate) fn root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("{test}: skipped, it takes root");
    }
    root
}

/// The example `role`, which stands for the role processes of the server. A process is confined while it has one thread, so
/// this program, which runs tests in threads, cannot be it; and `cargo test --test it` builds no examples.
pub(crate) fn role() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().unwrap().parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--quiet",
            "--offline",
            "--package",
            env!("CARGO_PKG_NAME"),
            "--example",
            "role",
        ]);
        cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        if !profile.ends_with("debug") {
            cargo.arg("--profile").arg(profile.file_name().unwrap());
        }
        assert!(cargo.status().unwrap().success(), "the example `role` cannot be built");
        profile.join("examples/role")
    };
    BUILT.get_or_init(build).clone()
}

/// A worker, killed at the end of the test.
pub(crate) struct Worker {
    pub(crate) process: Child,
    pub(crate) report: Report,
    orders: Option<Orders>,
    kind: Kind,
}

impl Worker {
    pub(crate) fn start(kind: Kind, settings: &Settings) -> Self {
        Self::start_by(Command::new(role()), kind, settings)
    }

    /// By a command that ends in running `role` with the arguments that are added.
    pub(crate) fn start_by(command: Command, kind: Kind, settings: &Settings) -> Self {
        let (ours, its) = tender_worker::order::pair().unwrap();
        let mut worker = Self::start_with(command, kind, settings, its);
        worker.orders = Some(Orders::new(kind, ours).unwrap());
        worker
    }

    /// With the other end of the channel for the test itself.
    pub(crate) fn start_raw(kind: Kind, settings: &Settings) -> (Self, OwnedFd) {
        let (ours, its) = tender_worker::order::pair().unwrap();
        (Self::start_with(Command::new(role()), kind, settings, its), ours)
    }

    fn start_with(mut command: Command, kind: Kind, settings: &Settings, channel: OwnedFd) -> Self {
        let uid = if kind.runs_as_root() { 0 } else { WORKER_UID };
        let mut process = command
            .args(["serve", kind.name(), &serde_json::to_string(settings).unwrap(), &uid.to_string()])
            .stdin(Stdio::from(channel))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let report =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("no report but `{line}`: {error}"));
        Self { process, report, orders: None, kind }
    }

    pub(crate) fn orders(&mut self) -> &mut Orders {
        self.orders.as_mut().unwrap()
    }

    pub(crate) fn send(&mut self, work: Work, descriptors: Vec<OwnedFd>) -> u64 {
        self.orders().send(work, descriptors, Duration::ZERO).unwrap()
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> Answer {
        let orders = self.orders.as_mut().unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = orders.receive().unwrap() {
                return answer;
            }
            orders.flush().unwrap();
            wait_readable(orders.as_fd(), end);
        }
    }

    pub(crate) fn ask(&mut self, work: Work, descriptors: Vec<OwnedFd>) -> Outcome {
        self.ask_whole(work, descriptors).outcome
    }

    pub(crate) fn ask_whole(&mut self, work: Work, descriptors: Vec<OwnedFd>) -> Answer {
        let id = self.send(work, descriptors);
        let answer = self.answer();
        assert_eq!(answer.id, id);
        answer
    }

    pub(crate) fn refusal(&mut self, work: Work, descriptors: Vec<OwnedFd>) -> Refusal {
        match self.ask(work, descriptors) {
            Outcome::Refused(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Closes the channel and waits for the end.
    pub(crate) fn finish(mut self) {
        self.orders = None;
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{} worker: {status}", self.kind);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _already_ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

pub(crate) fn wait_readable(descriptor: std::os::fd::BorrowedFd<'_>, end: Instant) {
    let left = end.saturating_duration_since(Instant::now());
    assert!(!left.is_zero(), "no answer in time");
    let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
    rustix::event::poll(&mut [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)], Some(&timeout)).unwrap();
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "not in time: {what}");
        let _pause = rustix::event::poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 5_000_000 }));
    }
}

/// The lines of `/proc/<pid>/status`.
pub(crate) fn status(pid: u32) -> HashMap<String, String> {
    fields(&std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap())
}

pub(crate) fn fields(text: &str) -> HashMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

/// A pipe to catch what a program prints.
pub(crate) fn pipe() -> (std::fs::File, OwnedFd) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (read.into(), write)
}
