//! The console, and those who should not disturb it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use tender_supervisor::console::{Reply, Request, State};

use crate::world::{Holding, World, signal, wait_until};

fn one(world: &mut World) {
    world.component("a", "exec sleep 1000");
    world.start();
    world.wait_ready();
}

#[test]
fn console_is_for_its_user_alone() {
    let mut world = World::new(Holding::SubReaper);
    one(&mut world);
    let mode = fs::metadata(world.console()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Even where the file lets somebody in, the kernel tells who it is.
    fs::set_permissions(world.console(), fs::Permissions::from_mode(0o666)).unwrap();
    for dir in [world.dir.path(), &world.path("instance")] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let text = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9999).decode())";
    let output = Command::new("python3")
        .args(["-c", text])
        .arg(world.console())
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("user 65534 may not") && said.contains("\"ok\":false"),
        "{said} {:?}",
        output.stderr
    );
    world.wait_said("ZWEL0087W user 65534 may not use this console");
    world.wait_ready();
}

#[test]
fn garbage_is_answered_with_an_error_and_the_connection_goes_on() {
    let mut world = World::new(Holding::SubReaper);
    one(&mut world);
    let mut stream = UnixStream::connect(world.console()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut next = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        serde_json::from_str::<Reply>(&line).unwrap()
    };
    for garbage in [b"hello\n".as_slice(), b"\xff\xfe\n", b"{\"verb\":\"fly\"}\n", b"\n"] {
        stream.write_all(garbage).unwrap();
        assert!(matches!(next(), Reply::Message(message) if message.id == "ZWEL0093E"));
        assert_eq!(next(), Reply::Done { ok: false });
    }
    stream.write_all(b"{\"verb\":\"status\"}\n{\"verb\":\"status\"}\n").unwrap();
    for _ in 0..2 {
        assert!(matches!(next(), Reply::Status(_)));
        assert_eq!(next(), Reply::Done { ok: true });
    }
    stream.write_all(&[b'x'; 200_000]).ok();
    assert!(matches!(next(), Reply::Message(message) if message.text.contains("too long")));
}

#[test]
fn caller_that_takes_no_answers_is_dropped_and_nobody_else_waits() {
    let mut world = World::new(Holding::SubReaper);
    one(&mut world);
    let mut slow = UnixStream::connect(world.console()).unwrap();
    slow.set_nonblocking(true).unwrap();
    // It asks and asks and never reads.
    wait_until("its requests are not taken any more", || {
        let request = b"{\"verb\":\"status\"}\n".repeat(100);
        slow.write_all(&request).is_err()
    });
    for _ in 0..20 {
        world.wait_ready();
    }
    drop(slow);
    assert_eq!(world.state("a"), State::Ready);
}

#[test]
fn follower_of_a_flood_that_does_not_read_holds_nothing_up() {
    let mut world = World::new(Holding::SubReaper);
    (world.plan.log.rotate_bytes, world.plan.log.keep) = (4 << 20, 1);
    world.component("flood", "exec yes 0123456789012345678901234567890123456789");
    world.start();
    world.wait_ready();
    let mut slow = UnixStream::connect(world.console()).unwrap();
    slow.write_all(b"{\"verb\":\"logs\",\"components\":[],\"lines\":1,\"follow\":true}\n").unwrap();
    let size = || fs::metadata(world.path("logs/ha1/flood.log")).map(|facts| facts.len()).unwrap_or_default();
    let mut rotations = 0;
    let mut last = size();
    wait_until("much is written meanwhile", || {
        let now = size();
        rotations += usize::from(now < last);
        last = now;
        rotations > 3
    });
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{}/status", world.supervisor_pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    assert!(memory() < 32 << 10, "{} KiB", memory());
    let mut text = vec![0; 1 << 20];
    let mut seen = String::new();
    wait_until("it is told what was left out", || {
        let length = slow.read(&mut text).unwrap();
        seen.push_str(&String::from_utf8_lossy(&text[..length]));
        let is_told = seen.contains("lines are left out");
        seen = seen.split_off(seen.len().saturating_sub(200));
        while !seen.is_char_boundary(0) {
            seen.remove(0);
        }
        is_told
    });
    signal(world.pid("flood"), "KILL");
    wait_until("its end is noticed", || world.component_status("flood").restarts == 1);
}

#[test]
fn events_are_told_as_they_come() {
    let mut world = World::new(Holding::SubReaper);
    one(&mut world);
    let mut watcher = world.connect();
    let mut events = watcher.request(&Request::Events).unwrap();
    wait_until("the watcher is heard", || world.status().is_ready);
    world.ask_well(&Request::Restart { components: Vec::new(), reconfigure: false, wait: true });
    let mut states = Vec::new();
    while states.last() != Some(&State::Ready) {
        match events.next().unwrap().unwrap() {
            Reply::Event { component, to, .. } => {
                assert_eq!(component, "a");
                states.push(to);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(states, [State::Stopping, State::Waiting, State::Starting, State::Ready]);
}

#[test]
fn callers_that_come_and_go_leave_nothing_behind() {
    let mut world = World::new(Holding::SubReaper);
    one(&mut world);
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", world.supervisor_pid())).unwrap().count();
    let before = descriptors();
    for round in 0..300 {
        let said: &[u8] = match round % 3 {
            0 => b"{\"verb\":\"await-ready\",\"timeout_ms\":60000}\n",
            1 => b"{\"verb\":\"eve",
            _ => b"{\"verb\":\"events\"}\n",
        };
        // While those who left have not been noticed yet, a caller can be one too many.
        wait_until("there is room for one more", || {
            UnixStream::connect(world.console()).unwrap().write_all(said).is_ok()
        });
    }
    wait_until("all are gone", || descriptors() <= before + 1);
}
