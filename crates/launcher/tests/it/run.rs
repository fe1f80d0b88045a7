//! A launcher that runs: from outside, through processes, sockets and its console.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use tender_launcher::launch::background::{StartError, StartRequest, Started, start};
use tender_launcher::progress::{Event, Silent};
use tender_launcher::summary::Phase;
use tender_supervisor::client;
use tender_supervisor::console::{Reply, Request, State};
use tender_supervisor::lock::InstanceLock;

use crate::world::{World, await_some, enabled, free_port, program, state_of};

/// A TCP server of a few lines.
pub(crate) const SERVER: &str = "exec python3 -c \"
import os, socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', int(os.environ['ZWE_configs_port']))); s.listen()
print('ready to serve', flush=True)
while True:
    c, _ = s.accept(); c.close()
\"
";

/// Stops the launcher of a world at the end of a test, however it ends.
pub(crate) struct Running<'w> {
    pub(crate) world: &'w World,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let directory = self.world.path("instance");
        let Ok(identity) = self.world.instance().identity() else { return };
        if let Ok(mut console) = client::connect(&client::socket_path(&directory, &identity.ha_id)) {
            let _answered = console.ask(&Request::Shutdown);
        }
        if std::thread::panicking() {
            return;
        }
        await_some("the end of the launcher", || {
            InstanceLock::holder(&directory, &identity.ha_id).is_none().then_some(())
        });
    }
}

pub(crate) fn ask(world: &World, request: &Request) -> Vec<Reply> {
    let socket = client::socket_path(&world.path("instance"), &world.ha_id());
    client::connect(&socket).unwrap().ask(request).unwrap()
}

pub(crate) fn start_request() -> StartRequest {
    StartRequest { program: program().to_owned(), ready_limit_ms: 60_000 }
}

pub(crate) fn start_ready(world: &World) -> Running<'_> {
    let running = Running { world };
    match start(&world.instance(), &start_request(), &Silent) {
        Ok(Started::Ready(_)) => running,
        other => panic!("the instance is not ready: {other:#?}"),
    }
}

pub(crate) fn foreground(world: &World) -> Child {
    let mut command = Command::new(program());
    command.args(["launcher", "run", "--config"]).arg(world.path("instance"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn pid_of(world: &World, name: &str) -> u32 {
    let status = world.await_status(|status| state_of(status, name) == Some(State::Ready));
    status.components.iter().find(|one| one.name == name).unwrap().pid.unwrap()
}

#[test]
fn instance_starts_in_the_background_is_ready_and_stops() {
    let world = World::new();
    let port = free_port();
    let manifest =
        format!("configs:\n  port: {port}\ntender:\n  readiness: {{ tcp: \"127.0.0.1:${{port}}\" }}\n");
    world.component(
        "server",
        &manifest,
        &[
            ("bin/configure.sh", "export GREETING=\"hello\nworld\"\n"),
            ("bin/start.sh", &format!("echo \"greeting: $GREETING\"\n{SERVER}")),
        ],
    );
    world.component("after", "tender:\n  requires: [server]\n", &[("bin/start.sh", "sleep 1000\n")]);
    world.write_settings("", &enabled(&["after", "server"]));
    let phases = std::sync::Mutex::new(Vec::new());
    let progress = |event: &Event| {
        if let Event::PhaseDone(summary) = event {
            phases.lock().unwrap().push(summary.phase);
        }
    };
    let running = Running { world: &world };
    let started = start(&world.instance(), &start_request(), &progress).unwrap();
    let Started::Ready(status) = started else { panic!("{started:#?}") };
    assert_eq!(status.components.len(), 2);
    let expected = [Phase::Configuration, Phase::Global, Phase::Validate, Phase::Configure, Phase::Plan];
    assert_eq!(*phases.lock().unwrap(), expected);
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    // No shell is left between: the component's process is the server.
    let exe = fs::read_link(format!("/proc/{}/exe", pid_of(&world, "after"))).unwrap();
    assert!(exe.ends_with("sleep"), "{}", exe.display());
    let error = start(&world.instance(), &start_request(), &Silent).unwrap_err();
    assert!(matches!(&error, StartError::Running { holder } if holder.pid == status.pid), "{error}");
    let log = await_some("the log of the component", || {
        let text =
            fs::read_to_string(world.path("instance/logs").join(world.ha_id()).join("server.log")).ok()?;
        text.contains("ready to serve").then_some(text)
    });
    assert!(log.contains("greeting: hello") && log.contains("world"), "{log}");
    let log =
        fs::read_to_string(world.path(&format!("instance/logs/launcher.{}.log", world.ha_id()))).unwrap();
    assert!(log.contains("ZWEL0021I") && log.contains("ZWEL0018I"), "{log}");
    drop(running);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn second_launcher_is_refused_with_the_holder() {
    let world = World::new();
    world.component("a", "", &[("bin/start.sh", "sleep 1000\n")]);
    world.write_settings("", &enabled(&["a"]));
    let _running = start_ready(&world);
    let mut second = foreground(&world);
    let mut said = String::new();
    second.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!second.wait().unwrap().success());
    let pid = world.status().unwrap().pid;
    assert!(said.contains(&format!("process {pid} ")), "{said}");
}

#[test]
fn launcher_that_cannot_prepare_says_why_and_starts_nothing() {
    let world = World::new();
    let manifest = "tender:\n  onFailure: fail\n";
    world.component(
        "a",
        manifest,
        &[("bin/validate.sh", "echo no disk; exit 1\n"), ("bin/start.sh", "sleep 1000\n")],
    );
    world.write_settings("", &enabled(&["a"]));
    let rows = std::sync::Mutex::new(Vec::new());
    let progress = |event: &Event| {
        if let Event::RowDone { row, .. } = event {
            rows.lock().unwrap().extend(row.output.clone());
        }
    };
    let started = start(&world.instance(), &start_request(), &progress).unwrap();
    assert!(matches!(started, Started::NotPrepared { code: Some(_) }), "{started:?}");
    assert_eq!(*rows.lock().unwrap(), ["no disk"]);
    assert!(InstanceLock::holder(&world.path("instance"), &world.ha_id()).is_none());
}

#[test]
fn reload_restarts_only_what_changed() {
    let world = World::new();
    let root = world.component("a", "", &[("bin/start.sh", "sleep 1000\n")]);
    world.component("b", "", &[("bin/start.sh", "sleep 1000\n")]);
    world.component("c", "", &[("bin/start.sh", "sleep 1000\n")]);
    world.write_settings("", &enabled(&["a", "b"]));
    let _running = start_ready(&world);
    let before = (pid_of(&world, "a"), pid_of(&world, "b"));
    fs::write(root.join("bin/start.sh"), "sleep 2000\n").unwrap();
    world.write_settings("", &enabled(&["a", "b", "c"]));
    let replies = ask(&world, &Request::Reload { check: false, wait: true });
    let changes = replies.iter().find_map(|reply| match reply {
        Reply::Changes { added, changed, unchanged, .. } => {
            Some((added.clone(), changed.clone(), unchanged.clone()))
        }
        _ => None,
    });
    let names = |name: &str| vec![name.to_owned()];
    assert_eq!(changes, Some((names("c"), names("a"), names("b"))), "{replies:#?}");
    let after = (pid_of(&world, "a"), pid_of(&world, "b"));
    assert!(after.0 != before.0 && after.1 == before.1);
    assert!(pid_of(&world, "c") > 0);
}

#[test]
fn reload_with_a_wrong_configuration_changes_nothing_and_says_why() {
    let world = World::new();
    world.component("a", "", &[("bin/start.sh", "sleep 1000\n")]);
    world.write_settings("", &enabled(&["a"]));
    let _running = start_ready(&world);
    let before = pid_of(&world, "a");
    world.write_settings("  externalPort: many\n", &enabled(&["a"]));
    let replies = ask(&world, &Request::Reload { check: false, wait: true });
    assert!(matches!(replies.last(), Some(Reply::Done { ok: false })), "{replies:#?}");
    let said = format!("{replies:?}");
    assert!(said.contains("externalPort"), "{said}");
    world.write_settings("", &enabled(&["a"]));
    assert_eq!(pid_of(&world, "a"), before);
}

#[test]
fn restart_with_reconfigure_runs_configure_again() {
    let world = World::new();
    let file = world.path("value");
    fs::write(&file, "one").unwrap();
    let configure = format!("VALUE=$(cat {}); export VALUE\n", file.display());
    let start = format!("echo $VALUE > {}\nsleep 1000\n", world.path("seen").display());
    world.component("a", "", &[("bin/configure.sh", &configure), ("bin/start.sh", &start)]);
    world.write_settings("", &enabled(&["a"]));
    let _running = start_ready(&world);
    let seen = |wanted: &str| {
        await_some(wanted, || (fs::read_to_string(world.path("seen")).ok()?.trim() == wanted).then_some(()));
    };
    seen("one");
    fs::write(&file, "two").unwrap();
    let components = vec!["a".to_owned()];
    ask(&world, &Request::Restart { components, reconfigure: true, wait: true });
    seen("two");
}

#[test]
fn start_script_that_backgrounds_its_server_is_followed() {
    let world = World::new();
    // The second is how the reference ends its scripts: no shell may stay to wait.
    world.component("a", "", &[("bin/start.sh", "sleep 1000 &\npid=$!\n")]);
    world.component(
        "b",
        "",
        &[("bin/start.sh", "LC_ALL=C sleep \\\n  2000 &\npid=$!\necho \"pid=${pid}\"\nwait %1\n")],
    );
    world.write_settings("", &enabled(&["a", "b"]));
    let running = start_ready(&world);
    let pids = ["a", "b"].map(|name| {
        await_some("the real server", || {
            let pid = pid_of(&world, name);
            fs::read_link(format!("/proc/{pid}/exe")).ok()?.ends_with("sleep").then_some(pid)
        })
    });
    drop(running);
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}/exe")).exists());
    }
}

#[test]
fn supervising_process_has_no_template_engine_awake_and_stays_small() {
    let world = World::new();
    for number in 0..20 {
        world.component(&format!("c{number}"), "", &[("bin/start.sh", "sleep 1000\n")]);
    }
    let names: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    world.write_settings("", &enabled(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    let _running = start_ready(&world);
    let pid = world.status().unwrap().pid;
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let anonymous = smaps.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    let kib: u64 = anonymous.trim().trim_end_matches("kB").trim().parse().unwrap();
    assert!(kib < 8 * 1024, "{kib} KiB");
}
