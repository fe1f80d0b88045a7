//! What a machine shows.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::install::{ACCOUNTS, InstallError};

/// How the server is started here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StartProcedure {
    /// By a template of units: its text, with those of its drop-ins behind it.
    Unit {
        /// Where the template is.
        path: PathBuf,
        /// What it says.
        text: String,
    },
    /// By a script.
    Script {
        /// Where it is.
        path: PathBuf,
        /// What it says.
        text: String,
    },
    /// There is none.
    Missing,
}

/// One process of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessFacts {
    /// Its number.
    pub pid: u32,
    /// What it does, as its command line says: `run`, `@monitor`, `@front` …
    pub role: String,
    /// Its user.
    pub uid: u32,
    /// How unwilling to be killed it is, from −1000 to 1000.
    pub oom_score: i32,
    /// Memory that has been swapped out, in KiB.
    pub swapped_kib: u64,
    /// Whether it and its children can gain privileges.
    pub is_without_new_privileges: bool,
    /// Whether a filter says which system calls it may make.
    pub is_filtered: bool,
    /// Whether others of its user can look into it; unknown of root's processes.
    pub is_dumpable: Option<bool>,
    /// The largest core it may leave, in bytes; `None` for no limit.
    pub core_bytes_max: Option<u64>,
}

/// Everything that is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostFacts {
    /// Users that are not there.
    pub missing_users: Vec<&'static str>,
    /// How the server is started.
    pub procedure: StartProcedure,
    /// Directories that the server must be able to write, of its member.
    pub written: Vec<PathBuf>,
    /// Programs of users are run.
    pub is_running_others: bool,
    /// `fs.suid_dumpable`.
    pub suid_dumpable: Option<u32>,
    /// `vm.memfd_noexec`; `None` on kernels that do not know it.
    pub memfd_noexec: Option<u32>,
    /// Whether cgroups can limit memory here.
    pub has_memory_controller: bool,
    /// The processes of the server that runs, if one does.
    pub processes: Vec<ProcessFacts>,
}

impl HostFacts {
    /// Looks at this machine; `procedure` is where the start procedure is, `pid` the root process of a server that runs.
    pub fn look(procedure: &Path, pid: Option<u32>) -> Result<Self, InstallError> {
        let mut missing_users = Vec::new();
        for account in ACCOUNTS {
            let uid = crate::install::uid_of(account.name)
                .map_err(|source| InstallError::io("look up user", Path::new(account.name), source))?;
            if uid.is_none() {
                missing_users.push(account.name);
            }
        }
        let controllers = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
        Ok(Self {
            missing_users,
            procedure: start_procedure(procedure)
                .map_err(|source| InstallError::io("read", procedure, source))?,
            written: Vec::new(),
            is_running_others: false,
            suid_dumpable: number("/proc/sys/fs/suid_dumpable"),
            memfd_noexec: number("/proc/sys/vm/memfd_noexec"),
            has_memory_controller: controllers.split_whitespace().any(|name| name == "memory"),
            processes: pid.map(processes).unwrap_or_default(),
        })
    }
}

fn number(path: &str) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn start_procedure(path: &Path) -> io::Result<StartProcedure> {
    let text = match std::fs::read_to_string(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(StartProcedure::Missing),
        read => read?,
    };
    let path = path.to_owned();
    if path.extension().is_none_or(|extension| extension != "service") {
        return Ok(StartProcedure::Script { path, text });
    }
    let mut drop_ins: Vec<PathBuf> = match std::fs::read_dir(drop_in_directory(&path)) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Vec::new(),
        entries => entries?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?,
    };
    drop_ins.retain(|drop_in| drop_in.extension().is_some_and(|extension| extension == "conf"));
    drop_ins.sort();
    let mut whole = text;
    for drop_in in drop_ins {
        whole.push('\n');
        whole.push_str(&std::fs::read_to_string(drop_in)?);
    }
    Ok(StartProcedure::Unit { path, text: whole })
}

/// Returns where drop-ins of a unit are.
pub(super) fn drop_in_directory(unit: &Path) -> PathBuf {
    let mut name = unit.file_name().unwrap_or_default().to_owned();
    name.push(".d");
    unit.with_file_name(name)
}

/// Looks at a process and everything below it. One that ends meanwhile is left out.
fn processes(root: u32) -> Vec<ProcessFacts> {
    let mut found = Vec::new();
    let mut todo = vec![root];
    while let Some(pid) = todo.pop() {
        let directory = PathBuf::from(format!("/proc/{pid}"));
        found.extend(process(pid, &directory));
        let children = std::fs::read_to_string(directory.join(format!("task/{pid}/children")));
        todo.extend(
            children.unwrap_or_default().split_whitespace().filter_map(|child| child.parse::<u32>().ok()),
        );
    }
    found.sort_by_key(|process| process.pid);
    found
}

fn process(pid: u32, directory: &Path) -> Option<ProcessFacts> {
    let status = std::fs::read_to_string(directory.join("status")).ok()?;
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    let uid: u32 = field("Uid:")?.parse().ok()?;
    let command = std::fs::read(directory.join("cmdline")).ok()?;
    let role = command.split(|byte| *byte == 0).nth(1).unwrap_or_default();
    let limits = std::fs::read_to_string(directory.join("limits")).unwrap_or_default();
    let core =
        limits.lines().find_map(|line| line.strip_prefix("Max core file size")?.split_whitespace().next());
    Some(ProcessFacts {
        pid,
        role: String::from_utf8_lossy(role).into_owned(),
        uid,
        oom_score: std::fs::read_to_string(directory.join("oom_score_adj")).ok()?.trim().parse().ok()?,
        swapped_kib: field("VmSwap:").and_then(|size| size.parse().ok()).unwrap_or(0),
        is_without_new_privileges: field("NoNewPrivs:") == Some("1"),
        // 2 is a filter; 1 is the strict mode that nothing of a server could run in.
        is_filtered: field("Seccomp:") == Some("2"),
        // Files of a process that cannot be dumped belong to root; the directory itself is its user's in any case.
        is_dumpable: (uid != 0)
            .then(|| std::fs::metadata(directory.join("environ")).is_ok_and(|found| found.uid() == uid)),
        core_bytes_max: core.and_then(|size| size.parse().ok()),
    })
}
