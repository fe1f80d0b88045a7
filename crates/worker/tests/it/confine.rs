//! Sandboxes, from outside: what a process has become, and what it cannot do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};

use tender_worker::confine::{Level, Mechanism, Report};
use tender_worker::{Kind, Range, Settings};

use crate::world::{self, WORKER_UID, Worker};

const SIGSYS: i32 = 31;
const SIGABRT: i32 = 6;

/// Enters a sandbox, tries something, and tells the report, what it said and how it ended.
fn probe(role: &str, action: &str, options: &[&str]) -> (Option<Report>, String, ExitStatus) {
    let mut process = Command::new(world::role())
        .args(["probe", role, &WORKER_UID.to_string(), action])
        .args(options)
        .env("SECRET", "in the environment")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = String::new();
    process.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    let status = process.wait().unwrap();
    let (report, said) = out.split_once('\n').unwrap_or((&out, ""));
    (serde_json::from_str(report).ok(), said.trim().to_owned(), status)
}

#[test]
fn confined_process_has_given_up_everything() {
    if !world::root("confined_process_has_given_up_everything") {
        return;
    }
    let mut process = Command::new(world::role())
        .args(["probe", "front", &WORKER_UID.to_string(), "wait", "descriptors=64"])
        .env("SECRET", "in the environment")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let report: Report = serde_json::from_str(&line).unwrap();
    println!("{report}");
    let status = world::status(process.id());
    let zero = "0000000000000000";
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status[set], zero, "{set}");
    }
    let uid = WORKER_UID;
    assert_eq!(status["Uid"], format!("{uid} {uid} {uid} {uid}"));
    assert_eq!(status["Gid"], format!("{uid} {uid} {uid} {uid}"));
    assert_eq!(status["Groups"], "");
    assert_eq!((&*status["NoNewPrivs"], &*status["Seccomp"]), ("1", "2"));
    let path = format!("/proc/{}", process.id());
    // What cannot be dumped belongs to root and hides its files from its own user.
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("{path}/environ")).unwrap()),
        0
    );
    let environment = std::fs::read(format!("{path}/environ")).unwrap();
    // The kernel shows the memory the environment began in; the process itself has none any more.
    assert_eq!(report.level(Mechanism::Environment), Some(&Level::Full), "{environment:?}");
    let limits = std::fs::read_to_string(format!("{path}/limits")).unwrap();
    let limit = |name: &str| limits.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(limit("Max core file size").contains(" 0 "), "{limits}");
    assert!(limit("Max open files").contains(" 64 "), "{limits}");
    for mechanism in [
        Mechanism::Descriptors,
        Mechanism::Identity,
        Mechanism::BoundingSet,
        Mechanism::SecureBits,
        Mechanism::Capabilities,
        Mechanism::NoNewPrivileges,
        Mechanism::NotDumpable,
        Mechanism::ParentDeath,
        Mechanism::Seccomp,
    ] {
        assert_eq!(report.level(mechanism), Some(&Level::Full), "{mechanism:?}");
    }
    process.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(process.wait().unwrap().success());
}

#[test]
fn each_kind_of_worker_has_its_capabilities_and_no_others() {
    if !world::root("each_kind_of_worker_has_its_capabilities_and_no_others") {
        return;
    }
    let everything = Range::new(1, 65_535);
    let mut settings = Settings::default();
    settings.runas.uids = vec![everything];
    settings.inspect.enabled = true;
    settings.place.uids = vec![everything];
    settings.port.ports = vec![Range::new(1, 100)];
    // CAP_CHOWN 0, DAC_READ_SEARCH 2, KILL 5, SETGID 6, SETUID 7, NET_BIND_SERVICE 10, SYS_PTRACE 19, AUDIT_WRITE 29
    for (kind, expected) in [
        (Kind::Password, 1 | 1 << 2 | 1 << 29),
        (Kind::RunAs, 1 << 5 | 1 << 6 | 1 << 7),
        (Kind::Inspect, 1 << 19),
        (Kind::Network, 1 << 2 | 1 << 19),
        (Kind::Place, 1 | 1 << 2),
        (Kind::Port, 1 << 10),
    ] {
        for (settings, expected) in [(&settings, expected), (&Settings::default(), 0)] {
            let always = matches!(kind, Kind::Password | Kind::Network);
            if expected == 0 && always {
                continue;
            }
            let worker = Worker::start(kind, settings);
            println!("{kind}: {}", worker.report);
            let status = world::status(worker.pid());
            let set = |name: &str| u64::from_str_radix(&status[name], 16).unwrap();
            assert_eq!(set("CapPrm"), expected, "{kind}");
            assert_eq!(set("CapEff"), expected, "{kind}");
            assert_eq!(set("CapBnd"), expected, "{kind}");
            assert_eq!((set("CapInh"), set("CapAmb")), (0, 0), "{kind}");
            let uid = if kind.runs_as_root() { 0 } else { WORKER_UID };
            assert_eq!(status["Uid"], format!("{uid} {uid} {uid} {uid}"), "{kind}");
            assert_eq!((&*status["NoNewPrivs"], &*status["Seccomp"]), ("1", "2"), "{kind}");
            assert_eq!(worker.report.level(Mechanism::Capabilities), Some(&Level::Full), "{kind}");
        }
    }
}

#[test]
fn forbidden_call_kills_the_process() {
    if !world::root("forbidden_call_kills_the_process") {
        return;
    }
    for (role, action) in [
        ("front", "run:/bin/true"),
        ("front", "socket"),
        ("front", "hostname"),
        ("front", "root"),
        ("monitor", "run:/bin/true"),
        ("monitor", "socket"),
        ("monitor", "hostname"),
        ("keeper", "thread"),
        ("keeper", "socket"),
        ("inspect", "socket"),
        ("inspect", "thread"),
        ("network", "socket"),
        ("network", "run:/bin/true"),
        ("place", "run:/bin/true"),
        ("place", "socket"),
        ("port", "run:/bin/true"),
        ("port", "hostname"),
    ] {
        let (report, said, status) = probe(role, action, &[]);
        assert!(report.is_some(), "{role} {action}");
        assert_eq!(status.signal(), Some(SIGSYS), "{role} {action}: {said} {status}");
    }
}

#[test]
fn allowed_call_works() {
    if !world::root("allowed_call_works") {
        return;
    }
    for (role, action, said) in [
        ("front", "nothing", "done"),
        ("front", "thread", "done"),
        ("front", "open:/etc/hostname", "failed 13"),
        ("monitor", "thread", "done"),
        ("port", "open:/etc/hostname", "failed 13"),
        ("auxiliary", "thread", "done"),
        ("auxiliary", "hostname", "failed 38"),
        ("password", "hostname", "failed 38"),
        ("runas", "hostname", "failed 1"),
        ("runas", "root", "failed 1"),
    ] {
        let (_, told, status) = probe(role, action, &[]);
        assert!(status.success(), "{role} {action}: {status}");
        assert_eq!(told, said, "{role} {action}");
    }
    let (_, _, status) = probe("front", "abort", &[]);
    assert_eq!(status.signal(), Some(SIGABRT), "a role can still abort");
}

#[test]
fn paths_that_were_not_named_cannot_be_opened() {
    if !world::root("paths_that_were_not_named_cannot_be_opened") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(directory.path(), mode).unwrap();
    let path = directory.path().to_str().unwrap();
    std::fs::write(directory.path().join("there"), "x").unwrap();
    let (report, told, _) = probe("monitor", &format!("open:{path}/there"), &[]);
    if let Some(Level::Missing(why)) = report.unwrap().level(Mechanism::Landlock) {
        println!("paths_that_were_not_named_cannot_be_opened: skipped, no landlock: {why}");
        return;
    }
    assert_eq!(told, "failed 13");
    let read = format!("read={path}");
    assert_eq!(probe("monitor", &format!("open:{path}/there"), &[&read]).1, "done");
    assert_eq!(probe("monitor", &format!("create:{path}/new"), &[&read]).1, "failed 13");
    let write = format!("write={path}");
    assert_eq!(probe("monitor", &format!("create:{path}/new"), &[&write]).1, "done");
    assert_eq!(probe("monitor", "create:/tmp/elsewhere", &[&write]).1, "failed 13");
    assert_eq!(probe("auxiliary", "run:/bin/true", &[]).1, "failed 13");
    let libraries: Vec<&str> = ["/usr", "/lib", "/lib64", "/bin"]
        .into_iter()
        .map(|path| match path {
            "/usr" => "execute=/usr",
            "/lib" => "execute=/lib",
            "/lib64" => "execute=/lib64",
            _ => "execute=/bin",
        })
        .chain(["write=/dev/null", "read=/etc/ld.so.cache"])
        .collect();
    assert_eq!(probe("auxiliary", "run:/bin/true", &libraries).1, "done");
}

#[test]
fn missing_path_is_in_the_report() {
    if !world::root("missing_path_is_in_the_report") {
        return;
    }
    let (report, _, _) = probe("monitor", "nothing", &["read=/does/not/exist"]);
    let level = report.unwrap().level(Mechanism::Landlock).cloned();
    match level {
        Some(Level::Partial(why)) => assert!(why.contains("/does/not/exist"), "{why}"),
        Some(Level::Missing(why)) => println!("missing_path_is_in_the_report: skipped, no landlock: {why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn namespaces_are_entered() {
    if !world::root("namespaces_are_entered") {
        return;
    }
    let mut process = Command::new(world::role())
        .args(["probe", "auxiliary", "0", "wait", "namespaces"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let report: Report = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
    println!("{report}");
    for (mechanism, name) in [
        (Mechanism::UserNamespace, "user"),
        (Mechanism::MountNamespace, "mnt"),
        (Mechanism::NetworkNamespace, "net"),
        (Mechanism::IpcNamespace, "ipc"),
        (Mechanism::HostNamespace, "uts"),
    ] {
        let link = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
        let entered = link(&process.id().to_string()) != link("self");
        assert_eq!(report.level(mechanism) == Some(&Level::Full), entered, "{name}: {report}");
    }
    drop(process.stdin.take());
    process.wait().unwrap();
}

#[test]
fn process_with_threads_is_not_confined() {
    if !world::root("process_with_threads_is_not_confined") {
        return;
    }
    let (report, _, status) = probe("front", "threads", &[]);
    assert!(report.is_none() && status.code() == Some(1), "{status}");
}

#[test]
fn worker_ends_with_its_parent() {
    if !world::root("worker_ends_with_its_parent") {
        return;
    }
    let (ours, its) = tender_worker::order::pair().unwrap();
    let mut shell = Command::new("sh")
        .args(["-c", "exec 3<&0; \"$0\" serve port '{}' 61001 <&3 >/dev/null & echo $!; wait"])
        .arg(world::role())
        .stdin(Stdio::from(its))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pid: u32 = line.trim().parse().unwrap();
    world::eventually("confined", || {
        std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|text| text.contains("Seccomp:\t2"))
    });
    shell.kill().unwrap();
    shell.wait().unwrap();
    world::eventually("ended", || {
        std::fs::read_to_string(format!("/proc/{pid}/status")).map_or(true, |text| text.contains("State:\tZ"))
    });
    drop(ours);
}

#[test]
fn sandbox_without_root_says_what_is_missing() {
    if !world::root("sandbox_without_root_says_what_is_missing") {
        return;
    }
    // The program itself may be where this user cannot go, so it is opened for it.
    let program = std::fs::File::open(world::role()).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "61010", "--regid", "61010", "--clear-groups", "--bounding-set=-all", "sh", "-c"])
        .args(["exec /proc/self/fd/0 probe port 61010 socket capability=NET_BIND_SERVICE"])
        .stdin(Stdio::from(program))
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let line = out.lines().next().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let report: Report = serde_json::from_str(line).unwrap();
    println!("{report}");
    assert!(!report.is_full());
    for mechanism in [Mechanism::SecureBits, Mechanism::Capabilities] {
        assert!(matches!(report.level(mechanism), Some(Level::Missing(_))), "{mechanism:?}: {report}");
    }
    for mechanism in [Mechanism::NoNewPrivileges, Mechanism::NotDumpable, Mechanism::Seccomp] {
        assert_eq!(report.level(mechanism), Some(&Level::Full), "{mechanism:?}: {report}");
    }
}

#[test]
fn cgroup_holds_limits_and_kills_all_at_once() {
    if !world::root("cgroup_holds_limits_and_kills_all_at_once") {
        return;
    }
    use tender_worker::confine::{Cgroup, CgroupLimits};
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(std::path::Path::new);
    let Some(root) =
        roots.into_iter().find(|root| root.join("cgroup.procs").exists() && !root.join("tasks").exists())
    else {
        println!("cgroup_holds_limits_and_kills_all_at_once: skipped, no cgroup version 2");
        return;
    };
    let path = root.join(format!("tender-worker-test-{}", std::process::id()));
    let cgroup = match Cgroup::create(&path) {
        Ok(cgroup) => cgroup,
        Err(error) => return println!("cgroup_holds_limits_and_kills_all_at_once: skipped, {error}"),
    };
    let limits = CgroupLimits { processes: Some(20), ..CgroupLimits::default() };
    println!("missing: {:?}", cgroup.limit(limits));
    let script = format!(
        "echo $$ > {}/cgroup.procs; sleep 1000 & setsid sleep 1000 & exec sleep 1000",
        path.display()
    );
    let mut shell = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    world::eventually("three are in it", || {
        std::fs::read_to_string(path.join("cgroup.procs")).unwrap().lines().count() == 3
    });
    assert!(!cgroup.is_empty().unwrap() && cgroup.remove().is_err());
    assert!(Cgroup::create_new(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::AlreadyExists));
    let below = Cgroup::create_new(path.join("below")).unwrap();
    assert!(!cgroup.wait_until_empty(std::time::Duration::from_millis(1)).unwrap());
    cgroup.kill().unwrap();
    shell.wait().unwrap();
    assert!(cgroup.wait_until_empty(std::time::Duration::from_secs(60)).unwrap());
    cgroup.remove().unwrap();
    assert!(!below.directory().exists());
    let elsewhere = tempfile::tempdir().unwrap();
    assert!(Cgroup::create(elsewhere.path().join("none")).is_err());
    assert!(!elsewhere.path().join("none").exists());
}
