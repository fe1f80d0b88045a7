//! What must not happen, and does.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use tender_supervisor::console::{Request, State};

use crate::world::{Holding, SmallDisk, World, is_alive, signal, wait_until};

const BOTH: [Holding; 2] = [Holding::SubReaper, Holding::Cgroups];

#[test]
fn supervisor_killed_and_started_again_stops_what_the_first_left() {
    for holding in BOTH {
        let mut world = World::new(holding);
        world.component("server", "exec sleep 1000");
        world.component("daemon", "(setsid sh -c 'echo $$ > daemon; exec sleep 1000' &); exit 0");
        // It wipes its environment and takes a session of its own, and its parent lives.
        world.component("wiped", "setsid env -i sh -c 'echo $$ > wiped; exec sleep 1000' & wait");
        world.start();
        world.wait_ready();
        let read = |name: &str| fs::read_to_string(world.path(name)).unwrap_or_default();
        wait_until("all have written", || read("daemon").ends_with('\n') && read("wiped").ends_with('\n'));
        let left: Vec<i32> = [world.pid("server"), world.pid("wiped")]
            .into_iter()
            .chain(["daemon", "wiped"].map(|name| read(name).trim().parse().unwrap()))
            .collect();
        wait_until("the journal is written", || {
            read("private/processes.json").contains(&format!(":{},", world.pid("wiped")))
        });
        world.kill_supervisor();
        assert!(left.iter().all(|pid| is_alive(*pid)), "{left:?}");
        world.start();
        world.wait_ready();
        assert!(left.iter().all(|pid| !is_alive(*pid)), "{holding:?} {left:?}");
        let said = world.said();
        assert!(
            said.contains("ZWEL0083W") && said.contains(&format!("component server: {} (sleep)", left[0])),
            "{said}"
        );
        world.shut_down();
    }
}

#[test]
fn process_that_only_has_the_number_of_an_earlier_one_is_left_alone() {
    let mut world = World::new(Holding::SubReaper);
    world.component("a", "exec sleep 1000");
    let mut stranger = Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = stranger.id();
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let record = format!(
        "{{\"boot_id\":\"{}\",\"processes\":[{{\"component\":\"a\",\"pid\":{pid},\"start_ticks\":1,\"session\":{pid},\"program\":\"/usr/bin/sleep\"}}]}}",
        boot_id.trim()
    );
    fs::write(world.path("private/processes.json"), record).unwrap();
    world.start();
    world.wait_ready();
    assert!(is_alive(i32::try_from(pid).unwrap()));
    assert!(!world.said().contains("ZWEL0083W"));
    world.shut_down();
    assert!(is_alive(i32::try_from(pid).unwrap()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn reader_of_the_launchers_messages_that_hangs_holds_nothing_up() {
    let mut world = World::new(Holding::SubReaper);
    let component = world.component("a", "");
    component.command = vec!["/bin/false".to_owned()];
    component.restart.intervals_ms = vec![0; 100_000];
    let fifo = world.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // Open for reading, and full: nobody reads.
    let mut end = fs::OpenOptions::new().read(true).write(true).custom_flags(NONBLOCK).open(&fifo).unwrap();
    while end.write(&[b'\n'; 4096]).is_ok() {}
    let mut command = Command::new("/bin/sh");
    let inner = world.command();
    command.args(["-c", &format!("exec \"$0\" 2>{}", fifo.display())]).arg(inner.get_program());
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap());
    }
    world.start_with(command);
    let pause = || std::thread::park_timeout(std::time::Duration::from_millis(100));
    // Three messages a run, and a thousand are kept.
    wait_until("more is to be told than is kept", || {
        pause();
        world.component_status("a").restarts > 400
    });
    world.ask_well(&Request::Stop { components: vec!["a".to_owned()], wait: true });
    let mut seen = Vec::new();
    let mut bytes = vec![0; 64 << 10];
    wait_until("it is told what was left out", || {
        // Nothing is there for a moment.
        let length = end.read(&mut bytes).unwrap_or(0);
        seen.extend_from_slice(&bytes[..length]);
        String::from_utf8_lossy(&seen).contains("ZWEL0096W")
    });
    let seen = String::from_utf8(seen).unwrap();
    assert!(seen.trim_start().starts_with("ZWEL0012I") && seen.contains("messages left out"), "{seen}");
    assert_eq!(world.shut_down(), 0);
}

/// `O_NONBLOCK`.
const NONBLOCK: i32 = 0o4000;

fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_restarts_leave_no_descriptor_zombie_or_memory() {
    let mut world = World::new(Holding::SubReaper);
    let component = world.component("a", "");
    component.command = vec!["/bin/true".to_owned()];
    component.restart.intervals_ms = vec![0; 20_000];
    world.component("b", "exec sleep 1000");
    let mut command = world.command();
    // What it says would be a megabyte of text, and is not what is measured.
    command.stderr(Stdio::null());
    world.start_with(command);
    let proc_dir = format!("/proc/{}", world.supervisor_pid());
    let descriptors = || fs::read_dir(format!("{proc_dir}/fd")).unwrap().count();
    let memory = || number(&fs::read_to_string(format!("{proc_dir}/status")).unwrap(), "VmRSS");
    // Asked seldom: an answer costs as much as a few restarts.
    let restarts = || {
        std::thread::park_timeout(std::time::Duration::from_millis(200));
        world.component_status("a").restarts
    };
    wait_until("a thousand restarts are over", || restarts() >= 1000);
    let before = (descriptors(), memory());
    for thousand in 2..=10 {
        wait_until("a thousand more restarts are over", || restarts() >= thousand * 1000);
    }
    world.ask_well(&Request::Stop { components: vec!["a".to_owned()], wait: true });
    wait_until("descriptors are as before", || descriptors() <= before.0);
    assert!(memory() <= before.1 + 1024, "{} KiB, before {} KiB", memory(), before.1);
    let children =
        fs::read_to_string(format!("{proc_dir}/task/{}/children", world.supervisor_pid())).unwrap();
    assert_eq!(children.trim(), world.pid("b").to_string());
}

#[test]
fn no_room_for_processes_is_waited_out() {
    let mut world = World::new(Holding::SubReaper);
    world.component("a", "exec sleep 1000").restart.intervals_ms = Vec::new();
    let uid = 64_123;
    for path in ["", "instance", "logs", "private"] {
        std::os::unix::fs::chown(world.path(path), Some(uid), Some(uid)).unwrap();
    }
    let mut command = Command::new("prlimit");
    let inner = world.command();
    command.arg("--nproc=1:4096").arg(inner.get_program()).uid(uid).gid(uid);
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap());
    }
    world.start_with(command);
    world.wait_state("a", State::Backoff);
    let status = world.component_status("a");
    assert_eq!(status.failures, 0);
    assert!(status.reason.unwrap().contains("temporarily unavailable"));
    let pid = world.supervisor_pid().to_string();
    let raised = Command::new("prlimit").args(["--nproc=4096", "--pid", &pid]).uid(uid).gid(uid).status();
    assert!(raised.unwrap().success());
    world.wait_ready();
}

#[test]
fn no_free_descriptor_is_waited_out_and_turns_nothing_in_circles() {
    let mut world = World::new(Holding::SubReaper);
    world.component("a", "exec sleep 1000");
    world.start();
    world.wait_ready();
    let pid = world.supervisor_pid().to_string();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let limit = |files: usize| {
        let set = format!("--nofile={files}:4096");
        assert!(Command::new("prlimit").args([&set, "--pid", &pid]).status().unwrap().success());
    };
    limit(open + 1);
    let mut callers = Vec::new();
    wait_until("no connection is taken", || {
        callers.push(world.connect());
        world.said().contains("ZWEL0087W no connection can be taken for a moment")
    });
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    signal(children.trim().parse().unwrap(), "KILL");
    world.wait_said("ZWEL0040E component a cannot be started");
    limit(1024);
    drop(callers);
    wait_until("it answers again", || world.status().is_ready);
}

#[test]
fn clock_that_jumps_changes_no_waiting_time() {
    let mut world = World::new(Holding::SubReaper);
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    let library = [
        library,
        "/usr/lib/s390x-linux-gnu/faketime/libfaketime.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    ]
    .into_iter()
    .find(|path| fs::exists(path).unwrap())
    .expect("Debian's faketime is installed");
    fs::write(world.path("time"), "+0\n").unwrap();
    world.component("patient", "echo run; exit 1").restart.intervals_ms = vec![3_600_000];
    world.component("eager", "echo run; sleep 0.2; exit 1").restart.intervals_ms = vec![50; 10_000];
    let mut command = world.command();
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", world.path("time"));
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    world.start_with(command);
    world.wait_state("patient", State::Backoff);
    wait_until("the eager one has run", || !world.lines("eager").is_empty());
    for offset in ["+400d", "-400d"] {
        fs::write(world.path("time"), format!("{offset}\n")).unwrap();
        let before = world.component_status("eager").restarts;
        wait_until("the eager one goes on", || world.component_status("eager").restarts > before + 2);
        let patient = world.component_status("patient");
        assert_eq!((patient.state, patient.restarts), (State::Backoff, 0));
        assert!(patient.next_start_ms.unwrap() > 3_000_000);
    }
    // The jump did happen: the times in the log say so.
    let years: std::collections::BTreeSet<String> =
        world.log("eager").lines().map(|line| line[..4].to_owned()).collect();
    assert!(years.len() >= 3, "{years:?}");
}

#[test]
fn full_disk_under_the_journal_stops_nothing_and_orphans_are_found_all_the_same() {
    let mut world = World::new(Holding::SubReaper);
    let private = world.path("private");
    let _disk = SmallDisk::mount(&private);
    world.component("a", "exec sleep 1000");
    world.start();
    world.wait_ready();
    assert_eq!(world.status().conditions, []);
    assert!(fs::write(private.join("filler"), vec![1; 1 << 20]).is_err());
    signal(world.pid("a"), "KILL");
    world.wait_said("ZWEL0092W");
    world.wait_ready();
    let conditions = world.status().conditions;
    assert!(conditions.len() == 1 && conditions[0].text.contains("No space left"), "{conditions:?}");
    // The journal knows nothing of this one.
    let left = world.pid("a");
    world.kill_supervisor();
    world.start();
    world.wait_ready();
    assert!(!is_alive(left) && world.pid("a") != left);
    fs::remove_file(private.join("filler")).unwrap();
    signal(world.pid("a"), "KILL");
    wait_until("the journal is written again", || world.status().conditions.is_empty());
    assert_eq!(world.shut_down(), 0);
}

#[test]
fn journal_that_cannot_be_written_is_told_once_and_disturbs_nothing() {
    let mut world = World::new(Holding::SubReaper);
    fs::create_dir(world.path("private/processes.new")).unwrap();
    world.component("a", "sleep 0.15; exit 1").restart.intervals_ms = vec![0; 10_000];
    world.start();
    wait_until("it was started again a few times", || world.component_status("a").restarts > 4);
    assert_eq!(world.said().matches("ZWEL0092W").count(), 1);
    assert_eq!(world.shut_down(), 0);
}
