//! A server to be called, whichever transport it has.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::processes::{self, Process};
use crate::program;
use crate::workspace::Workspace;

/// No server takes longer to come up.
const LIMIT: Duration = Duration::from_secs(20);
/// How long a server may take to stop.
const STOP: Duration = Duration::from_secs(8);
/// Where the broker's launcher insists on writing its log.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Profiles of a server that everybody may call and that writes down every call.
const PROFILES: &[&[&str]] = &[
    &["create"],
    &["rdefine", "facility", "zwes.is", "uacc(read) audit(all(read))"],
    &["rdefine", "facility", "zwes.is.srv.status", "uacc(read) audit(all(read))"],
];

/// The bus's policy: everybody may talk to everybody.
const BUS: &str = "<busconfig><type>session</type><policy context=\"default\"><allow send_destination=\"*\"/>\
                   <allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>\n";

/// On which processors caller and server run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pinned {
    /// Both on the first.
    Together,
    /// The server on the first, the caller on the second.
    Apart,
    /// Wherever the kernel puts them.
    No,
}

impl Pinned {
    fn server(self, program: &Path) -> Command {
        self.on(0, program)
    }

    /// Returns the beginning of a command that runs the caller.
    pub(super) fn caller(self, program: &Path) -> Command {
        self.on(u8::from(self == Self::Apart), program)
    }

    fn on(self, processor: u8, program: &Path) -> Command {
        if self == Self::No {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args(["-c", &processor.to_string()]).arg(program);
        command
    }
}

/// A server; dropped, it is stopped.
#[derive(Debug)]
pub(super) struct Served {
    children: Vec<Child>,
    place: PathBuf,
    environment: Vec<(&'static str, PathBuf)>,
    /// Kept open for the broker's launcher, if it was not there.
    _journal: Option<Journal>,
}

/// Somebody who takes the broker's log.
#[derive(Debug)]
struct Journal(#[expect(dead_code, reason = "it only has to be open")] UnixDatagram);

impl Served {
    /// Starts the server of a transport and waits until it answers.
    pub(super) fn start(
        workspace: &Workspace,
        bench: &Path,
        work: &Path,
        transport: &str,
        pinned: Pinned,
    ) -> Result<Self, Failure> {
        let mut served = match transport {
            "tender-ring" | "tender-socket" => Self::tender(workspace, work, pinned)?,
            "zbus" => Self::bus(bench, work, pinned)?,
            _ => {
                let place = work.join("socket");
                let mut server = pinned.server(bench);
                server.args(["serve", transport]).arg(&place);
                Self { children: vec![spawn(&mut server)?], place, environment: Vec::new(), _journal: None }
            }
        };
        served.wait(bench, transport)?;
        Ok(served)
    }

    /// Where it is.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// What a caller's environment has to say.
    pub(super) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        self.environment.clone()
    }

    /// All its processes.
    pub(super) fn processes(&self) -> Vec<i32> {
        let trees = self.children.iter().flat_map(|child| processes::tree(child.id()));
        trees.map(|process| process.pid).collect()
    }

    fn tender(workspace: &Workspace, work: &Path, pinned: Pinned) -> Result<Self, Failure> {
        let release = workspace.target_dir().join("release");
        let database = work.join("saf.db");
        for words in PROFILES {
            let mut tender = Command::new(release.join("tender"));
            tender.args(["saf", "--database"]).arg(&database).args(*words).stdout(Stdio::null());
            program::run(&mut tender)?;
        }
        let environment: Vec<_> =
            [("TENDER_XMEM_RUN", "run"), ("TENDER_XMEM_STATE", "state"), ("TENDER_XMEM_PARMLIB", "parmlib")]
                .map(|(name, directory)| (name, work.join(directory)))
                .into();
        for (_, directory) in &environment {
            fs::create_dir_all(directory).map_err(Failure::file("make", directory))?;
        }
        let member = work.join("parmlib/ZWESIP00");
        let users = "ZWES.USER.MONITOR=daemon\nZWES.USER.FRONT=nobody\nZWES.USER.AUXILIARY=bin\n";
        let text = format!("{users}ZWES.SAF.DATABASE={}\n", database.display());
        fs::write(&member, text).map_err(Failure::file("write", &member))?;
        let mut server = pinned.server(&release.join("tender-xmemd"));
        server.arg("run").arg("--log").arg(work.join("log")).envs(environment.clone());
        let place = PathBuf::from("ZWESIS_STD");
        Ok(Self { children: vec![spawn(&mut server)?], place, environment, _journal: None })
    }

    fn bus(bench: &Path, work: &Path, pinned: Pinned) -> Result<Self, Failure> {
        let journal = match Path::new(JOURNAL).exists() {
            true => None,
            false => Some(Journal::open()?),
        };
        let address = |name: &str| format!("unix:path={}", work.join(name).display());
        let config = work.join("bus.conf");
        fs::write(&config, BUS).map_err(Failure::file("write", &config))?;
        let mut helper = Command::new("dbus-daemon");
        helper.args(["--session", "--nofork", "--address", &address("helper")]);
        let helper = spawn(&mut helper)?;
        let mut broker = pinned.server(Path::new("systemd-socket-activate"));
        broker.env("DBUS_SESSION_BUS_ADDRESS", address("helper"));
        broker.args(["-E", "DBUS_SESSION_BUS_ADDRESS", "-l"]).arg(work.join("bus"));
        broker.args(["dbus-broker-launch", "--scope", "user", "--config-file"]).arg(&config);
        wait("the helper of the bus listens", || work.join("helper").exists())?;
        let broker = spawn(&mut broker)?;
        wait("the bus listens", || work.join("bus").exists())?;
        let place = PathBuf::from(address("bus"));
        let mut server = pinned.server(bench);
        server.args(["serve", "zbus"]).arg(&place);
        let children = vec![spawn(&mut server)?, broker, helper];
        Ok(Self { children, place, environment: Vec::new(), _journal: journal })
    }

    /// Waits until one short load goes through.
    fn wait(&mut self, bench: &Path, transport: &str) -> Result<(), Failure> {
        wait(&format!("the server of `{transport}` answers"), || {
            let mut call = Command::new(bench);
            call.args(["call", transport]).arg(&self.place).args(["--seconds", "0.01"]);
            call.envs(self.environment.clone()).stdout(Stdio::null()).stderr(Stdio::null());
            call.status().is_ok_and(|status| status.success())
        })
    }
}

impl Journal {
    fn open() -> Result<Self, Failure> {
        let path = Path::new(JOURNAL);
        let directory = path.parent().unwrap_or(path);
        fs::create_dir_all(directory).map_err(Failure::file("make", directory))?;
        Ok(Self(UnixDatagram::bind(path).map_err(Failure::file("make", path))?))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Only a socket of ours is removed, and if somebody else did that it is as well.
        let _gone = fs::remove_file(JOURNAL);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        for child in &mut self.children {
            let tree = processes::tree(child.id());
            signal("-TERM", [child.id().to_string()]);
            let deadline = Instant::now() + STOP;
            while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            let left = tree.into_iter().filter(Process::is_there);
            signal("-KILL", left.map(|process| process.pid.to_string()));
            let _reaped = child.wait();
        }
    }
}

fn signal(signal: &str, processes: impl IntoIterator<Item = String>) {
    let mut kill = Command::new("kill");
    kill.arg(signal).args(processes).stderr(Stdio::null());
    // Who has ended already cannot be signalled.
    let _ended = kill.status();
}

fn spawn(command: &mut Command) -> Result<Child, Failure> {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().map_err(|source| Failure::Start { program: program::line(command), source })
}

fn wait(what: &str, is_so: impl Fn() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        if Instant::now() > deadline {
            return Err(Failure::Unexpected {
                what: what.to_owned(),
                found: format!("not within {} s", LIMIT.as_secs()),
            });
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    Ok(())
}
