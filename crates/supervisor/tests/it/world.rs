//! A supervisor under test: its directory, its process, its console.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tender_supervisor::client::{self, Client};
use tender_supervisor::console::{ComponentStatus, InstanceStatus, Reply, Request, State};
use tender_supervisor::plan::{
    Component, Environment, Instance, Limits, LogSettings, Plan, Probe, Readiness, Restart, Stop,
};

/// No state takes longer to come, on however busy a machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How trees are held in a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holding {
    SubReaper,
    Cgroups,
}

/// A supervisor and its instance.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) plan: Plan,
    holding: Holding,
    cgroups: Option<CgroupMount>,
    child: Option<Child>,
}

/// A cgroup file system of version 2, mounted for one test.
struct CgroupMount {
    base: PathBuf,
}

impl CgroupMount {
    fn new(dir: &Path) -> Self {
        let mount = dir.join("cgroup");
        fs::create_dir(&mount).unwrap();
        let done = Command::new("mount").args(["-t", "cgroup2", "none"]).arg(&mount).status().unwrap();
        assert!(done.success(), "mounting cgroup2 takes root");
        let name =
            format!("tender-test-{}-{}", std::process::id(), dir.file_name().unwrap().to_str().unwrap());
        let base = mount.join(name);
        fs::create_dir(&base).unwrap();
        Self { base }
    }
}

impl Drop for CgroupMount {
    fn drop(&mut self) {
        fs::write(self.base.join("cgroup.kill"), "1").ok();
        wait_until("the cgroup is empty", || remove_groups(&self.base));
        Command::new("umount").arg("-l").arg(self.base.parent().unwrap()).status().ok();
    }
}

fn remove_groups(dir: &Path) -> bool {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_groups(&entry.path());
        }
    }
    fs::remove_dir(dir).is_ok() || !dir.exists()
}

/// A small file system in memory, until this is dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: &Path) -> Self {
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(at).status();
        assert!(done.unwrap().success(), "mounting takes root");
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

impl World {
    pub(crate) fn new(holding: Holding) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["instance", "logs", "private"] {
            fs::create_dir(at(name)).unwrap();
        }
        let instance = Instance {
            id: "ha1".to_owned(),
            job_name: "ZWE1SV".to_owned(),
            directory: at("instance"),
            runtime_directory: dir.path().to_owned(),
            log_directory: at("logs"),
            private_directory: at("private"),
            version: Some("1.2.3".to_owned()),
        };
        let plan = Plan {
            instance,
            components: Vec::new(),
            left_out: Vec::new(),
            log: LogSettings::default(),
            notable: Vec::new(),
        };
        let cgroups = (holding == Holding::Cgroups).then(|| CgroupMount::new(dir.path()));
        Self { dir, plan, holding, cgroups, child: None }
    }

    /// Adds a component that runs a text of the shell; its variables and limits may be changed.
    pub(crate) fn component(&mut self, name: &str, text: &str) -> &mut Component {
        let component = component(name, text, self.dir.path());
        self.plan.components.push(component);
        self.plan.components.last_mut().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns a command that runs the supervisor; its plan comes on standard input.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(program());
        match (&self.cgroups, self.holding) {
            (Some(mount), _) => command.env("TENDER_CGROUPS", &mount.base),
            (None, _) => command.env("TENDER_CGROUPS", "none"),
        };
        command.env("TENDER_PLANNER", self.path("next-plan"));
        command
    }

    pub(crate) fn start(&mut self) {
        self.start_with(self.command());
    }

    pub(crate) fn start_with(&mut self, mut command: Command) {
        let said = fs::OpenOptions::new().append(true).create(true).open(self.path("said")).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(said);
        let mut child = command.spawn().unwrap();
        let plan = serde_json::to_vec(&self.plan).unwrap();
        child.stdin.take().unwrap().write_all(&plan).unwrap();
        self.child = Some(child);
        wait_until("the console answers", || self.has_ended() || client::connect(&self.console()).is_ok());
        assert!(!self.has_ended(), "the supervisor ended: {}", self.said());
    }

    /// Starts a supervisor that is expected to refuse, and returns what it says.
    pub(crate) fn start_refused(&self) -> String {
        let mut command = self.command();
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let plan = serde_json::to_vec(&self.plan).unwrap();
        child.stdin.take().unwrap().write_all(&plan).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(16));
        String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn console(&self) -> PathBuf {
        client::socket_path(&self.plan.instance.directory, &self.plan.instance.id)
    }

    pub(crate) fn connect(&self) -> Client {
        client::connect(&self.console()).unwrap()
    }

    pub(crate) fn ask(&self, request: &Request) -> Vec<Reply> {
        self.connect().ask(request).unwrap()
    }

    /// Asks for something that is expected to go well.
    pub(crate) fn ask_well(&self, request: &Request) -> Vec<Reply> {
        let replies = self.ask(request);
        assert_eq!(replies.last(), Some(&Reply::Done { ok: true }), "{replies:?}\n{}", self.said());
        replies
    }

    pub(crate) fn operator(&self, line: &str) -> Vec<Reply> {
        self.ask(&Request::Operator { line: line.to_owned() })
    }

    pub(crate) fn status(&self) -> InstanceStatus {
        for reply in self.ask(&Request::Status) {
            if let Reply::Status(status) = reply {
                return status;
            }
        }
        panic!("no status");
    }

    pub(crate) fn component_status(&self, name: &str) -> ComponentStatus {
        let status = self.status();
        status.components.into_iter().find(|component| component.name == name).unwrap()
    }

    pub(crate) fn state(&self, name: &str) -> State {
        self.component_status(name).state
    }

    pub(crate) fn pid(&self, name: &str) -> i32 {
        i32::try_from(self.component_status(name).pid.unwrap()).unwrap()
    }

    pub(crate) fn wait_state(&self, name: &str, state: State) {
        let mut last = None;
        wait_until_or(
            || {
                let now = self.component_status(name);
                let is_it = now.state == state;
                last = Some(now);
                is_it
            },
            || format!("{name} is {state:?}\n{}", self.said()),
        );
    }

    pub(crate) fn wait_ready(&self) {
        self.ask_well(&Request::AwaitReady { timeout_ms: 60_000 });
    }

    /// Returns what the supervisor has said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap_or_default()
    }

    pub(crate) fn wait_said(&self, text: &str) {
        wait_until_or(|| self.said().contains(text), || format!("`{text}` is said\n{}", self.said()));
    }

    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path("logs/ha1").join(format!("{name}.log"))).unwrap_or_default()
    }

    /// Returns the lines of a log without what stands before them.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let log = self.log(name);
        log.lines().filter_map(|line| Some(line.split_once("> ")?.1.to_owned())).collect()
    }

    pub(crate) fn supervisor_pid(&self) -> i32 {
        i32::try_from(self.child.as_ref().unwrap().id()).unwrap()
    }

    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    /// Waits for the supervisor and returns its exit code.
    pub(crate) fn wait_end(&mut self) -> i32 {
        wait_until("the supervisor ends", || self.has_ended());
        let status = self.child.take().unwrap().wait().unwrap();
        status.code().unwrap_or(-1)
    }

    pub(crate) fn shut_down(&mut self) -> i32 {
        self.ask(&Request::Shutdown);
        self.wait_end()
    }

    /// Kills the supervisor alone, as a careless operator would.
    pub(crate) fn kill_supervisor(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = format!("the supervisor said:\n{}", self.said());
            std::io::stderr().write_all(text.as_bytes()).unwrap();
        }
        let Some(mut child) = self.child.take() else { return };
        signal(i32::try_from(child.id()).unwrap(), "TERM");
        signal(i32::try_from(child.id()).unwrap(), "INT");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        child.kill().ok();
        child.wait().unwrap();
    }
}

/// Makes a component that runs a text of the shell.
pub(crate) fn component(name: &str, text: &str, directory: &Path) -> Component {
    let variables =
        [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("NAME", name)];
    Component {
        name: name.to_owned(),
        job_name: name.to_uppercase(),
        command: ["/bin/sh", "-c", text].map(str::to_owned).to_vec(),
        working_directory: directory.to_owned(),
        environment: Environment(BTreeMap::from(variables.map(|(n, v)| (n.to_owned(), v.to_owned())))),
        restart: Restart { intervals_ms: vec![0], slow_retry_ms: None, settle_ms: 50, ..Restart::default() },
        readiness: None,
        health: None,
        requires: Vec::new(),
        after: Vec::new(),
        stop: Stop { grace_ms: 20_000, ..Stop::default() },
        limits: Limits::default(),
        fingerprint: text.to_owned(),
    }
}

/// A readiness probe that asks often.
pub(crate) fn readiness(probe: Probe) -> Option<Readiness> {
    Some(Readiness { probe, initial_delay_ms: 0, period_ms: 20, timeout_ms: 5000, deadline_ms: 60_000 })
}

fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own.parent().unwrap().parent().unwrap().join("examples/supervise");
    assert!(program.exists(), "{} is built by `cargo test -p tender-supervisor`", program.display());
    program
}

pub(crate) fn signal(pid: i32, name: &str) {
    Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status().unwrap();
}

pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub(crate) fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    wait_until_or(is_so, || what.to_owned());
}

fn wait_until_or(mut is_so: impl FnMut() -> bool, what: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "after a long time it is not so that {}", what());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
