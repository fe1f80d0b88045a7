//! The supervisors that are compared, and how each is told what to run.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::started_dir;
use crate::debian::Needed;
use crate::failure::Failure;

/// A log is rotated at this size, in bytes, and so many are kept: enough for all that a flood writes while it is
/// measured. What is rotated away could not be counted.
const LOG_BYTES: u64 = 50_000_000;
const LOGS_KEPT: u32 = 20;

/// A supervisor.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) note: &'static str,
    pub(super) is_ours: bool,
    pub(super) needed: Option<Needed>,
    /// Short names of the processes that count as its own.
    pub(super) processes: &'static [&'static str],
    /// Writes what it needs into a directory, and returns how it is started.
    pub(super) prepare: fn(&Path, &Ours, &[Service]) -> Result<Command, Failure>,
}

/// Our programs.
#[derive(Debug)]
pub(super) struct Ours {
    /// Runs a plan that is ready.
    pub(super) supervise: PathBuf,
    /// The product.
    pub(super) tender: PathBuf,
}

/// A child to be run.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) name: String,
    /// A text of the shell.
    text: String,
    /// Its output is kept, with time stamps.
    is_logged: bool,
}

impl Service {
    /// One that writes down its number and sleeps.
    pub(super) fn sleeping(number: usize, work: &Path) -> Self {
        let name = format!("s{number:03}");
        let text = format!("echo $$ >> {}/{name}; exec sleep 100000", started_dir(work).display());
        Self { name, text, is_logged: false }
    }

    /// One that writes lines of 100 bytes, 50 MB a second.
    pub(super) fn flooding(work: &Path) -> Self {
        let program = "\
import os, time
block = b''.join(b'%099d\\n' % i for i in range(500))
due = time.monotonic()
while True:
    os.write(1, block)
    due += 0.001
    left = due - time.monotonic()
    if left > 0: time.sleep(left)
";
        let file = work.join("flood.py");
        let text =
            format!("echo $$ >> {}/s000; exec python3 {}", started_dir(work).display(), file.display());
        // A file that cannot be written shows when nothing floods.
        fs::write(&file, program).unwrap_or_default();
        Self { name: "s000".to_owned(), text, is_logged: true }
    }
}

/// Ours first.
pub(super) const CONTENDERS: &[Contender] = &[
    Contender {
        name: "tender supervisor",
        note: "its engine with a plan that is ready: restart interval 0, one log file a child with time stamps, status and console included",
        is_ours: true,
        needed: None,
        processes: &["supervise"],
        prepare: tender,
    },
    Contender {
        name: "tender launcher run",
        note: "the product as a whole: its times are those until configuration, manifests and scripts are checked, a plan \
               is made of them and everything has started; memory is that of the launcher which then stays",
        is_ours: true,
        needed: None,
        processes: &["tender"],
        prepare: launcher_run,
    },
    Contender {
        name: "supervisord",
        note: "defaults: looks once a second, startsecs 1; output to files, as it comes and without time stamps",
        is_ours: false,
        needed: Some(Needed {
            package: "supervisor",
            probe: &["supervisord", "--version"],
            purpose: "a peer of the launcher",
        }),
        processes: &["supervisord"],
        prepare: supervisord,
    },
    Contender {
        name: "s6",
        note: "defaults: at most one start a second; no logs but where one child floods, there s6-log with time stamps",
        is_ours: false,
        needed: Some(Needed {
            package: "s6",
            probe: &["sh", "-c", "command -v s6-svscan"],
            purpose: "a peer of the launcher",
        }),
        processes: &["s6-svscan", "s6-supervise", "s6-log"],
        prepare: s6,
    },
    Contender {
        name: "runit",
        note: "defaults: a second's pause after a run shorter than that; no logs but where one child floods, there svlogd with time stamps",
        is_ours: false,
        needed: Some(Needed {
            package: "runit",
            probe: &["sh", "-c", "command -v runsvdir"],
            purpose: "a peer of the launcher",
        }),
        processes: &["runsvdir", "runsv", "svlogd"],
        prepare: runit,
    },
];

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(Failure::file("write", path))
}

fn make(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(Failure::file("make", path))
}

fn write_script(path: &Path, text: &str) -> Result<(), Failure> {
    write(path, &format!("#!/bin/sh\n{text}\n"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(Failure::file("write", path))
}

fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn tender(work: &Path, ours: &Ours, services: &[Service]) -> Result<Command, Failure> {
    for name in ["instance", "private", "log"] {
        make(&work.join(name))?;
    }
    let components: Vec<_> = services
        .iter()
        .map(|service| {
            json!({
                "name": service.name, "job_name": service.name, "working_directory": work, "fingerprint": "1",
                "command": ["/bin/sh", "-c", service.text],
                "environment": { "PATH": "/usr/local/bin:/usr/bin:/bin" },
                "restart": { "mode": "always", "intervals_ms": [0, 0, 0], "min_uptime_ms": 90_000 },
            })
        })
        .collect();
    let plan = json!({
        "instance": {
            "id": "bench", "job_name": "BENCH", "directory": work.join("instance"), "runtime_directory": work,
            "log_directory": work.join("log"), "private_directory": work.join("private"),
        },
        "components": components,
        "log": { "rotate_bytes": LOG_BYTES, "keep": LOGS_KEPT, "line_bytes": 16_384, "is_json": false },
    });
    let file = work.join("plan.json");
    write(&file, &plan.to_string())?;
    let input = fs::File::open(&file).map_err(Failure::file("read", &file))?;
    let mut command = quiet(Command::new(&ours.supervise));
    command.stdin(input);
    Ok(command)
}

fn launcher_run(work: &Path, ours: &Ours, services: &[Service]) -> Result<Command, Failure> {
    for name in ["instance", "log", "runtime"] {
        make(&work.join(name))?;
    }
    write(&work.join("runtime/manifest.json"), "{\"name\":\"bench\",\"version\":\"1.0.0\"}")?;
    let dir = work.display();
    let mut text = format!(
        "zowe:\n  runtimeDirectory: {dir}/runtime\n  logDirectory: {dir}/log\n  workspaceDirectory: {dir}/workspace\n  \
         extensionDirectory: {dir}/extensions\n  launcher:\n    restartIntervals: [0, 0, 0]\n  logging:\n    rotate: {LOG_BYTES}\n    \
         keep: {LOGS_KEPT}\ncomponents:\n"
    );
    for Service { name, text: script, .. } in services {
        writeln!(text, "  {name}: {{ enabled: true }}").expect("writing to a string cannot fail");
        let component = work.join("runtime/components").join(name);
        make(&component.join("bin"))?;
        write_script(&component.join("bin/start.sh"), script)?;
        let manifest =
            format!("name: {name}\nid: {name}\nversion: 1.0.0\ncommands:\n  start: bin/start.sh\n");
        write(&component.join("manifest.yaml"), &manifest)?;
    }
    write(&work.join("instance/zowe.yaml"), &text)?;
    let mut command = Command::new(&ours.tender);
    command.args(["launcher", "run", "--instance"]).arg(work.join("instance"));
    Ok(quiet(command))
}

fn supervisord(work: &Path, _ours: &Ours, services: &[Service]) -> Result<Command, Failure> {
    make(&work.join("log"))?;
    let dir = work.display();
    let mut text = format!(
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={dir}/pid\nminfds=8192\n\
         childlogdir={dir}/log\n"
    );
    for service in services {
        let script = work.join(&service.name);
        write_script(&script, &service.text)?;
        let (name, script) = (&service.name, script.display());
        write!(
            text,
            "[program:{name}]\ncommand={script}\nredirect_stderr=true\nstdout_logfile={dir}/log/{name}.log\n\
             stdout_logfile_maxbytes={LOG_BYTES}\nstdout_logfile_backups={LOGS_KEPT}\n"
        )
        .expect("writing to a string cannot fail");
    }
    let file = work.join("supervisord.conf");
    write(&file, &text)?;
    let mut command = Command::new("supervisord");
    command.arg("-c").arg(file);
    Ok(quiet(command))
}

/// Writes a directory of service directories, with a log service where output is kept.
fn service_dirs(work: &Path, services: &[Service], logger: &str) -> Result<PathBuf, Failure> {
    let all = work.join("services");
    for service in services {
        let dir = all.join(&service.name);
        make(&dir)?;
        write_script(&dir.join("run"), &service.text)?;
        if service.is_logged {
            make(&dir.join("log"))?;
            write_script(&dir.join("log/run"), logger)?;
        }
    }
    make(&work.join("log"))?;
    Ok(all)
}

fn s6(work: &Path, _ours: &Ours, services: &[Service]) -> Result<Command, Failure> {
    let logger = format!("exec s6-log t n{LOGS_KEPT} s{LOG_BYTES} {}/log", work.display());
    let all = service_dirs(work, services, &logger)?;
    let mut command = Command::new("s6-svscan");
    command.args(["-c", "2000"]).arg(all);
    Ok(quiet(command))
}

fn runit(work: &Path, _ours: &Ours, services: &[Service]) -> Result<Command, Failure> {
    let logger = format!("exec svlogd -tt {}/log", work.display());
    let all = service_dirs(work, services, &logger)?;
    write(&work.join("log/config"), &format!("s{LOG_BYTES}\nn{LOGS_KEPT}\n"))?;
    let mut command = Command::new("runsvdir");
    command.arg(all);
    Ok(quiet(command))
}
