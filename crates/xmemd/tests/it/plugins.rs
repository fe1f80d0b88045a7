//! Plug-ins in processes of their own: loaded, called, killed, replaced, told.

use std::os::unix::fs::PermissionsExt as _;

use crate::wire::Raw;
use crate::world::{ANN, BOB, USUAL, World, is_root, wait_until};

/// Starts a server with the plug-in that is written in Python.
fn server() -> Option<World> {
    server_with("ZWES.PLUGIN.ECHO=PYECHO\nZWES.PLUGIN.GONE=NOTTHERE\n")
}

/// Starts a server with these lines in its member; the plug-in that is written in Python is on the list.
pub(crate) fn server_with(member: &str) -> Option<World> {
    if !is_root() {
        return None;
    }
    if !std::path::Path::new("/usr/bin/python3").exists() {
        println!("skipped: there is no python3");
        return None;
    }
    let world = World::prepare(USUAL, "");
    let library = world.path("loadlib");
    std::fs::create_dir(&library).unwrap();
    let module = library.join("PYECHO");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/plugins/echo.py");
    std::fs::copy(source, &module).unwrap();
    std::fs::set_permissions(&module, std::fs::Permissions::from_mode(0o755)).unwrap();
    let digest = blake3::hash(&std::fs::read(&module).unwrap()).to_hex();
    std::fs::write(world.path("parmlib/authorised"), format!("PYECHO blake3:{digest} plugin\n")).unwrap();
    write_member(&world, member);
    world.saf(&[
        "RDEFINE FACILITY ZWES.IS.PYECHO.* UACC(NONE) AUDIT(ALL(READ))",
        "PERMIT ZWES.IS.PYECHO.* CLASS(FACILITY) ID(ANN) ACCESS(READ)",
    ]);
    let mut world = world;
    world.run(&[]);
    Some(world)
}

fn write_member(world: &World, member: &str) {
    world.write_member(&format!("ZWES.LOADLIB={}\n{member}", world.path("loadlib").display()));
}

/// Returns the hosts. Each is the program itself by now, so it has another name than when it was started.
pub(crate) fn hosts(world: &World) -> Vec<u32> {
    let pid = world.pid();
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let is_host = |child: &u32| {
        let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        line.windows(4).any(|part| part == b"MOD=")
    };
    text.split_ascii_whitespace().map(|child| child.parse().unwrap()).filter(is_host).collect()
}

pub(crate) fn request(plugin: &str, service: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{plugin:<16}{service:<16}").into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn plugin_is_called_by_those_who_may_and_others_cannot_tell_whether_it_exists() {
    let Some(world) = server() else { return };
    world.wait_for_log("ZWES0017W");
    assert!(world.log().contains("GONE"), "{}", world.log());
    let mut ann = Raw::enter(&world, ANN);
    let (reply, payload) = ann.call(64, &request("PYECHO", "ECHO", b"hello"));
    assert_eq!((reply.code, reply.detail, &*payload), (0, 0, &b"hello"[..]), "{}", world.log());
    let mut header = ann.next_call(65, 33);
    header.code = 99;
    ann.send(&[&header.encode()[..], &request("PYECHO", "ECHO", b"x")].concat(), &[]).unwrap();
    assert_eq!(ann.hear().frame().0.detail, 15);
    let (reply, _) = ann.call(64, &request("PYECHO", "NOTHING", b""));
    assert_eq!((reply.code, reply.detail), (0, 14));
    assert_eq!(ann.call(64, b"short").0.detail, 12);
    let mut bob = Raw::enter(&world, BOB);
    assert_eq!(bob.call(64, &request("PYECHO", "ECHO", b"x")).0.code, 33);
    assert_eq!(bob.call(64, &request("NOTHERE", "ECHO", b"x")).0.code, 33);
}

#[test]
fn plugin_that_is_killed_is_started_again() {
    let Some(world) = server() else { return };
    let mut ann = Raw::enter(&world, ANN);
    let echo = request("PYECHO", "ECHO", b"hello");
    assert_eq!(ann.call(64, &echo).0.code, 0);
    let host = hosts(&world)[0];
    let pid = rustix::process::Pid::from_raw(host.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait_until("it is started again", || hosts(&world).iter().any(|child| *child != host));
    wait_until("it answers again", || {
        let (reply, _) = ann.call(64, &echo);
        assert!(reply.code == 0 || reply.code == 36, "{reply:?}");
        reply.code == 0 && reply.detail == 0
    });
}

#[test]
fn plugin_is_shown_told_and_replaced_while_it_is_used() {
    let Some(world) = server() else { return };
    let (lines, _) = world.modify("D PLUGINS");
    assert!(lines.concat().contains("PYECHO(PYEC)"), "{lines:?}");
    let mut ann = Raw::enter(&world, ANN);
    let echo = request("PYECHO", "ECHO", b"hello");
    for _ in 0..3 {
        assert_eq!(ann.call(64, &echo).0.code, 0);
    }
    for status in ["D(PYEC) STATUS", "DISPLAY(PYEC) STATUS"] {
        let (lines, code) = world.modify(status);
        assert_eq!((&*lines.concat(), code), ("ZWES0222I PYECHO is ready, 3 calls", 0));
    }
    let (lines, code) = world.modify("D(PYEC) NONSENSE");
    let unknown = "ZWES0227W Command `D(PYEC) NONSENSE` is not known to the plug-in";
    assert_eq!((&*lines.concat(), code), (unknown, 4));
    let old = hosts(&world);
    let (lines, code) = world.modify("REPLACE(PYEC)");
    assert_eq!(code, 0, "{lines:?}");
    wait_until("the new one is the only one", || {
        let (reply, _) = ann.call(64, &echo);
        assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
        let now = hosts(&world);
        now.len() == 1 && now != old
    });
    for _ in 0..50 {
        let (reply, _) = ann.call(64, &echo);
        assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
    }
}

#[test]
fn plugin_is_given_payloads_that_do_not_fit_into_a_packet() {
    let Some(world) = server() else { return };
    let mut ann = Raw::enter(&world, ANN);
    let content: Vec<u8> = (0..65_536_u32).map(|number| (number % 251) as u8).collect();
    let (reply, payload) = ann.call_large(0, 64, &request("PYECHO", "ECHO", &content));
    assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
    assert!(payload == content, "{} bytes came back", payload.len());
    // This plug-in's own limit.
    let (reply, payload) = ann.call_large(0, 64, &request("PYECHO", "ECHO", &vec![1; 1_000_000]));
    assert_eq!((reply.code, reply.detail, &*payload), (0, 33, &b"longer than 64 KiB"[..]));
}

#[test]
fn plugin_that_the_member_names_when_it_is_read_again_is_started_at_once() {
    let Some(world) = server_with("") else { return };
    let mut ann = Raw::enter(&world, ANN);
    let echo = request("PYECHO", "ECHO", b"hello");
    // Granted, and not there.
    assert_eq!((ann.call(64, &echo).0.detail, hosts(&world).len()), (14, 0));
    write_member(&world, "ZWES.PLUGIN.ECHO=PYECHO\n");
    let (lines, code) = world.modify("RELOAD");
    assert!(
        code == 0 && lines.concat().contains("ZWES0284I Plug-in ECHO: module PYECHO is started"),
        "{lines:?}"
    );
    wait_until("it answers", || {
        let (reply, _) = ann.call(64, &echo);
        (reply.code, reply.detail) == (0, 0)
    });
    let host = hosts(&world);
    write_member(&world, "");
    let (lines, _) = world.modify("RELOAD");
    assert!(lines.concat().contains("goes on until the server is replaced"), "{lines:?}");
    assert_eq!((ann.call(64, &echo).0.code, hosts(&world)), (0, host));
}

/// Says where the cgroups of a server's hosts are, when this machine has any of version 2 that may be made.
pub(crate) fn cgroups_of(world: &World) -> Option<std::path::PathBuf> {
    let own = tender_worker::confine::Cgroup::own().ok()?;
    Some(own.directory().join(format!("tender-xmem-ZWESIS_STD-{}", world.pid()))).filter(|path| path.exists())
}

#[test]
fn plugin_has_a_cgroup_with_limits_or_it_is_told_why_not_and_what_it_started_ends_with_it() {
    let member = "ZWES.PLUGIN.ECHO=PYECHO\nZWES.AUXILIARY.MEMORY_MIB=333\nZWES.AUXILIARY.PROCESSES=7\n";
    let Some(mut world) = server_with(member) else { return };
    let (lines, _) = world.modify("D SANDBOX");
    let line = lines.iter().find(|line| line.trim_start().starts_with("plug-in PYECHO: pid "));
    let line = line.unwrap_or_else(|| panic!("{lines:?}"));
    let Some(base) = cgroups_of(&world) else {
        assert!(line.contains("no cgroup ("), "{line}");
        return println!("skipped: no cgroups of version 2 here: {line}");
    };
    assert!(line.contains(", cgroup"), "{line}");
    let host = hosts(&world)[0];
    let of_host =
        std::fs::read_dir(&base).unwrap().flatten().find(|entry| entry.path().is_dir()).unwrap().path();
    let members = |file: &str| std::fs::read_to_string(of_host.join(file)).unwrap_or_default();
    assert_eq!(members("cgroup.procs").trim(), host.to_string());
    for (file, limit) in [("memory.max", (333_u64 << 20).to_string()), ("pids.max", "7".to_owned())] {
        // Only where the controller is one of version 2; otherwise the line says what cannot be held.
        match std::fs::read_to_string(of_host.join(file)) {
            Ok(found) => assert_eq!(found.trim(), limit, "{file}"),
            Err(_) => assert!(line.contains("cgroup in part (") && line.contains(file), "{line}"),
        }
    }
    // A process that the plug-in might have started, in a session of its own.
    let mut stray = std::process::Command::new("setsid").args(["sleep", "1000"]).spawn().unwrap();
    std::fs::write(of_host.join("cgroup.procs"), stray.id().to_string()).unwrap();
    crate::world::signal(host, rustix::process::Signal::KILL);
    assert!(!stray.wait().unwrap().success(), "it outlived its plug-in");
    wait_until("its cgroup is gone and there is another", || {
        !of_host.exists() && hosts(&world).iter().any(|pid| *pid != host)
    });
    assert_eq!(world.stop().code(), Some(0), "{}", world.log());
    assert!(!base.exists(), "the server leaves nothing behind");
}

/// Puts a process that a plug-in might have started, in a session of its own, into the cgroup of the only host.
fn stray_in(base: &std::path::Path) -> std::process::Child {
    let stray = std::process::Command::new("setsid").args(["sleep", "1000"]).spawn().unwrap();
    let hosts = std::fs::read_dir(base).unwrap().flatten().map(|entry| entry.path());
    let host = hosts.into_iter().find(|path| path.is_dir()).unwrap();
    std::fs::write(host.join("cgroup.procs"), stray.id().to_string()).unwrap();
    stray
}

#[test]
fn what_a_killed_server_has_left_is_ended_by_the_next_one_of_its_name() {
    let Some(mut world) = server_with("ZWES.PLUGIN.ECHO=PYECHO\n") else { return };
    let Some(base) = cgroups_of(&world) else { return println!("skipped: no cgroups of version 2 here") };
    let mut stray = stray_in(&base);
    world.signal(rustix::process::Signal::KILL);
    world.ended();
    assert!(stray.try_wait().unwrap().is_none() && base.exists(), "nobody has ended it yet");
    world.run(&[]);
    assert!(!stray.wait().unwrap().success());
    assert!(!base.exists(), "its cgroups are gone");
    // One that is started by a plug-in just before the stop.
    let base = cgroups_of(&world).unwrap();
    let mut stray = stray_in(&base);
    assert_eq!(world.stop().code(), Some(0), "{}", world.log());
    assert!(!stray.wait().unwrap().success());
    assert!(!base.exists(), "its cgroups are gone, too");
}

#[test]
fn host_that_cannot_be_started_leaves_no_cgroup() {
    let Some(mut world) = server_with("ZWES.PLUGIN.ECHO=PYECHO\n") else { return };
    let Some(base) = cgroups_of(&world) else { return println!("skipped: no cgroups of version 2 here") };
    let cgroups =
        || std::fs::read_dir(&base).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
    assert_eq!(cgroups(), 1);
    // With the two that the end of the host leaves: enough to open the module, too few for the sockets of the next one.
    let host = hosts(&world)[0];
    let limit = crate::world::leave_descriptors(world.pid(), 2);
    crate::world::signal(host, rustix::process::Signal::KILL);
    world.wait_for_log("Too many open files");
    crate::world::give_descriptors(world.pid(), limit);
    wait_until("it is started again", || hosts(&world).iter().any(|pid| *pid != host));
    wait_until("only its cgroup is left", || cgroups() == 1);
    let bare = "ZWES0017W Plug-in ECHO: Too many open files";
    assert!(world.log().contains(bare), "it failed after its module was open\n{}", world.log());
    assert_eq!(world.stop().code(), Some(0), "{}", world.log());
}

#[test]
fn module_that_is_no_program_is_told_and_nothing_else_suffers() {
    let Some(world) = server_with("ZWES.PLUGIN.ECHO=PYECHO\nZWES.PLUGIN.TEXT=NOPROG\n") else { return };
    // On the list by now, and still no program.
    let module = world.path("loadlib/NOPROG");
    std::fs::write(&module, "no program at all\n").unwrap();
    std::fs::set_permissions(&module, std::fs::Permissions::from_mode(0o755)).unwrap();
    let list = world.path("parmlib/authorised");
    let digest = blake3::hash(&std::fs::read(&module).unwrap()).to_hex();
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, format!("{text}NOPROG blake3:{digest} plugin\n")).unwrap();
    world.wait_for_log("run the module: Exec format error");
    let mut ann = Raw::enter(&world, ANN);
    assert_eq!(ann.call(64, &request("PYECHO", "ECHO", b"x")).0.code, 0);
}

/// The plug-in in Python, but that it says to the socket that it is called with what an operator would say.
fn plugin_that_commands() -> String {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/plugins/echo.py");
    let source = std::fs::read_to_string(source).unwrap();
    let (before, after) = source.split_once("    return (0, request) if").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    format!(
        "{before}    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n\
         \x20   end.connect(request.decode())\n\
         \x20   try:\n        end.send(frame(16, 1, b\"FLUSH\"))\n    except OSError:\n        pass\n\
         \x20   return 0, end.recv(PACKET)\n{after}"
    )
}

#[test]
fn plugin_of_a_server_without_root_is_no_operator_though_it_runs_as_one() {
    use std::os::unix::process::CommandExt as _;
    if !is_root() || !crate::world::has_program("/usr/bin/python3") {
        return;
    }
    // In a user namespace of its own it would be turned away in any case.
    for userns in ["NO", "YES"] {
        let world = World::prepare(USUAL, "");
        std::fs::create_dir(world.path("loadlib")).unwrap();
        let module = world.path("loadlib/PYECHO");
        std::fs::write(&module, plugin_that_commands()).unwrap();
        std::fs::set_permissions(&module, std::fs::Permissions::from_mode(0o755)).unwrap();
        let digest = blake3::hash(&std::fs::read(&module).unwrap()).to_hex();
        std::fs::write(world.path("parmlib/authorised"), format!("PYECHO blake3:{digest} plugin\n")).unwrap();
        write_member(&world, &format!("ZWES.PLUGIN.ECHO=PYECHO\nZWES.USERNS={userns}\n"));
        world.saf(&[
            "RDEFINE FACILITY ZWES.IS.PYECHO.* UACC(READ)",
            // Not even what a profile gives its user.
            "RDEFINE FACILITY ZWES.IS.OPER.* UACC(NONE)",
            "PERMIT ZWES.IS.OPER.* CLASS(FACILITY) ID(ANN) ACCESS(UPDATE)",
        ]);
        for name in ["", "saf.db", "parmlib", "parmlib/authorised", "loadlib", "loadlib/PYECHO"] {
            std::os::unix::fs::chown(world.path(name), Some(ANN), Some(ANN)).unwrap();
        }
        let log = world.path("log");
        let mut server = world.command(&[]).arg("--log").arg(&log).uid(ANN).gid(ANN).spawn().unwrap();
        world.wait_for_log("ZWES0109I");
        let mut ann = Raw::enter(&world, ANN);
        let control = world.path("run/ZWESIS_STD/control").display().to_string();
        let (reply, heard) = ann.call(64, &request("PYECHO", "ECHO", control.as_bytes()));
        assert_eq!((reply.code, reply.detail), (0, 0), "{}", world.log());
        let (heard, text) = tender_xmem::frame::Header::decode_packet(&heard).unwrap();
        let text = String::from_utf8_lossy(text);
        assert_eq!((heard.kind, heard.code), (tender_xmem::frame::Kind::Goodbye, 33), "{text}");
        let why = if userns == "YES" { "a plug-in is no operator" } else { "" };
        assert!(text.contains(why), "{text}");
        world.wait_for_log("ZWES0266W");
        // Who started the server still is one.
        let options = world.options();
        let connect = || tender_xmem::control::Control::connect(&"ZWESIS_STD".parse().unwrap(), &options);
        let mut owner = crate::world::as_user(ANN, connect).unwrap();
        let mut output = owner.modify("STOP").unwrap();
        let lines: Vec<String> = output.by_ref().map(|line| line.unwrap()).collect();
        assert_eq!(output.outcome().unwrap(), 0, "{lines:?}");
        assert_eq!(server.wait().unwrap().code(), Some(0), "{}", world.log());
    }
}
