//! A server of its own for a test, below a temporary directory.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tender_saf::{Command as SafCommand, Context, SqliteStore, Store as _, Transaction};
use tender_xmem::client::{Client, Options};
use tender_xmem::control::Control;

/// A user of the database with a uid that no Linux user has.
pub(crate) const ANN: u32 = 60_001;
/// Another one.
pub(crate) const BOB: u32 = 60_002;
/// Somebody whom the database does not know.
pub(crate) const EVE: u32 = 60_003;

/// What nearly every test wants: ANN may call everything, and know why she may not; BOB may only pass the gate.
pub(crate) const USUAL: &[&str] = &[
    "ADDUSER ANN OMVS(UID(60001))",
    "ADDUSER BOB OMVS(UID(60002))",
    "RDEFINE FACILITY ZWES.IS UACC(NONE) AUDIT(ALL(READ))",
    "PERMIT ZWES.IS CLASS(FACILITY) ID(ANN) ACCESS(READ)",
    "PERMIT ZWES.IS CLASS(FACILITY) ID(BOB) ACCESS(READ)",
    "RDEFINE FACILITY ZWES.IS.SRV.* UACC(NONE) AUDIT(ALL(READ))",
    "PERMIT ZWES.IS.SRV.* CLASS(FACILITY) ID(ANN) ACCESS(UPDATE)",
    "RDEFINE FACILITY ZWES.IS.EXPLAIN UACC(NONE)",
    "PERMIT ZWES.IS.EXPLAIN CLASS(FACILITY) ID(ANN) ACCESS(READ)",
];

/// Lets ANN run programs as NOBODY.
pub(crate) const RUNAS_NOBODY: &[&str] = &[
    "ADDUSER NOBODY",
    "RDEFINE FACILITY ZWES.IS.RUNAS UACC(READ)",
    "SETROPTS CLASSACT(SURROGAT)",
    "RDEFINE SURROGAT NOBODY.ZWES UACC(NONE)",
    "PERMIT NOBODY.ZWES CLASS(SURROGAT) ID(ANN) ACCESS(READ)",
];

/// How long things may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Says that a test needs root; the test then ends.
pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: it needs root and several users");
    }
    is_root
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        pause(5);
    }
}

/// Lets others work for a moment.
pub(crate) fn pause(ms: i64) {
    let time = rustix::time::Timespec { tv_sec: ms / 1000, tv_nsec: (ms % 1000) * 1_000_000 };
    rustix::event::poll(&mut [], Some(&time)).unwrap();
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    server: Option<Child>,
    /// What the server is started by, as the words of `env`; empty for nothing.
    pub(crate) started_by: Vec<String>,
    /// Whether the member says where the profiles are, and not the command.
    pub(crate) is_database_in_member: bool,
}

impl World {
    /// Makes everything that a server needs, and starts none.
    pub(crate) fn prepare(commands: &[&str], member: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("tender-xmemd-").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let world = Self { dir, server: None, started_by: Vec::new(), is_database_in_member: false };
        std::fs::create_dir(world.path("parmlib")).unwrap();
        world.write_member(member);
        SqliteStore::create(&world.path("saf.db")).unwrap();
        world.saf(commands);
        world
    }

    /// Starts a server and waits until it is ready.
    pub(crate) fn start(commands: &[&str], member: &str) -> Self {
        let mut world = Self::prepare(commands, member);
        world.run(&[]);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.path("state/ZWESIS_STD").join(name)
    }

    pub(crate) fn write_member(&self, member: &str) {
        // Users that every machine has and that are not those of the tests.
        let users = "ZWES.USER.MONITOR=daemon\nZWES.USER.FRONT=bin\nZWES.USER.AUXILIARY=games\n";
        std::fs::write(self.path("parmlib/ZWESIP00"), format!("{users}{member}")).unwrap();
    }

    /// Changes the profiles.
    pub(crate) fn saf(&self, commands: &[&str]) {
        self.saf_of("saf.db", commands);
    }

    /// Changes the profiles of a database.
    pub(crate) fn saf_of(&self, name: &str, commands: &[&str]) {
        let store = SqliteStore::open(&self.path(name)).unwrap();
        let context = Context { who: "ROOT".parse().unwrap() };
        for text in commands {
            let (database, _) = store.load().unwrap();
            let plan = SafCommand::parse(text).unwrap().plan(&database, &context).unwrap();
            let at = jiff::Timestamp::now();
            let what = (*text).to_owned();
            let transaction = Transaction { who: "ROOT".to_owned(), at, what, changes: plan.changes };
            store.commit(&transaction).unwrap();
        }
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_tender-xmemd");
        let mut command = Command::new(self.started_by.first().map_or(program, |first| first));
        if let Some((_, words)) = self.started_by.split_first() {
            command.args(words).arg(program);
        }
        command.arg("run").args(words);
        if !self.is_database_in_member {
            command.arg("--database").arg(self.path("saf.db"));
        }
        command
            .current_dir(&self.dir)
            .env_clear()
            .env("TENDER_XMEM_RUN", self.path("run"))
            .env("TENDER_XMEM_STATE", self.path("state"))
            .env("TENDER_XMEM_PARMLIB", self.path("parmlib"))
            .env("TENDER_HOME", self.path("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        command
    }

    /// Starts the server again, with these words, and waits until it is ready.
    pub(crate) fn run(&mut self, words: &[&str]) {
        let before = self.log().matches("ZWES0109I").count();
        let log = self.path("log");
        let child = self.command(words).arg("--log").arg(&log).spawn().unwrap();
        self.server = Some(child);
        let deadline = Instant::now() + PATIENCE;
        while self.log().matches("ZWES0109I").count() == before {
            let ended = self.server.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}\n{}", self.log());
            pause(5);
        }
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    pub(crate) fn wait_for_log(&self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(what) {
            assert!(Instant::now() < deadline, "no `{what}` in\n{}", self.log());
            pause(5);
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().id()
    }

    /// Returns the processes of the server that have this role.
    pub(crate) fn boxes(&self, role: &str) -> Vec<u32> {
        let pid = self.pid();
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let is_role = |child: &u32| {
            let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(format!("@{role}").as_bytes())
        };
        text.split_ascii_whitespace().filter_map(|child| child.parse().ok()).filter(is_role).collect()
    }

    /// Returns every process of the server: the root process and all below it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut found = vec![self.pid()];
        let mut next = 0;
        while let Some(pid) = found.get(next).copied() {
            let text =
                std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            found.extend(text.split_ascii_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            next += 1;
        }
        found
    }

    /// Kills the process of a role, which is one of the server's own children.
    pub(crate) fn kill_box(&self, role: &str) -> u32 {
        let pid = self.boxes(role).pop().unwrap_or_else(|| panic!("no {role}\n{}", self.log()));
        signal(pid, rustix::process::Signal::KILL);
        pid
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        self::signal(self.pid(), signal);
    }

    /// Waits until the server has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut server = self.server.take().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = server.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end\n{}", self.log());
            pause(5);
        }
    }

    /// Stops the server in good order.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.ended()
    }

    pub(crate) fn options(&self) -> Options {
        Options { client: "test".to_owned(), run_directory: self.path("run"), ..Options::default() }
    }

    /// Connects as somebody; the client connects anew as whoever calls then.
    pub(crate) fn client(&self, uid: u32, options: Options) -> Client {
        as_user(uid, move || Client::connect("ZWESIS_STD".parse().unwrap(), options)).unwrap()
    }

    /// Says something as an operator; returns the lines and the code.
    pub(crate) fn modify(&self, text: &str) -> (Vec<String>, u32) {
        let mut control = Control::connect(&"ZWESIS_STD".parse().unwrap(), &self.options()).unwrap();
        let mut output = control.modify(text).unwrap();
        let lines = output.by_ref().map(|line| line.unwrap()).collect();
        (lines, output.outcome().unwrap())
    }

    pub(crate) fn audit(&self) -> Vec<tender_saf::AuditEntry> {
        tender_saf::AuditLog::read(&self.state("audit.log")).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            signal(server.id(), rustix::process::Signal::TERM);
            let deadline = Instant::now() + Duration::from_secs(10);
            while server.try_wait().unwrap().is_none() {
                if Instant::now() > deadline {
                    server.kill().ok();
                }
                pause(5);
            }
        }
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}

pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Does something as another user: in a thread, which becomes that user and ends afterwards.
pub(crate) fn as_user<T: Send>(uid: u32, what: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let done = scope.spawn(move || {
            become_user(uid);
            what()
        });
        done.join().unwrap()
    })
}

/// Becomes another user for the rest of this thread.
pub(crate) fn become_user(uid: u32) {
    let gid = rustix::thread::Gid::from_raw(uid);
    rustix::thread::set_thread_groups(&[gid]).unwrap();
    rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
    let user = rustix::thread::Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(user, user, user).unwrap();
}

/// Says whether a program that a test needs is here; the test then ends.
pub(crate) fn has_program(path: &str) -> bool {
    let is_there = Path::new(path).exists();
    if !is_there {
        println!("skipped: there is no {path}");
    }
    is_there
}

/// Lets a process have only so many descriptors more than it has; returns the limit that it had.
pub(crate) fn leave_descriptors(pid: u32, more: usize) -> rustix::process::Rlimit {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let open: std::collections::BTreeSet<u64> =
        entries.map(|entry| entry.file_name().to_str().unwrap().parse().unwrap()).collect();
    let limit = (0..).filter(|number| !open.contains(number)).nth(more).unwrap();
    let process = rustix::process::Pid::from_raw(pid.cast_signed());
    let old = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = rustix::process::Rlimit { current: Some(limit), ..old };
    rustix::process::prlimit(process, rustix::process::Resource::Nofile, limit).unwrap()
}

/// Gives a process back the limit that it had.
pub(crate) fn give_descriptors(pid: u32, limit: rustix::process::Rlimit) {
    let process = rustix::process::Pid::from_raw(pid.cast_signed());
    rustix::process::prlimit(process, rustix::process::Resource::Nofile, limit).unwrap();
}

/// Returns how many descriptors a process has, and how many kilobytes of memory.
pub(crate) fn size_of(pid: u32) -> (usize, u64) {
    let descriptors = std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")).unwrap().count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    (descriptors, line.split_ascii_whitespace().next().unwrap().parse().unwrap())
}
